"""A table lists the cases: any usual separator, encoding and path; what is wrong is told with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_folders import touch, write_table

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.finding import find_labelled


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    touch(
        tmp_path, *(f"scans/{name}.nii.gz" for name in ("a", "b", "c", "d")), "seg/a.nrrd", "seg/b.nrrd", "seg/c.nrrd"
    )
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_usual_way_to_write_a_table(scans: Path, separator: str, encoding: str, newline: str) -> None:
    lines = [
        "Image,Label,Subject,split",
        "scans/a.nii.gz,seg/a.nrrd,Müller,train",
        "",
        "scans/b.nii.gz,seg/b.nrrd,two,test",
    ]
    text = newline.join(lines).replace(",", separator)
    found = find_labelled(write_table(scans / "t.csv", text, encoding))
    assert [(case.name, case.subject, case.part) for case in found.cases] == [
        ("scans/a", "Müller", "training"),
        ("scans/b", "two", "test"),
    ]
    assert found.cases[0].images[0].path == scans / "scans/a.nii.gz"
    assert found.left_out == ()


def test_windows_paths_and_quotes_are_understood(scans: Path) -> None:
    touch(scans, "scans/x, y.nii.gz")
    text = 'image,label\n.\\scans\\a.nii.gz,seg\\a.nrrd\n"scans/x, y.nii.gz",seg/b.nrrd\n'
    found = find_labelled(write_table(scans / "t.csv", text))
    assert [case.name for case in found.cases] == ["scans/a", "scans/x, y"]


def test_channels_and_masks_have_columns_of_their_own(scans: Path) -> None:
    text = (
        "name,image_t1,image_t2,mask_liver,mask_spleen\n"
        "p1,scans/a.nii.gz,scans/b.nii.gz,seg/a.nrrd,seg/b.nrrd\n"
        "p2,scans/c.nii.gz,scans/d.nii.gz,,seg/c.nrrd\n"
    )
    found = find_labelled(write_table(scans / "t.csv", text))
    assert found.channels == ("t1", "t2")
    assert [s.name for s in found.structures] == ["liver", "spleen"]
    assert [case.annotated for case in found.cases] == [None, ("spleen",)]
    label = found.cases[1].label
    assert label is not None
    assert (label.kind, [name for name, _ in label.parts]) == ("masks", ["spleen"])


def test_classes_make_a_classification_set(scans: Path) -> None:
    text = "image,class\nscans/a.nii.gz,benign\nscans/b.nii.gz,malignant\nscans/c.nii.gz,\n"
    found = find_labelled(write_table(scans / "t.csv", text))
    assert found.classes == ("benign", "malignant")
    assert [case.class_name for case in found.cases] == ["benign", "malignant"]
    assert found.left_out == (("line 4", "column class: the cell is empty, so there is nothing to learn from"),)


def test_lines_that_cannot_be_used_are_named_with_their_column(scans: Path) -> None:
    text = (
        "image,label,split\n"
        "scans/a.nii.gz,seg/a.nrrd,train\n"
        "scans/gone.nii.gz,seg/a.nrrd,train\n"
        ",seg/a.nrrd,train\n"
        "scans/b.nii.gz,seg/gone.nrrd,train\n"
        "scans/b.nii.gz,,train\n"
        "scans/b.nii.gz,seg/b.nrrd,perhaps\n"
        "scans/a.nii.gz,seg/a.nrrd,train\n"
        "scans/d.nii.gz,,test\n"
    )
    found = find_labelled(write_table(scans / "t.csv", text))
    assert [case.name for case in found.cases] == ["scans/a", "scans/d"]
    reasons = dict(found.left_out)
    assert reasons["line 3"].startswith("column image: scans/gone.nii.gz does not exist")
    assert reasons["line 4"] == "column image: the cell is empty"
    assert reasons["line 5"].startswith("column label: seg/gone.nrrd does not exist")
    assert reasons["line 6"].startswith("column label: the cell is empty")
    assert reasons["line 7"] == "column split: 'perhaps' is none of training, validation and test"
    assert "like line 2" in reasons["line 8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("image,label\n", "no line below the first"),
        ("picture,label\nscans/a.nii.gz,seg/a.nrrd\n", "column image.*picture, label"),
        ("image\nscans/a.nii.gz\n", "column label"),
        ("image,image,label\na,b,c\n", "'image' is there twice"),
        ("image,scan,label\na,b,c\n", "mean the same"),
        ("image,image_t1,label\na,b.nii,c\n", "both are there"),
        ("image,label,mask_liver\na,b,c\n", "either one label map or masks"),
        ("image,label\nscans/a.nii.gz,seg/a.nrrd,extra\n", "line 2 has 3 cells"),
        ("image,label\nscans/gone.nii.gz,seg/a.nrrd\n", "line 2: column image: scans/gone.nii.gz"),
        ('image,label\n"scans/a.nii.gz,seg/a.nrrd\n', "not a table"),
        ("image\0label\n", "not a text table"),
    ],
)
def test_a_table_that_is_none_is_refused_by_name(scans: Path, text: str, message: str) -> None:
    with pytest.raises(VolumeError, match=message) as refused:
        find_labelled(write_table(scans / "t.csv", text))
    assert str(scans / "t.csv") in str(refused.value)


def test_folds_and_dates_do_not_spoil_a_table(scans: Path) -> None:
    rows = [f"scans/{name}.nii.gz,seg/{name}.nrrd,{fold},2024-01-0{fold + 1}" for fold, name in enumerate("abc")]
    found = find_labelled(write_table(scans / "t.csv", "\n".join(["image,label,fold,scan_date", *rows])))
    assert [(case.name, case.part) for case in found.cases] == [(f"scans/{name}", "training") for name in "abc"]
    assert any("column fold is not used" in note for note in found.notes)
    assert any("no cell names a scan: scan_date" in note for note in found.notes)
    with_parts = "image,label,fold,split\nscans/a.nii.gz,seg/a.nrrd,0,train\nscans/b.nii.gz,seg/b.nrrd,1,test\n"
    assert [case.part for case in find_labelled(write_table(scans / "t.csv", with_parts)).cases] == ["training", "test"]
    as_part = "image,label,fold\nscans/a.nii.gz,seg/a.nrrd,train\nscans/b.nii.gz,seg/b.nrrd,test\n"
    assert [case.part for case in find_labelled(write_table(scans / "t.csv", as_part)).cases] == ["training", "test"]
    with pytest.raises(VolumeError, match="no cell of image_t1 names a scan"):
        find_labelled(write_table(scans / "t.csv", "image_t1,label\nscans/a,seg/a.nrrd\n"))


def test_a_table_in_the_folder_is_found(scans: Path) -> None:
    write_table(scans / "cases.csv", "image,label\nscans/a.nii.gz,seg/a.nrrd\n")
    (scans / "seg").rename(scans / "drawn")
    write_table(scans / "cases.csv", "image,label\nscans/a.nii.gz,drawn/a.nrrd\n")
    assert find_labelled(scans).layout == "a table of images (cases.csv)"


def test_a_list_of_names_beside_the_table_is_used(scans: Path) -> None:
    write_table(scans / "label_names.csv", "value,name\n1,liver\n")
    found = find_labelled(write_table(scans / "cases.csv", "image,label\nscans/a.nii.gz,seg/a.nrrd\n"))
    assert [s.name for s in found.structures] == ["liver"]


CELLS = st.sampled_from(
    ["image", "label", "mask_a", "class", "name", "split", "a.nii.gz", "b.nii.gz", "test", "", '"', "x;y", "é"]
)


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.lists(CELLS, max_size=5), max_size=5),
    separator=st.sampled_from([",", ";", "\t"]),
    cut=st.integers(0, 9),
)
def test_whatever_a_table_holds_it_is_read_or_refused(
    rows: list[list[str]], separator: str, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("table")
    touch(root, "a.nii.gz", "b.nii.gz")
    text = "\n".join(separator.join(row) for row in [["image", "label", "class"][: 1 + cut % 3], *rows])
    try:
        found = find_labelled(write_table(root / "t.csv", text[: len(text) - cut // 3], "latin-1"))
    except VolumeError as refused:
        assert str(root) in str(refused)  # noqa: PT017
        return
    assert len(found.cases) + len(found.left_out) <= len(rows)
