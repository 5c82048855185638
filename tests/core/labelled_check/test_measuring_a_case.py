"""What is measured of one case: sizes, pieces, places, and fingerprints that know the same voxels again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.labelled.check_records import CaseRecord, ChannelRecord
from genesis_core.volumes.labelled.duplicates import (
    Seen,
    find_duplicates,
    same_subject,
    shared_subjects,
)
from genesis_core.volumes.labelled.measuring import count_values, measure_channel, measure_labels, opposite
from genesis_core.volumes.labelled.outliers import robust_outliers
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.voxel_fingerprint import image_fingerprint

SHAPE = (5, 6, 7)
CODES = ("LPS", "RAS", "RPS", "SLP", "IAR", "PSL")
labels = arrays(np.uint8, SHAPE, elements=st.integers(0, 3))


def label_volume(array: np.ndarray, names: tuple[str, ...] = ("a", "b", "c")) -> LabelVolume:
    geometry = Geometry(array.shape, (1.0, 2.0, 3.0), (5.0, -7.0, 9.0))  # type: ignore[arg-type]
    return LabelVolume((array,), geometry, tuple(Structure(name, value) for value, name in enumerate(names, start=1)))


@settings(deadline=None, max_examples=60)
@given(labels)
def test_voxels_and_millilitres_are_counted(array: np.ndarray) -> None:
    drawing = measure_labels(label_volume(array))
    wanted = {name: int(np.count_nonzero(array == value)) for value, name in enumerate("abc", start=1)}
    assert {one.name: one.voxels for one in drawing.structures} == {k: v for k, v in wanted.items() if v}
    for one in drawing.structures:
        assert one.millilitres == pytest.approx(one.voxels * 6 / 1000, abs=1e-4)
        place = np.argwhere(array == "abc".index(one.name) + 1)
        assert one.x == pytest.approx(5 + place[:, 2].mean(), abs=0.01)
        edges = (place == 0) | (place == np.array(SHAPE) - 1)
        assert one.at_border == bool(edges.any())


@settings(deadline=None, max_examples=60)
@given(labels, st.permutations([1, 2, 3]), st.sampled_from(CODES), st.sampled_from([np.uint8, np.int16, np.int32]))
def test_a_label_is_known_again_with_other_numbers_types_and_axes(
    array: np.ndarray, numbers: list[int], codes: str, kind: type
) -> None:
    first = label_volume(array)
    other = np.array([0, *(value * 7 for value in numbers)], kind)[array]
    turned = reorient(Volume(other, first.geometry), codes)
    structures = tuple(Structure(name, value * 7) for name, value in zip("abc", numbers, strict=True))
    again = LabelVolume((turned.array,), turned.geometry, structures[::-1])
    assert measure_labels(again).fingerprint == measure_labels(first).fingerprint


@settings(deadline=None, max_examples=40)
@given(labels)
def test_a_label_is_known_again_in_layers(array: np.ndarray) -> None:
    first = label_volume(array)
    layers = tuple((array == value).astype(np.uint8) for value in (1, 2, 3))
    structures = tuple(Structure(name, 1, layer=layer) for layer, name in enumerate("abc"))
    again = LabelVolume(layers, first.geometry, structures)
    assert measure_labels(again).fingerprint == measure_labels(first).fingerprint


@settings(deadline=None, max_examples=60)
@given(labels, st.tuples(*(st.integers(0, n - 1) for n in SHAPE)))
def test_one_voxel_makes_another_label(array: np.ndarray, place: tuple[int, int, int]) -> None:
    other = array.copy()
    other[place] = (other[place] + 1) % 4
    assert measure_labels(label_volume(other)).fingerprint != measure_labels(label_volume(array)).fingerprint


def test_another_name_makes_another_label() -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[1, 1, 1] = 1
    assert (
        measure_labels(label_volume(array)).fingerprint != measure_labels(label_volume(array, ("liver",))).fingerprint
    )


def test_nothing_drawn_has_no_fingerprint_and_unknown_numbers_are_counted() -> None:
    array = np.zeros(SHAPE, np.int16)
    array[0, 0, :4] = 9
    array[0, 1, :2] = -3
    drawing = measure_labels(label_volume(array))
    assert drawing.fingerprint is None
    assert drawing.structures == ()
    assert dict(drawing.outside) == {9: 4, -3: 2}


def test_numbers_of_any_size_are_measured() -> None:
    array = np.zeros(SHAPE, np.int32)
    array[2, 2:4, 2:4] = 2_000_000_000
    geometry = Geometry(SHAPE)
    drawing = measure_labels(LabelVolume((array,), geometry, (Structure("far", 2_000_000_000),)))
    assert [one.voxels for one in drawing.structures] == [4]


def test_specks_are_pieces_of_up_to_ten_voxels() -> None:
    array = np.zeros((20, 20, 20), np.uint8)
    array[2:10, 2:10, 2:10] = 1
    array[15, 15, 5:15] = 1
    array[18, 2, 2] = 1
    array[13:15, 2:8, 15] = 1
    (one,) = measure_labels(label_volume(array, ("a",))).structures
    assert one.specks == 2
    assert one.largest == pytest.approx(512 / 535, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(arrays(np.int16, (3, 4, 5), elements=st.integers(-3, 300)))
def test_values_are_counted_as_numpy_does(array: np.ndarray) -> None:
    values, counts = np.unique(array, return_counts=True)
    assert count_values(array) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert count_values(abs(array)) == count_values(abs(array).astype(np.uint64))


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.int16, SHAPE, elements=st.integers(-2000, 2000)),
    st.sampled_from(CODES),
    st.sampled_from([np.int16, np.int32, np.float32, np.float64]),
)
def test_a_scan_is_known_again_in_other_types_and_axes(array: np.ndarray, codes: str, kind: type) -> None:
    volume = Volume.from_array(array, (1.0, 2.0, 3.0))
    again = reorient(volume.with_array(array.astype(kind)), codes)
    assert image_fingerprint(again) == image_fingerprint(volume)
    other = array.copy()
    other[2, 3, 4] += 1
    assert image_fingerprint(volume.with_array(other)) != image_fingerprint(volume)


def test_a_channel_tells_modality_and_percentiles() -> None:
    array = np.linspace(0, 100, 210).reshape(SHAPE).astype(np.float32)
    channel = measure_channel(Volume.from_array(array))
    assert channel.modality == "mr"
    assert channel.percentiles == pytest.approx((0, 0.5, 50, 99.5, 100), abs=1e-3)
    assert not channel.is_constant


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("kidney_left", "kidney_right"),
        ("Left lung", "Right lung"),
        ("lung_upper_lobe_left", "lung_upper_lobe_right"),
        ("Femur L", "Femur R"),
        ("rib_left_6", "rib_right_6"),
        ("LLung", "RLung"),
        ("KidneyLeft", "KidneyRight"),
        ("ctx-lh-insula", "ctx-rh-insula"),
        ("vertebrae_L1", None),
        ("kidney_right", None),
        ("liver", None),
        ("cleft", None),
    ],
)
def test_the_other_side_of_a_name(name: str, other: str | None) -> None:
    assert opposite(name) == other


@settings(deadline=None)
@given(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=40))
def test_values_within_the_floor_are_no_outliers(values: list[float]) -> None:
    assert robust_outliers(values, 0.25) == []


def test_one_far_value_is_an_outlier_only_among_enough_others() -> None:
    assert robust_outliers([1.0] * 9 + [5.0], 0.5) == [9]
    assert robust_outliers([1.0] * 6 + [5.0], 0.5) == []
    assert robust_outliers([1.0] * 6 + [5.0] * 4, 0.5) == []


def record(name: str, *images: str, label: str | None = None, subject: str | None = None) -> CaseRecord:
    channels = tuple(ChannelRecord("mr", 0.9, "", False, (0, 1, 2, 3, 4), image) for image in images)
    return CaseRecord(
        name, f"id_{name}", subject or f"subject_{name}", "training", "usable", channels=channels, label=label
    )


def test_one_image_twice_in_a_case_is_named() -> None:
    (problem,) = find_duplicates([record("a", "1", "1", label="x"), record("b", "2", "3", label="y")])
    assert (problem.kind, problem.cases) == ("same_channels", ("a",))


def test_images_without_content_are_no_duplicates() -> None:
    flat = [
        replace(one, channels=tuple(replace(c, percentiles=(0, 0, 0, 0, 0)) for c in one.channels))
        for one in (record("a", "1", label="x"), record("b", "1", label="y"))
    ]
    assert find_duplicates(flat) == []


def test_subjects_are_joined_through_any_chain_of_shared_scans() -> None:
    cases = [record("d", "3", "4"), record("a", "1"), record("b", "1", "2"), record("c", "2", "3"), record("e", "9")]
    joined = same_subject(cases)
    assert {joined[f"subject_{name}"] for name in "abcd"} == {"subject_a"}
    assert joined["subject_e"] == "subject_e"


def test_what_pre_training_saw_of_a_test_set_is_told() -> None:
    seen = [Seen("scan1", "subject_1", frozenset({"v1"})), Seen("scan2", "subject_2", frozenset({"v2"}))]
    target = [
        Seen("case_a", "subject_9", frozenset({"v0", "v2"})),
        Seen("case_b", "subject_1", frozenset({"v7"})),
        Seen("case_c", "subject_3", frozenset({"v8"})),
    ]
    found = [(one.first, one.second, one.by) for one in shared_subjects(seen, target)]
    assert found == [("scan2", "case_a", "the same scan"), ("scan1", "case_b", "the same subject")]
