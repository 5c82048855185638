"""Labelled cases in the cache: images and numbers on one grid, voxel by voxel, whatever happens to the files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_files import CT, LIVER, MR, ORGANS, SHAPE, SPLEEN, TUMOUR, case, drawn, masks, save, shown

from genesis_core.errors import CacheError, VolumeError
from genesis_core.sampling.bricks import read_numbers, write_bricks
from genesis_core.sampling.cache_keeping import survey_cache
from genesis_core.sampling.labelled_cache import CachedCase, open_cached_case
from genesis_core.sampling.structure_places import PLACES, find_places
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.preprocessing import Preprocessing

# Numbers in the cache are positions + 1.
NUMBERED = {1: 1, 2: 2, 5: 3}


def numbered(labels: np.ndarray) -> np.ndarray:
    out = np.zeros(labels.shape, np.int16)
    for value, number in NUMBERED.items():
        out[labels == value] = number
    return out


def whole(opened: CachedCase) -> tuple[np.ndarray, np.ndarray]:
    return opened.read((0, 0, 0), opened.shape)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.integers(-30, 60)] * 3),
    st.tuples(*[st.integers(1, 50)] * 3),
    st.tuples(*[st.integers(1, 55)] * 3),
    st.integers(0, 2**32 - 1),
)
def test_numbers_come_back_as_they_were_and_beyond_the_array_as_asked(
    start: tuple[int, int, int], size: tuple[int, int, int], shape: tuple[int, int, int], seed: int
) -> None:
    import tempfile

    array = np.random.default_rng(seed).integers(-1, 300, shape).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        write_bricks(Path(folder) / "a.bricks", array, {})
        found = read_numbers(Path(folder) / "a.bricks", start, size, -7)
    padded = np.pad(array, 120, constant_values=-7)
    expected = padded[tuple(slice(a + 120, a + 120 + n) for a, n in zip(start, size, strict=True))]
    assert found.dtype == np.int16
    assert np.array_equal(found, expected)


def test_a_case_comes_back_voxel_by_voxel(tmp_path: Path) -> None:
    labels = drawn()
    opened = open_cached_case(case(tmp_path), ORGANS, CT, tmp_path / "cache")
    images, layers = whole(opened)
    assert images.dtype == np.float32
    assert images[0] == pytest.approx((shown(labels) + 1000) / 2000, abs=1e-6)
    assert np.array_equal(layers, numbered(labels)[None])
    assert opened.voxels == ((labels == 1).sum(), 1, (labels == 5).sum())
    assert opened.annotated == (True, True, True)
    assert opened.known == labels.size
    assert (opened.id, opened.subject) == ("case_one", "subject_one")
    assert opened.structures == ("liver", "tumour", "spleen")


def test_beyond_the_scan_images_are_dark_and_nothing_is_annotated(tmp_path: Path) -> None:
    opened = open_cached_case(case(tmp_path), ORGANS, CT, tmp_path / "cache")
    images, layers = opened.read((-2, 0, 0), (4, 30, 40))
    assert (layers[:, :2] == -1).all()
    assert (images[:, :2] == 0).all()
    assert (layers[:, 2:] >= 0).all()


def test_labels_follow_their_image_to_another_orientation_and_spacing(tmp_path: Path) -> None:
    preprocessing = Preprocessing(modality="ct", axis_codes="RAS", spacing=(1.5, 1.5, 1.0))
    opened = open_cached_case(case(tmp_path, spacing=(1.0, 1.0, 2.0)), ORGANS, preprocessing, tmp_path / "cache")
    images, layers = whole(opened)
    assert opened.geometry.axis_codes == "RAS"
    assert opened.shape == (40, 20, 27)
    # Each number is a step of 100 HU in the image: where it is interpolated the two agree but for the edges.
    values = np.array([0, 100, 200, 500])[layers[0]]
    assert np.mean(np.abs(images[0] * 2000 - 1000 - 20 - values) < 60) > 0.93


def test_several_channels_lie_on_one_grid_and_are_mapped_each_by_itself(tmp_path: Path) -> None:
    one = case(tmp_path, channels=2)
    bright = shown(drawn(), 1).astype(np.int16) * 7
    save(bright, tmp_path / "one_1.nii.gz")
    opened = open_cached_case(one, ORGANS, MR, tmp_path / "cache")
    images, layers = whole(opened)
    assert images.shape == (2, *SHAPE)
    assert layers.shape == (1, *SHAPE)
    assert opened.images[1].map.high > 5 * opened.images[0].map.high
    assert images.max(axis=(1, 2, 3)) == pytest.approx([1, 1])


def test_overlapping_masks_keep_every_voxel_in_layers(tmp_path: Path) -> None:
    liver, tumour = drawn() > 0, drawn() == 2
    opened = open_cached_case(masks(tmp_path, liver=liver, tumour=tumour), ORGANS[:2], CT, tmp_path / "cache")
    _, layers = whole(opened)
    assert opened.layers == 2
    assert np.array_equal((layers == 1).any(axis=0), liver)
    assert np.array_equal((layers == 2).any(axis=0), tumour)


def test_a_structure_without_a_file_was_not_looked_for_and_an_empty_mask_was(tmp_path: Path) -> None:
    liver = drawn() == 1
    opened = open_cached_case(masks(tmp_path, liver=liver, spleen=np.zeros_like(liver)), ORGANS, CT, tmp_path / "cache")
    assert opened.annotated == (True, False, True)
    assert opened.voxels[1:] == (0, 0)


def test_what_a_case_says_of_its_annotation_counts(tmp_path: Path) -> None:
    some = case(tmp_path, annotated=("liver",))
    opened = open_cached_case(some, ORGANS, CT, tmp_path / "cache")
    assert opened.annotated == (True, False, False)
    assert np.unique(whole(opened)[1]).tolist() == [0, 1]


def test_ignored_places_are_unknown_in_every_layer(tmp_path: Path) -> None:
    labels = drawn()
    labels[:, :, 36:] = 9
    wanted = (*ORGANS, Structure("ignore", 9))
    opened = open_cached_case(case(tmp_path, labels=labels), wanted, CT, tmp_path / "cache")
    _, layers = whole(opened)
    assert (layers[..., 36:] == -1).all()
    assert (layers[..., :36] >= 0).all()
    assert opened.structures == ("liver", "tumour", "spleen")
    assert opened.known == 20 * 30 * 36
    places = opened.positions(3)
    assert len(places) == PLACES
    assert (places[:, 2] < 36).all()


def test_places_lie_in_their_structure_and_all_over_it(tmp_path: Path) -> None:
    labels = drawn()
    opened = open_cached_case(case(tmp_path, labels=labels), ORGANS, CT, tmp_path / "cache")
    for structure, value in enumerate((1, 2, 5)):
        places = opened.positions(structure)
        assert len(places) == min(PLACES, (labels == value).sum())
        assert (labels[tuple(places.T)] == value).all()
    assert set(opened.positions(0)[:, 0]) == set(range(4, 14))
    assert opened.positions(1).tolist() == [[8, 9, 10]]
    assert len(opened.positions(3)) == 0


def test_places_do_not_depend_on_the_number_of_structures_before() -> None:
    layers = numbered(drawn())[None]
    places, voxels = find_places(layers, 3)
    more, _ = find_places(layers, 6)
    assert np.array_equal(places[:3], more[:3])
    assert voxels == (1399, 1, 192, layers.size)


def test_reopening_prepares_nothing_again(tmp_path: Path) -> None:
    one = case(tmp_path)
    first = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    times = {path: path.stat().st_mtime_ns for path in first.entries}
    again = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    assert {path: path.stat().st_mtime_ns for path in again.entries} == times
    assert again.notes == first.notes
    assert not any("rebuilt" in note for note in again.notes)


def test_a_corrected_label_gets_new_numbers_and_keeps_its_image(tmp_path: Path) -> None:
    one = case(tmp_path)
    first = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    image = first.entries[0].stat().st_mtime_ns
    labels = drawn()
    labels[8, 9, 10] = 1
    save(labels, tmp_path / "one_label.nii.gz")
    second = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    assert second.entries[0] == first.entries[0]
    assert second.entries[0].stat().st_mtime_ns == image
    assert second.voxels[1] == 0
    assert set(second.entries[1:]).isdisjoint(first.entries[1:])


@pytest.mark.parametrize(
    "other",
    [
        {"structures": (TUMOUR, LIVER, SPLEEN)},
        {"structures": (LIVER, replace(TUMOUR, value=5))},
        {"preprocessing": Preprocessing(modality="ct", spacing=(2, 2, 2))},
    ],
)
def test_other_structures_or_grids_are_other_entries(tmp_path: Path, other: dict[str, object]) -> None:
    one = case(tmp_path)
    first = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    second = open_cached_case(
        one,
        other.get("structures", ORGANS),
        other.get("preprocessing", CT),
        tmp_path / "cache",  # type: ignore[arg-type]
    )
    assert second.entries[-1] != first.entries[-1]


def test_another_window_costs_nothing(tmp_path: Path) -> None:
    one = case(tmp_path)
    narrow = Preprocessing.model_validate({"modality": "ct", "intensity": {"kind": "window", "low": 0, "high": 200}})
    first = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    second = open_cached_case(one, ORGANS, narrow, tmp_path / "cache")
    assert second.entries == first.entries
    assert whole(second)[0].max() == 1


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
def test_a_damaged_entry_is_rebuilt_while_it_is_read(tmp_path: Path, which: int, how: str) -> None:
    opened = open_cached_case(case(tmp_path), ORGANS, CT, tmp_path / "cache")
    images, layers = whole(opened)
    _damage(opened.entries[which], how)
    for structure in range(3):
        assert len(opened.positions(structure))
    again = whole(opened)
    assert np.array_equal(again[0], images)
    assert np.array_equal(again[1], layers)
    assert any("rebuilt" in note for note in opened.notes)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_entry_is_rebuilt_when_it_is_opened(tmp_path: Path, which: int) -> None:
    one = case(tmp_path)
    _damage(open_cached_case(one, ORGANS, CT, tmp_path / "cache").entries[which], "cut")
    opened = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    assert np.array_equal(whole(opened)[1], numbered(drawn())[None])
    assert any("rebuilt" in note for note in opened.notes)


def test_damage_whose_source_has_changed_is_an_error_in_words(tmp_path: Path) -> None:
    one = case(tmp_path)
    opened = open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    save(drawn()[:, ::-1], tmp_path / "one_label.nii.gz")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(CacheError, match="has changed since"):
        whole(opened)


def test_a_case_without_labels_or_with_labels_of_another_grid_is_refused(tmp_path: Path) -> None:
    one = case(tmp_path)
    with pytest.raises(VolumeError, match="nothing is drawn"):
        open_cached_case(replace(one, label=None), ORGANS, CT, tmp_path / "cache")
    save(drawn()[1:], tmp_path / "one_label.nii.gz")
    with pytest.raises(VolumeError, match="grid"):
        open_cached_case(one, ORGANS, CT, tmp_path / "cache")


def test_a_structure_lost_to_the_spacing_is_said(tmp_path: Path) -> None:
    coarse = Preprocessing(modality="ct", spacing=(4, 4, 4))
    opened = open_cached_case(case(tmp_path), ORGANS, coarse, tmp_path / "cache")
    assert opened.voxels[1] == 0
    assert any("nothing is left of tumour" in note for note in opened.notes)


def test_the_cache_knows_its_files(tmp_path: Path) -> None:
    opened = open_cached_case(case(tmp_path, channels=2), ORGANS, MR, tmp_path / "cache")
    survey = survey_cache(tmp_path / "cache")
    assert survey.foreign == 0
    assert {file.path for file in survey.entries} == set(opened.entries)


def _damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        content = bytearray(path.read_bytes())
        content[16:24] = bytes(255 - byte for byte in content[16:24])
        path.write_bytes(content)


def test_real_labelled_sets_are_read_through(real_data: Path, tmp_path: Path) -> None:
    from genesis_core.volumes.labelled.finding import find_labelled

    folders = [
        ("hippocampus_mr", "mr", (Structure("anterior", 1), Structure("posterior", 2)), 3),
        ("spinal_cord_mr", "mr", (Structure("cord", 1),), 2),
        ("sarcoma_ct", "ct", (Structure("tumour", 1),), 2),
    ]
    for name, modality, structures, count in folders:
        found = find_labelled(real_data / "labelled" / name)
        cases = [one for one in found.cases if one.label is not None][:count]
        assert cases
        for one in cases:
            _read_through(one, structures, Preprocessing.model_validate({"modality": modality}), tmp_path)


def _read_through(one: Case, structures: tuple[Structure, ...], preprocessing: Preprocessing, folder: Path) -> None:
    opened = open_cached_case(replace(one, numbering=structures), structures, preprocessing, folder / "cache")
    images, layers = whole(opened)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.bincount(layers[layers > 0], minlength=len(structures) + 1)[1:].tolist() == list(opened.voxels)
    assert sum(opened.voxels) > 0
