"""Every real labelled set is found as it lies, and every case of it can be read on one grid."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_folders import write_table

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.reading_cases import read_case

# Set -> (cases, channels, numbers in the first case's label).
SETS = {
    "hippocampus_mr": (48, ("image",), {1, 2}),
    "sarcoma_ct": (10, ("image",), {1}),
    "sarcoma_mr_t1": (10, ("image",), {1}),
    "ms_lesions_mr": (2, ("FLAIR", "T1"), {1}),
    "totalseg_multiorgan": (3, ("image",), None),
    "vertebra_crops": (2, ("image",), None),
    "thorax_rtstruct_ct": (1, ("image",), {1, 2, 3, 4}),
    "brain_tissue_mni152": (1, ("image",), {1, 2, 3}),
    "spinal_cord_mr": (2, ("image",), {1}),
}


@pytest.mark.parametrize("name", SETS)
def test_a_real_set_is_found_and_read(real_data: Path, name: str) -> None:
    cases, channels, numbers = SETS[name]
    found = find_labelled(real_data / "labelled" / name)
    assert found.layout == "a folder of images with a folder of labels"
    assert (len(found.cases), found.channels, found.left_out) == (cases, channels, ())
    assert len({case.id for case in found.cases}) == cases
    for case in found.cases[:6]:
        read = read_case(case, found.structures)
        assert read.label is not None
        assert len(read.images) == len(channels)
        assert all(image.shape == read.label.geometry.shape for image in read.images)
        assert read.label.layers[0].any()
        if numbers is not None:
            assert {s.value for s in read.label.structures} <= numbers


def test_the_other_sets_of_labels_are_named_and_can_be_chosen(real_data: Path) -> None:
    root = real_data / "labelled/sarcoma_ct"
    assert any("labels_tissue/" in note for note in find_labelled(root).notes)
    tissue = find_labelled(root, labels="labels_tissue")
    label = read_case(tissue.cases[0], tissue.structures).label
    assert label is not None
    assert {s.value for s in label.structures} == {1, 2, 3, 5}


def test_two_numberings_in_one_set_are_joined_by_name(real_data: Path) -> None:
    found = find_labelled(real_data / "labelled/totalseg_multiorgan")
    ct, _, mr = found.cases
    assert (len(ct.annotated or ()), len(mr.annotated or ())) == (117, 50)
    assert any("several lists of names (ct, mr)" in note for note in found.notes)
    value = {s.name: s.value for s in found.structures}
    names = {}
    for case in (ct, mr):
        read = read_case(case, found.structures)
        assert read.label is not None
        names[case.name] = {s.name for s in read.label.structures if read.label.mask(s).any()}
        assert all(s.value == value[s.name] for s in read.label.structures)
    assert {"liver", "spleen", "aorta"} <= names["ct_a"] & names["mr_a"]
    assert "rib_left_10" not in (mr.annotated or ())


def test_the_names_of_one_set_are_not_put_on_another(real_data: Path) -> None:
    common = find_labelled(real_data / "labelled/totalseg_multiorgan", labels="labels_common")
    assert common.structures == ()
    assert any("label_names.csv is taken to name another set" in note for note in common.notes)


def test_two_meanings_of_one_number_are_told_apart_by_a_table(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "labelled/spinal_cord_mr"
    table = write_table(
        tmp_path / "cases.csv",
        "name,image,mask_spinal_cord,mask_grey_matter\n"
        f"t2,{root}/images/t2.nii.gz,{root}/labels/t2.nii.gz,\n"
        f"t2s,{root}/images/t2s.nii.gz,,{root}/labels/t2s.nii.gz\n",
    )
    found = find_labelled(table)
    assert [case.annotated for case in found.cases] == [("spinal_cord",), ("grey_matter",)]
    labels = [read_case(case, found.structures).label for case in found.cases]
    assert [[(s.name, s.value) for s in label.structures] for label in labels if label] == [
        [("spinal_cord", 1)],
        [("grey_matter", 2)],
    ]


def test_unlabelled_real_folders_are_refused(real_data: Path) -> None:
    with pytest.raises(VolumeError, match="not a labelled folder"):
        find_labelled(real_data / "mri")
