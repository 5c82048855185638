"""Structure sets and segmentations find the series they were drawn on, and nobody's name is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from labelled_dicom import write_ct, write_rtstruct, write_seg_header

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.reading_cases import read_case


def test_a_structure_set_belongs_to_the_series_it_names_wherever_it_lies(tmp_path: Path) -> None:
    write_ct(tmp_path / "a/CT", "1.2.3.1", patient="P1")
    write_rtstruct(tmp_path / "a/RS.dcm", "1.2.3.1")
    write_ct(tmp_path / "b", "1.2.3.2", patient="P2")
    write_rtstruct(tmp_path / "b/RS.dcm", "1.2.3.2")
    write_ct(tmp_path / "c", "1.2.3.3", patient="P1")
    write_rtstruct(tmp_path / "elsewhere/RS.dcm", "1.2.3.3")
    write_ct(tmp_path / "d", "1.2.3.4", patient=None)
    write_rtstruct(tmp_path / "e/RS.dcm", "9.9.9")
    found = find_labelled(tmp_path)
    assert [case.name for case in found.cases] == ["a/CT", "b", "c"]
    assert dict(found.left_out) == {
        "d": "no structure set or segmentation refers to this series",
        "e/RS.dcm": "the series it was drawn on is not in this folder",
    }
    subjects = [case.subject for case in found.cases]
    assert subjects[0] == subjects[2] != subjects[1]
    assert all(subject.startswith("subject_") and "P1" not in subject for subject in subjects)


def test_the_case_is_read_with_its_contours(tmp_path: Path) -> None:
    write_ct(tmp_path / "p", "1.2.3.1")
    write_rtstruct(tmp_path / "p/RS.dcm", "1.2.3.1", ["GTV", "lung"], empty=["note"])
    found = find_labelled(tmp_path)
    assert [s.name for s in found.structures] == ["GTV", "lung"]
    read = read_case(found.cases[0], found.structures)
    assert read.label is not None
    assert [s.name for s in read.label.structures] == ["GTV", "lung"]
    masks = [read.label.mask(structure) for structure in read.label.structures]
    assert [int(mask.sum()) for mask in masks] == [12, 12]
    assert (masks[0] & masks[1]).any()
    assert {int(z) for mask in masks for z in np.nonzero(mask)[0]} == {1}
    assert read.images[0].shape == read.label.geometry.shape


def test_two_series_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    write_ct(tmp_path / "p", "1.2.3.1", prefix="A")
    write_ct(tmp_path / "p", "1.2.3.2", prefix="B")
    write_rtstruct(tmp_path / "p/RS.dcm", "1.2.3.2")
    found = find_labelled(tmp_path)
    assert [(case.name, case.images[0].series) for case in found.cases] == [("p/series 2", "1.2.3.2")]
    assert dict(found.left_out).keys() == {"p/series 1"}
    assert read_case(found.cases[0], found.structures).label is not None


def test_of_several_labels_the_newest_counts_and_it_is_said(tmp_path: Path) -> None:
    write_ct(tmp_path / "p", "1.2.3.1")
    write_rtstruct(tmp_path / "p/RS_b.dcm", "1.2.3.1", date="20190101")
    write_rtstruct(tmp_path / "p/RS_a.dcm", "1.2.3.1", date="20200101")
    found = find_labelled(tmp_path)
    assert found.cases[0].label is not None
    assert found.cases[0].label.parts[0][1].path.name == "RS_a.dcm"
    assert any("has 2 labels; the one used is p/RS_a.dcm, not p/RS_b.dcm" in note for note in found.notes)
    chosen = find_labelled(tmp_path, labels="RS_b.dcm").cases[0].label
    assert chosen is not None
    assert chosen.parts[0][1].path.name == "RS_b.dcm"


def test_a_label_that_is_asked_for_and_not_there_is_no_other_one(tmp_path: Path) -> None:
    for name in ("p", "q"):
        write_ct(tmp_path / name, f"1.2.3.{ord(name)}")
        write_rtstruct(tmp_path / name / "RS_a.dcm", f"1.2.3.{ord(name)}")
        write_rtstruct(tmp_path / name / f"RS_{name}.dcm", f"1.2.3.{ord(name)}", date="20190101")
    with pytest.raises(VolumeError, match=r"no label is called 'RS_x.dcm'; there are RS_a.dcm, RS_p.dcm, RS_q.dcm"):
        find_labelled(tmp_path, labels="RS_x.dcm")
    found = find_labelled(tmp_path, labels="RS_p.dcm")
    assert [case.name for case in found.cases] == ["p"]
    assert "none of its labels is called RS_p.dcm" in dict(found.left_out)["q"]


def test_a_series_that_lies_in_two_folders_is_one_case(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_ct(tmp_path / name, "1.2.3.1")
    write_rtstruct(tmp_path / "a/RS.dcm", "1.2.3.1")
    found = find_labelled(tmp_path)
    assert [(case.name, case.images[0].path) for case in found.cases] == [("a", tmp_path / "a")]
    assert "the same series as a" in dict(found.left_out)["b"]


def test_structures_of_some_cases_only_are_known_to_be_so(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", "1.2.3.1")
    write_rtstruct(tmp_path / "a/RS.dcm", "1.2.3.1", ["GTV", "heart"])
    write_ct(tmp_path / "b", "1.2.3.2")
    write_seg_header(tmp_path / "b/SEG.dcm", "1.2.3.2", ["lung", "GTV"])
    found = find_labelled(tmp_path)
    assert [(s.name, s.value) for s in found.structures] == [("GTV", 1), ("heart", 2), ("lung", 3)]
    assert [case.annotated for case in found.cases] == [("GTV", "heart"), ("lung", "GTV")]
    assert [case.label.kind for case in found.cases if case.label] == ["rtstruct", "dicom_seg"]
    assert any("heart (1 of 2)" in note for note in found.notes)


def test_a_structure_set_that_names_no_series_goes_to_the_one_beside_it(tmp_path: Path) -> None:
    write_ct(tmp_path / "p", "1.2.3.1")
    write_rtstruct(tmp_path / "p/RS.dcm", None)
    found = find_labelled(tmp_path)
    assert len(found.cases) == 1
    assert any("names no series" in note for note in found.notes)


def test_series_without_any_label_are_refused(tmp_path: Path) -> None:
    write_ct(tmp_path / "p", "1.2.3.1")
    with pytest.raises(VolumeError, match="1 DICOM series and 0 structure sets"):
        find_labelled(tmp_path)


def test_a_damaged_structure_set_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_ct(tmp_path / name, f"1.2.3.{ord(name)}")
        write_rtstruct(tmp_path / name / "RS.dcm", f"1.2.3.{ord(name)}")
    damaged = tmp_path / "b/RS.dcm"
    damaged.write_bytes(damaged.read_bytes()[:900])
    found = find_labelled(tmp_path)
    assert [case.name for case in found.cases] == ["a"]
    assert {name for name, _ in found.left_out} >= {"b"}


def test_a_segmentation_is_read_with_its_series(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    import pydicom
    from pydicom.sr.codedict import codes

    write_ct(tmp_path / "p", "1.2.3.1")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "p").glob("*.dcm"))]
    for one in slices:
        for keyword in ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "PatientBirthDate", "PatientSex"):
            setattr(one, keyword, "")
    drawn = np.zeros((len(slices), slices[0].Rows, slices[0].Columns), np.uint8)
    drawn[1:3, 2:6, 3:9] = 1
    code = codes.SCT.Organ
    described = highdicom.seg.SegmentDescription(1, "heart", code, code, "MANUAL")
    segmentation = highdicom.seg.Segmentation(
        slices, drawn, "BINARY", [described], "1.2.3.7", 1, "1.2.3.7.1", 1, "maker", "model", "1", "0"
    )
    segmentation.save_as(tmp_path / "p/SEG.dcm")
    found = find_labelled(tmp_path)
    assert [s.name for s in found.structures] == ["heart"]
    label = read_case(found.cases[0], found.structures).label
    assert label is not None
    np.testing.assert_array_equal(label.as_map(), drawn)


def test_real_structure_sets(real_data: Path) -> None:
    for kind, name in (("ct", "GTV_Mass_CT"), ("mr", "GTV_Mass_MR_T1")):
        root = real_data / "dicom" / f"sarcoma_STS008_{kind}_rtstruct"
        found = find_labelled(root)
        assert [s.name for s in found.structures] == [name]
        assert [case.name for case in found.cases] == [root.name]
        read = read_case(found.cases[0], found.structures)
        assert read.label is not None
        assert read.label.mask(read.label.structures[0]).sum() > 1000
