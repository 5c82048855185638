"""A case is read whole or refused: images and label on one grid, numbers as the folder's list has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_folders import (
    SHAPE,
    box,
    decathlon,
    images_and_labels,
    nnunet,
    totalsegmentator,
    touch,
    write_label,
    write_scan,
    write_table,
)

import genesis_core as gc
from genesis_core.errors import VolumeError
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.labelled.case import Case, LabelSource, Source
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.label_list import join_lists
from genesis_core.volumes.labelled.layout import label_map, make_case
from genesis_core.volumes.labelled.reading_cases import LabelledCase, read_case, with_numbers_of
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume


def read(root: Path) -> list[tuple[LabelledCase, LabelVolume]]:
    found = find_labelled(root)
    cases = []
    for case in found.cases:
        whole = read_case(case, found.structures)
        assert whole.label is not None
        cases.append((whole, whole.label))
    return cases


def test_a_label_map_is_read_on_its_images_grid(tmp_path: Path) -> None:
    ((case, label),) = read(nnunet(tmp_path, ["c1"], ["T1", "T2"]))
    assert [image.shape for image in case.images] == [SHAPE, SHAPE]
    assert [s.name for s in label.structures] == ["liver"]
    np.testing.assert_array_equal(label.as_map(), box())


def test_the_public_names_do_it_all(tmp_path: Path) -> None:
    found = gc.find_labelled(images_and_labels(tmp_path, ["a", "b"], label="labels/{}_seg.nrrd"))
    assert [gc.read_case(case).label is not None for case in found.cases] == [True, True]


def test_frames_become_channels(tmp_path: Path) -> None:
    decathlon(tmp_path, ["b1"], ["FLAIR", "T1w", "T2w"])
    values = np.stack([np.full(SHAPE, n, np.int16) for n in (5, 6, 7)])
    write_scan(tmp_path / "imagesTr/b1.nii.gz", values)
    ((case, _),) = read(tmp_path)
    assert [int(image.array.max()) for image in case.images] == [5, 6, 7]
    single = find_labelled(tmp_path).cases[0].images[2]
    alone = read_case(make_case("x", [single], None))
    assert int(alone.images[0].array.max()) == 7


def test_masks_share_a_layer_unless_they_overlap(tmp_path: Path) -> None:
    totalsegmentator(tmp_path / "overlap", {"s1": ["a", "b"]})
    totalsegmentator(tmp_path / "apart", {"s1": ["a"]})
    far = np.zeros(SHAPE, np.uint8)
    far[3, 4, 4:] = 255
    write_scan(tmp_path / "apart/s1/segmentations/b.nii.gz", far)
    ((_, overlapping),) = read(tmp_path / "overlap")
    ((_, apart),) = read(tmp_path / "apart")
    assert (len(overlapping.layers), len(apart.layers)) == (2, 1)
    for label in (overlapping, apart):
        assert [(s.name, s.value) for s in label.structures] == [("a", 1), ("b", 2)]
    np.testing.assert_array_equal(overlapping.mask(overlapping.structures[0]), box(1, 0, 2) > 0)
    np.testing.assert_array_equal(overlapping.mask(overlapping.structures[1]), box(1, 1, 3) > 0)
    np.testing.assert_array_equal(apart.mask(apart.structures[1]), far > 0)


def test_an_empty_mask_is_a_structure_and_a_missing_one_is_none(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s1": ["a", "b"], "s2": ["a", "b", "c"]})
    write_scan(tmp_path / "s1/segmentations/b.nii.gz", np.zeros(SHAPE, np.uint8))
    first, second = (label for _, label in read(tmp_path))
    assert [(s.name, s.value) for s in first.structures] == [("a", 1), ("b", 2)]
    assert not first.mask(first.structures[1]).any()
    assert [(s.name, s.value) for s in second.structures] == [("a", 1), ("b", 2), ("c", 3)]


def test_a_mask_of_several_numbers_is_refused(tmp_path: Path) -> None:
    totalsegmentator(tmp_path, {"s1": ["a"]})
    write_scan(tmp_path / "s1/segmentations/a.nii.gz", box(1) + box(2, 2, 4))
    with pytest.raises(VolumeError, match=r"a\.nii\.gz: holds the numbers 1, 2, 3"):
        read(tmp_path)


def test_columns_of_masks_tell_what_was_looked_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scan(tmp_path / f"{name}.nii.gz")
        write_label(tmp_path / f"{name}_drawn.nii.gz")
    table = write_table(
        tmp_path / "t.csv", "image,mask_cord,mask_grey\na.nii.gz,a_drawn.nii.gz,\nb.nii.gz,,b_drawn.nii.gz\n"
    )
    labels = [label for _, label in read(table)]
    assert [[(s.name, s.value) for s in label.structures] for label in labels] == [[("cord", 1)], [("grey", 2)]]
    assert [int(label.as_map().max()) for label in labels] == [1, 2]


@pytest.mark.parametrize(("change", "words"), [({"spacing": 3.0}, "spacing"), ({"origin": 40.0}, "origin")])
def test_a_label_on_another_grid_is_refused_in_words(tmp_path: Path, change: dict[str, float], words: str) -> None:
    images_and_labels(tmp_path, ["a"])
    write_label(tmp_path / "labels/a.nii.gz", **change)
    with pytest.raises(
        VolumeError, match=rf"labels/a\.nii\.gz: lies on another grid than .*images/a\.nii\.gz.*{words}"
    ):
        read(tmp_path)


def test_a_channel_or_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    nnunet(tmp_path / "n", ["c1"], ["T1", "T2"])
    write_scan(tmp_path / "n/imagesTr/c1_0001.nii.gz", spacing=1.0)
    totalsegmentator(tmp_path / "t", {"s1": ["a", "b"]})
    write_label(tmp_path / "t/s1/segmentations/b.nii.gz", spacing=1.0)
    with pytest.raises(VolumeError, match="c1_0001"):
        read(tmp_path / "n")
    with pytest.raises(VolumeError, match=r"b\.nii\.gz: lies on another grid"):
        read(tmp_path / "t")


def test_a_real_label_on_another_grid_is_refused(real_data: Path) -> None:
    image = real_data / "labelled/sarcoma_ct/images/STS_025.nii.gz"
    case = make_case("STS_025", [Source(image)], label_map(Source(real_data / "awkward/mismatched_label.nii.gz")))
    with pytest.raises(VolumeError, match=r"mismatched_label.*another grid.*shape 47 x 130 x 139"):
        read_case(case)


def test_numbers_without_a_name_are_said_and_stay_unnamed(tmp_path: Path) -> None:
    nnunet(tmp_path, ["c1"])
    write_scan(tmp_path / "labelsTr/c1.nii.gz", box(1) + box(7, 3, 4))
    ((_, label),) = read(tmp_path)
    assert [s.name for s in label.structures] == ["liver"]
    assert any("7 (1 voxels)" in note for note in label.notes)


def test_damaged_and_missing_files_are_refused_by_name(tmp_path: Path) -> None:
    images_and_labels(tmp_path, ["a", "b"])
    touch(tmp_path, "labels/a.nii.gz")
    case_a, case_b = find_labelled(tmp_path).cases
    (tmp_path / "images/b.nii.gz").unlink()
    with pytest.raises(VolumeError, match=r"labels/a\.nii\.gz: the file is empty"):
        read_case(case_a)
    with pytest.raises(VolumeError, match=r"images/b\.nii\.gz: no such file"):
        read_case(case_b)


def test_a_case_without_a_label_has_none(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "x.nii.gz")
    assert read_case(make_case("x", [Source(path)], None)).label is None


def test_cases_with_numbers_of_their_own_get_the_folders(tmp_path: Path) -> None:
    images_and_labels(tmp_path, ["ct_1", "mr_1"])
    write_label(tmp_path / "labels/ct_1.nii.gz", 5)
    write_label(tmp_path / "labels/mr_1.nii.gz", 2)
    write_table(
        tmp_path / "label_names.csv", "map,number,name\nct,1,spleen\nct,5,liver\nmr,1,spleen\nmr,2,liver\nmr,3,cord\n"
    )
    found = find_labelled(tmp_path)
    assert [s.name for s in found.structures] == ["spleen", "liver", "cord"]
    assert [case.annotated for case in found.cases] == [("spleen", "liver"), ("spleen", "liver", "cord")]
    for _, label in read(tmp_path):
        assert label.as_map().max() == next(s.value for s in found.structures if s.name == "liver")
    np.testing.assert_array_equal(*(label.as_map() for _, label in read(tmp_path)))


def test_several_lists_that_names_do_not_choose_between_are_not_used(tmp_path: Path) -> None:
    images_and_labels(tmp_path, ["ct_1", "patient"])
    write_table(tmp_path / "label_names.csv", "map,number,name\nct,1,spleen\nmr,1,liver\n")
    found = find_labelled(tmp_path)
    assert found.structures == ()
    assert any("patient" in note and "no names are used" in note for note in found.notes)


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@settings(deadline=None, max_examples=60)
@given(first=NAMES, second=NAMES, seed=st.integers(0, 999), high=st.sampled_from([9, 300, 70_000, 2_000_000]))
def test_translating_numbers_moves_no_voxel_of_a_structure(
    first: list[str], second: list[str], seed: int, high: int
) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.choice(np.arange(1, high), size=len(first), replace=False)
    own = tuple(Structure(name, int(n)) for name, n in zip(first, numbers, strict=True))
    layer = rng.choice([0, *numbers.tolist(), high], size=SHAPE).astype(np.uint32)
    label = LabelVolume((layer,), Geometry(SHAPE), own)
    joined = join_lists([[Structure(name, 1) for name in second], own])
    result = with_numbers_of(label, joined)
    assert {s.name for s in result.structures} == set(first)
    assert all(s.value == next(j.value for j in joined if j.name == s.name) for s in result.structures)
    for structure in result.structures:
        before = next(s for s in own if s.name == structure.name)
        np.testing.assert_array_equal(result.mask(structure), label.mask(before))
    np.testing.assert_array_equal(label.layers[0], layer)


def test_labels_that_share_no_name_with_the_list_are_refused() -> None:
    label = LabelVolume((box(),), Geometry(SHAPE), (Structure("liver", 1),))
    with pytest.raises(VolumeError, match="none of the list's"):
        with_numbers_of(label, [Structure("spleen", 1)])
    kept = with_numbers_of(label, [Structure("spleen", 1), Structure("liver", 2)])
    assert [(s.name, s.value) for s in kept.structures] == [("liver", 2)]
    assert kept.as_map().max() == 2


def test_a_missing_mask_file_is_named(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "x.nii.gz")
    label = LabelSource("masks", (("liver", Source(tmp_path / "gone.nii.gz")),))
    case: Case = make_case("x", [Source(path)], label)
    with pytest.raises(VolumeError, match=r"gone\.nii\.gz: no such file"):
        read_case(case)


def test_a_cropped_slicer_segmentation_is_put_back_onto_its_scan(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    geometry = Geometry((6, 7, 8), (1.0, 2.0, 3.0), (5.0, -4.0, 9.0))
    write_volume(Volume(np.zeros((6, 7, 8), np.int16), geometry), tmp_path / "images" / "a.nii.gz")
    cropped = Geometry((2, 3, 4), (1.0, 2.0, 3.0), (5.0 + 2, -4.0 + 2 * 3, 9.0 + 3 * 1))
    drawn = LabelVolume((np.ones((2, 3, 4), np.uint8),), cropped, (Structure("liver", 1),))
    write_labels(drawn, tmp_path / "labels" / "a.seg.nrrd")
    found = find_labelled(tmp_path)
    label = read_case(found.cases[0], found.structures).label
    assert label is not None
    assert label.geometry == read_volume(tmp_path / "images" / "a.nii.gz").geometry
    expected = np.zeros((6, 7, 8), bool)
    expected[1:3, 3:6, 2:6] = True
    assert np.array_equal(label.mask(label.structures[0]), expected)
