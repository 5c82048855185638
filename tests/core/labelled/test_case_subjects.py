"""Cases of one subject are kept together: by what is given, by a pattern, and never by a guess."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from labelled_folders import touch, write_table

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.subjects import read_subjects


def folder(root: Path, *names: str) -> Path:
    for name in names:
        touch(root, f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    return root


def test_a_pattern_on_the_name_gives_the_subject(tmp_path: Path) -> None:
    folder(tmp_path, "p1_left", "p1_right", "p2_left", "phantom")
    found = find_labelled(tmp_path, subject_pattern=r"^(p\d)_")
    assert {case.name: case.subject for case in found.cases} == {
        "p1_left": "p1",
        "p1_right": "p1",
        "p2_left": "p2",
        "phantom": "phantom",
    }
    assert any("phantom" in note and "does not fit 1 cases" in note for note in found.notes)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "no regular expression"), ("p.", "0 groups"), ("(p)(.)", "2 groups"), ("(zebra)", "fits no case")],
)
def test_a_pattern_that_cannot_work_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        find_labelled(folder(tmp_path, "p1", "p2"), subject_pattern=pattern)


def test_a_mapping_comes_before_the_pattern_and_is_checked(tmp_path: Path) -> None:
    folder(tmp_path, "p1_a", "p1_b", "p2_a")
    found = find_labelled(tmp_path, subject_pattern=r"^(p\d)", subjects={"p1_a": "x", "nobody": "y"})
    assert [case.subject for case in found.cases] == ["x", "p1", "p2"]
    assert any("nobody" in note for note in found.notes)
    assert any("2 cases have no subject" in note for note in found.notes)
    with pytest.raises(VolumeError, match="nobody"):
        find_labelled(tmp_path, subjects={"nobody": "y"})


def test_the_name_of_an_image_will_do_for_its_case(tmp_path: Path) -> None:
    touch(tmp_path, *(f"images/p{n}_{what}.nii.gz" for n in (1, 2) for what in ("t1", "t2")))
    touch(tmp_path, *(f"labels/p{n}.nii.gz" for n in (1, 2)))
    found = find_labelled(tmp_path, subjects={"p1_t1": "Ann", "p2": "Bob"})
    assert [(case.name, case.subject) for case in found.cases] == [("p1", "Ann"), ("p2", "Bob")]
    assert not any("no case here" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,age\na,3\n", "columns name and subject"),
        ("name,subject\na,\n", "line 2, column subject"),
        ("name,subject\na,x\na,y\n", "line 3: a belongs to x already"),
    ],
)
def test_a_broken_table_of_subjects_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        read_subjects(write_table(tmp_path / "s.csv", text))


@pytest.mark.parametrize(
    ("names", "subjects"),
    [
        (("p1_left", "p1_right", "p2_left", "p2_right"), 2),
        (("sub-01_ses-01_T1w", "sub-01_ses-02_T1w", "sub-02_ses-01_T1w"), 1),
        (("anna_visit1", "anna_visit2", "bert_visit1"), 1),
        (("p1_t1", "p1_t2", "p2_t1", "p2_t2"), 2),
        (("patient1/frame01", "patient1/frame12", "patient2/frame01", "patient2/frame12"), 2),
        (("p1/left_eye", "p1/nose", "p2/left_eye", "p2/nose"), 2),
        (("knee12_1", "knee12_2", "knee13_1", "knee13_2"), 2),
    ],
)
def test_names_that_look_like_one_subject_are_told_with_a_pattern_that_works(
    tmp_path: Path, names: tuple[str, ...], subjects: int
) -> None:
    folder(tmp_path, *names)
    found = find_labelled(tmp_path, layout="images_labels")
    assert all(case.subject == case.name for case in found.cases)
    told = [note for note in found.notes if "subject_pattern" in note]
    assert f"look like {subjects} subjects" in told[0]
    pattern = re.search(r"subject_pattern='(.*)', or", told[0])
    assert pattern is not None
    again = find_labelled(tmp_path, layout="images_labels", subject_pattern=pattern[1].replace("\\\\", "\\"))
    assert len({case.subject for case in again.cases}) < len(names)
    assert not any("subject_pattern" in note for note in again.notes)


@pytest.mark.parametrize(
    "names",
    [
        ("case1", "case2"),
        ("STS_002", "STS_003", "STS_024"),
        ("ct", "mr_t2"),
        ("ct_a", "ct_b", "mr_a"),
        tuple(f"site{site}/case{number}" for site in (1, 2) for number in range(9)),
    ],
)
def test_names_that_say_nothing_raise_no_suspicion(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert not any("subject_pattern" in note for note in find_labelled(folder(tmp_path, *names)).notes)


def test_two_crops_of_one_head_are_kept_together_by_a_table(real_data: Path, tmp_path: Path) -> None:
    lines = ["name,subject"]
    with open(real_data / "manifest.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["file"].startswith("labelled/hippocampus_mr/images/") and (
                head := re.search(r"head no\. (\d+)", row["shows"])
            ):
                lines.append(f"{Path(row['file']).name.removesuffix('.nii.gz')},head {head[1]}")
    table = write_table(tmp_path / "heads.csv", "\n".join(lines))
    found = find_labelled(real_data / "labelled/hippocampus_mr", subjects=table)
    heads = {case.name: case.subject for case in found.cases}
    assert len(heads) == 48
    assert heads["hippocampus_003"] == heads["hippocampus_004"] == "head 2"
    assert len(set(heads.values())) < 48
    assert found.notes == ()
