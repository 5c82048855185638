"""From numbers in labels to targets: classes or masks, and where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.errors import SettingsError
from genesis_core.targets.segmentation_target import UNKNOWN, Region, Target, choose_activation, without_ignored
from genesis_core.volumes.label_volume import Structure

NECROSIS, OEDEMA, ENHANCING = Structure("necrosis", 1), Structure("oedema", 2), Structure("enhancing", 3)
TUMOUR = (NECROSIS, OEDEMA, ENHANCING)
REGIONS = (
    Region("whole tumour", ("necrosis", "oedema", "enhancing")),
    Region("core", ("necrosis", "enhancing")),
    Region("enhancing tumour", ("enhancing",)),
)
ALL = (True, True, True)


def layers(*rows: list[int]) -> np.ndarray:
    """Layers of one line of voxels each."""
    return np.array(rows, np.int16)[:, None, None, :]


def encoded(target: Target, *rows: list[int], annotated: tuple[bool, ...] = ALL) -> list[list[int]]:
    return target.encode(layers(*rows), annotated)[:, 0, 0].tolist()


def test_exclusive_structures_become_classes_in_their_order() -> None:
    target = Target((ENHANCING, NECROSIS, OEDEMA), "softmax")
    assert target.out_channels == 4
    assert encoded(target, [0, 1, 2, 3, -1]) == [[0, 1, 2, 3, UNKNOWN]]


def test_overlapping_structures_become_one_mask_each() -> None:
    target = Target(TUMOUR, "sigmoid")
    assert target.out_channels == 3
    assert encoded(target, [0, 1, 1, -1], [0, 0, 2, -1]) == [
        [0, 1, 1, UNKNOWN],
        [0, 0, 1, UNKNOWN],
        [0, 0, 0, UNKNOWN],
    ]


def test_regions_are_unions_of_numbers() -> None:
    target = Target(TUMOUR, "sigmoid", REGIONS)
    assert [(output.name, output.value) for output in target.outputs] == [
        ("whole tumour", 1),
        ("core", 2),
        ("enhancing tumour", 3),
    ]
    assert encoded(target, [0, 1, 2, 3]) == [[0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]


def test_a_structure_that_was_not_looked_for_teaches_nothing() -> None:
    assert encoded(Target(TUMOUR, "sigmoid"), [0, 1, 3], annotated=(True, True, False)) == [
        [0, 1, 0],
        [0, 0, 0],
        [UNKNOWN, UNKNOWN, UNKNOWN],
    ]


def test_with_classes_only_what_is_drawn_is_known_where_a_structure_was_not_looked_for() -> None:
    assert encoded(Target(TUMOUR, "softmax"), [0, 1, 2, 3], annotated=(True, True, False)) == [[UNKNOWN, 1, 2, UNKNOWN]]


def test_of_a_region_with_a_missing_part_only_the_drawn_parts_are_known() -> None:
    target = Target(TUMOUR, "sigmoid", REGIONS)
    whole, core, enhancing = encoded(target, [0, 1, 2, 3], annotated=(True, True, False))
    assert whole == [UNKNOWN, 1, 1, UNKNOWN]
    assert core == [UNKNOWN, 1, UNKNOWN, UNKNOWN]
    assert enhancing == [UNKNOWN] * 4


def test_a_voxel_that_two_classes_claim_teaches_nothing() -> None:
    target = Target(TUMOUR, "softmax")
    assert encoded(target, [1, 1, 0, 0], [0, 2, 2, 0]) == [[1, UNKNOWN, 2, 0]]


@settings(deadline=None)
@given(
    arrays(np.int16, (2, 2, 3, 4), elements=st.integers(-1, 3)),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(["softmax", "sigmoid"]),
    st.booleans(),
)
def test_targets_never_contradict_what_is_drawn(
    numbers: np.ndarray, annotated: tuple[bool, ...], activation: str, in_regions: bool
) -> None:
    regions = (REGIONS if activation == "sigmoid" else (REGIONS[1],)) if in_regions else ()
    target = Target(TUMOUR, activation, regions)  # type: ignore[arg-type]
    found = target.encode(numbers, annotated)
    unknown = (numbers == -1).any(axis=0)
    members = {output.name: (output.name,) for output in TUMOUR} | {region.name: region.members for region in regions}
    numbered = {structure.name: number for number, structure in enumerate(TUMOUR, 1)}
    for index, output in enumerate(target.outputs):
        drawn = np.zeros(unknown.shape, bool)
        for name in members[output.name]:
            drawn |= (numbers == numbered[name]).any(axis=0)
        if activation == "softmax":
            said_yes, said_no = found[0] == index + 1, (found[0] != index + 1) & (found[0] != UNKNOWN)
        else:
            said_yes, said_no = found[index] == 1, found[index] == 0
        assert not (said_yes & ~drawn).any()
        assert not (said_no & drawn & ~unknown).any()
        assert not ((said_yes | said_no) & unknown).any()
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("structures", "overlapping", "partial", "regions", "expected", "word"),
    [
        (TUMOUR[:1], False, False, (), "sigmoid", "One structure"),
        (TUMOUR, False, False, (), "softmax", "3 structures"),
        (TUMOUR, True, False, (), "sigmoid", "overlap"),
        (TUMOUR, False, True, (), "sigmoid", "annotated"),
        (TUMOUR, False, False, REGIONS, "sigmoid", "overlap"),
        ((NECROSIS, Structure("Ignore", 9)), False, False, (), "sigmoid", "One structure"),
    ],
)
def test_the_activation_follows_from_the_labels_with_a_reason(
    structures: tuple[Structure, ...],
    overlapping: bool,
    partial: bool,
    regions: tuple[Region, ...],
    expected: str,
    word: str,
) -> None:
    activation, reason = choose_activation(
        structures, overlapping=overlapping, partially_labelled=partial, regions=regions
    )
    assert activation == expected
    assert word in reason
    assert reason.endswith(".")


def test_ignored_places_are_no_structure() -> None:
    both = (NECROSIS, Structure("ignore", 4))
    assert without_ignored(both) == (NECROSIS,)
    with pytest.raises(SettingsError, match="marks places"):
        Target(both, "softmax")


@pytest.mark.parametrize(
    ("structures", "activation", "regions", "message"),
    [
        ((), "sigmoid", (), "expected 1 to 254"),
        (tuple(Structure(f"s{n}", n) for n in range(1, 256)), "sigmoid", (), "expected 1 to 254"),
        ((NECROSIS, Structure("necrosis", 2)), "softmax", (), "repeated: necrosis"),
        (TUMOUR, "sigmoid", (Region("core", ("cyst",)),), "cyst is not a structure"),
        (TUMOUR, "sigmoid", (Region("core", ()),), "nothing is not a structure"),
        (TUMOUR, "softmax", REGIONS, "activation sigmoid is needed"),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    structures: tuple[Structure, ...], activation: str, regions: tuple[Region, ...], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Target(structures, activation, regions)  # type: ignore[arg-type]
