"""How uncertain a case is, where to look, what is flagged, and in which order cases come."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.studies.review import CaseState, Proposal, order
from genesis_core.studies.review.flags import expected, flags_of
from genesis_core.studies.review.measuring import AROUND, case_uncertainty, drawn_structures
from genesis_core.studies.review.places import PLACES, box_size, find_places
from genesis_core.studies.review.ranking import Drawn
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry

Shape = tuple[int, int, int]


def labels_of(*masks: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> LabelVolume:
    """One layer per mask, each a structure "s0", "s1", ..."""
    layers = tuple(mask.astype(np.uint8) * (number + 1) for number, mask in enumerate(masks))
    structures = tuple(Structure(f"s{n}", n + 1, None, n) for n in range(len(masks)))
    shape = masks[0].shape
    return LabelVolume(layers, Geometry((shape[0], shape[1], shape[2]), spacing), structures)


def noise(shape: Shape, seed: int = 0) -> np.ndarray:
    """Uncertainty on the 256 steps that segmenting gives."""
    steps = np.random.default_rng(seed).integers(0, 256, shape)
    return (steps / 255).astype(np.float16)


def plainly_dilated(mask: np.ndarray, times: int) -> np.ndarray:
    """Dilation by faces, written out."""
    for _ in range(times):
        wide = np.pad(mask, 1)
        mask = np.logical_or.reduce(
            [np.roll(wide, shift, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for shift in (-1, 0, 1)]
        )
    return mask


@pytest.mark.parametrize("corner", [(0, 0, 0), (3, 4, 5), (7, 8, 9)])
def test_uncertainty_is_the_mean_entropy_over_what_is_drawn_and_two_voxels_around(corner: Shape) -> None:
    shape = (12, 13, 14)
    values = noise(shape)
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    z, y, x = corner
    first[z : z + 3, y : y + 4, x : x + 2] = True
    second[z : z + 4, y : y + 2, x : x + 5] = True
    near = plainly_dilated(first | second, AROUND)
    assert case_uncertainty(labels_of(first, second), values) == pytest.approx(
        float(values[near].astype(np.float64).mean()), rel=1e-12
    )


def test_uncertainty_of_a_case_without_structures_is_that_of_the_top_percent() -> None:
    values = noise((10, 20, 30))
    top = np.sort(values.astype(np.float64), axis=None)[-60:]
    found = case_uncertainty(labels_of(np.zeros(values.shape, bool)), values)
    assert found == pytest.approx(top.mean(), abs=1e-3)


@given(
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 8)] * 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_places_lie_inside_and_those_of_one_kind_never_overlap(
    shape: Shape, spacing: tuple[float, float, float], seed: int
) -> None:
    values = noise(shape, seed)
    masks = [noise(shape, seed + n + 1) > 0.97 for n in range(3)]
    labels = labels_of(*masks, spacing=spacing)
    places = find_places("case", values, labels)
    for one in places:
        assert all(at >= 0 and at + side <= n for at, side, n in zip(one.start, one.size, shape, strict=True))
        box = tuple(slice(at, at + side) for at, side in zip(one.start, one.size, strict=True))
        assert one.uncertainty == pytest.approx(float(values[box].mean(dtype=np.float64)), abs=1e-4)
    for kind in ("uncertain", "random", "stratified"):
        own = [one for one in places if one.kind == kind]
        assert len(own) <= PLACES
        for first, second in combinations(own, 2):
            assert any(abs(a - b) >= side for a, b, side in zip(first.start, second.start, first.size, strict=True))


def test_the_first_place_is_the_most_uncertain_box_there_is() -> None:
    shape = (24, 40, 40)
    values = np.zeros(shape, np.float16)
    size = box_size(shape, (1.0, 1.0, 1.0))
    # At the end of the scan, where no step of the search would begin by itself.
    values[-size[0] :, -size[1] :, -size[2] :] = 1
    values[:3, :3, :3] = 0.5
    uncertain = [one for one in find_places("c", values, labels_of(values > 2)) if one.kind == "uncertain"]
    assert uncertain[0].start == tuple(n - s for n, s in zip(shape, size, strict=True))
    assert uncertain[0].uncertainty == 1
    assert uncertain[1].start == (0, 0, 0)
    assert [one.uncertainty for one in uncertain] == sorted((one.uncertainty for one in uncertain), reverse=True)


def test_nothing_uncertain_gives_no_uncertain_place() -> None:
    values = np.zeros((20, 20, 20), np.float16)
    assert not [one for one in find_places("c", values, labels_of(values > 0)) if one.kind == "uncertain"]


def test_stratified_places_hold_the_surface_of_each_structure_and_one_holds_none() -> None:
    shape = (40, 60, 60)
    masks = [np.zeros(shape, bool) for _ in range(2)]
    masks[0][5:15, 5:15, 5:15] = True
    masks[1][25:35, 40:55, 40:55] = True
    own = [one for one in find_places("c", noise(shape), labels_of(*masks)) if one.kind == "stratified"]
    boxes = [tuple(slice(at, at + side) for at, side in zip(one.start, one.size, strict=True)) for one in own]
    held = [[bool(mask[box].any()) for mask in masks] for box in boxes]
    assert len(own) == 3
    assert sorted(held[:2]) == [[False, True], [True, False]]
    assert held[2] == [False, False]
    for box, mine in zip(boxes[:2], held, strict=False):
        mask = masks[mine.index(True)]
        assert mask[box].any()


def test_random_places_differ_between_cases_and_are_the_same_each_time() -> None:
    values = noise((30, 40, 50))
    labels = labels_of(values > 2)
    first, again, other = (
        [one.start for one in find_places(case, values, labels) if one.kind == "random"] for case in ("a", "a", "b")
    )
    assert first == again != other
    assert len(first) > 3


def test_a_structure_is_measured_in_pieces_with_touching_corners_as_one() -> None:
    mask = np.zeros((10, 30, 30), bool)
    mask[1:4, 1:4, 1:4] = True
    mask[4:7, 4:7, 4:7] = True
    mask[1:8, 20:28, 20:28] = True
    mask[9, 15, 15] = True
    (one,) = drawn_structures(labels_of(mask, spacing=(2.0, 1.0, 0.5)))
    voxels = 27 + 27 + 7 * 64 + 1
    assert (one.voxels, one.pieces, one.at_border) == (voxels, 2, True)
    assert one.ml == pytest.approx(voxels / 1000)
    assert one.largest == pytest.approx(7 * 64 / voxels, abs=1e-4)


def drawn(**values: Any) -> Drawn:
    return Drawn(
        **{"name": "liver", "voxels": 9, "ml": 100.0, "pieces": 1, "largest": 1.0, "at_border": False, **values}
    )


USUAL: dict[str, Any] = {"cases": 9, "looked_for": 10, "ml": [90, 95, 100, 105, 110, 99], "largest": 1, "at_border": 0}


@pytest.mark.parametrize(
    ("one", "usual", "wanted"),
    [
        (drawn(), {}, []),
        (drawn(), USUAL, []),
        (drawn(voxels=0, ml=0.0, pieces=0, largest=None), {}, ["empty"]),
        (drawn(voxels=0, ml=0.0, pieces=0, largest=None), USUAL, ["empty"]),
        # A lesion that most training cases do not have.
        (drawn(voxels=0, ml=0.0, pieces=0, largest=None), {**USUAL, "cases": 5}, []),
        (drawn(pieces=2, largest=0.5), {}, []),
        (drawn(pieces=3, largest=0.5), {}, ["fragmented"]),
        (drawn(pieces=2, largest=0.5), USUAL, ["fragmented"]),
        (drawn(pieces=9, largest=0.95), USUAL, []),
        # Lungs as one structure, or lesions: pieces are usual.
        (drawn(pieces=9, largest=0.4), {**USUAL, "largest": 0.55}, []),
        (drawn(pieces=None, largest=None), USUAL, []),
        (drawn(at_border=True), {}, ["touches_edge"]),
        (drawn(at_border=True), USUAL, ["touches_edge"]),
        (drawn(at_border=True), {**USUAL, "at_border": 0.9}, []),
        (drawn(ml=149.0), USUAL, []),
        (drawn(ml=151.0), USUAL, ["volume_outlier"]),
        (drawn(ml=60.0), USUAL, ["volume_outlier"]),
        # Volumes that vary widely allow more.
        (drawn(ml=1000.0), {**USUAL, "ml": [10, 30, 100, 300, 1000, 50]}, []),
        # Too few training cases to say.
        (drawn(ml=1000.0), {**USUAL, "ml": [90, 100, 110]}, []),
    ],
)
def test_a_flag_is_raised_for_what_is_unusual(one: Drawn, usual: dict[str, Any], wanted: list[str]) -> None:
    found = flags_of([one], expected({"liver": usual} if usual else {}, [[one]]))
    assert [flag.kind for flag in found] == wanted
    assert all(flag.structure == "liver" and flag.sentence.startswith("liver: ") for flag in found)


def test_without_training_volumes_the_other_proposals_say_what_is_usual() -> None:
    cases = {f"c{n}": [drawn(ml=100.0 + n)] for n in range(9)}
    cases["odd"] = [drawn(ml=400.0)]
    usual = expected({}, cases.values())
    assert [flag.kind for flag in flags_of(cases["odd"], usual)] == ["volume_outlier"]
    assert flags_of(cases["c1"], usual) == ()


def proposal(case: str, uncertainty: float, ml: float) -> Proposal:
    return Proposal(case, (Path("x"),), Path("y"), uncertainty, {"a": ml}, (), ())


QUEUE = [proposal(f"c{n}", (n * 7 % 10) / 10, float(n)) for n in range(9)]


def names(proposals: Sequence[Proposal]) -> list[str]:
    return [one.case for one in proposals]


def test_the_most_uncertain_come_first_and_decided_ones_last() -> None:
    states = {"c7": CaseState("accepted"), "c4": CaseState("rejected"), "c1": CaseState("draft", flagged=True)}
    found = order(QUEUE, states)
    by_uncertainty = sorted(QUEUE, key=lambda one: (-one.uncertainty, one.case))
    assert names(found[:-2]) == [one.case for one in by_uncertainty if one.case not in ("c7", "c4")]
    assert set(names(found[-2:])) == {"c7", "c4"}


def test_a_random_order_hangs_on_the_seed_alone() -> None:
    first = order(QUEUE, {}, "random", seed=1)
    assert names(first) == names(order(QUEUE[::-1], {}, "random", seed=1))
    assert names(first) != names(order(QUEUE, {}, "random", seed=2))
    fewer = [one for one in first if one.case != "c3"]
    assert names(order([one for one in QUEUE if one.case != "c3"], {}, "random", seed=1)) == names(fewer)


def test_a_stratified_order_takes_small_medium_and_large_in_turns() -> None:
    found = order(QUEUE, {}, "stratified", seed=3)
    assert [int(sum(one.volumes_ml.values())) // 3 for one in found] == [0, 1, 2] * 3
    assert sorted(names(found)) == sorted(names(QUEUE))
    assert len(order(QUEUE[:2], {}, "stratified")) == 2


def test_order_by_name_is_by_name() -> None:
    assert names(order(QUEUE[::-1], {}, "name")) == [f"c{n}" for n in range(9)]
