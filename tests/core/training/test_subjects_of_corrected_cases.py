"""Whose the corrected cases are, by the pattern or the table of the run that they join: their names were made flat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genesis_core.training.corrected_set import find_corrected
from genesis_core.volumes.labelled.finding import find_labelled


def write_folder(root: Path, *names: str) -> Path:
    for part in ("images", "labels"):
        for name in names:
            path = root / part / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            # Found by names alone, never read.
            path.touch()
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labelled/ with a folder for each person, corrected/ as a review leaves it, by_hand/ as somebody made it."""
    folder = tmp_path_factory.mktemp("workspace")
    write_folder(folder / "labelled", "p01/day1", "p02/day1")
    corrected = write_folder(folder / "corrected", "p01__day2", "p03__day1", "p04__day1")
    lines = [
        {"id": "a", "case": "p01/day2", "label": "labels/p01__day2.nii.gz"},
        {"id": "b", "case": "p03/day1", "label": "labels/p03__day1.nii.gz"},
        {"undone": "c"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (corrected / "provenance.jsonl").write_text(text + '{"case": "p04/day1", "lab')
    write_folder(folder / "by_hand", "p01_day2", "p03_day1")
    return folder


def subjects_of(place: Path, corrected: str, **told: str | Path | None) -> dict[str, str]:
    first = find_labelled(place / "labelled")
    options = {"subject_pattern": None, "subjects": None, **told}
    found = find_corrected(place / corrected, first, **options)  # type: ignore[arg-type]
    return {case.name: case.subject for case in found.cases}


def test_a_pattern_with_folders_fits_what_the_case_was_called_when_it_was_reviewed(place: Path) -> None:
    found = subjects_of(place, "corrected", subject_pattern=r"^(p\d+)/")
    assert found == {"p01__day2": "p01", "p03__day1": "p03", "p04__day1": "p04__day1"}


def test_a_table_may_have_the_names_of_before(place: Path, tmp_path: Path) -> None:
    table = tmp_path / "subjects.csv"
    table.write_text("name,subject\np01/day2,anna\n")
    assert subjects_of(place, "corrected", subjects=table)["p01__day2"] == "anna"
    both = subjects_of(place, "corrected", subjects=table, subject_pattern=r"^(p\d+)/")
    assert both == {"p01__day2": "anna", "p03__day1": "p03", "p04__day1": "p04__day1"}


def test_what_fits_the_names_of_the_folder_itself_still_does(place: Path) -> None:
    assert subjects_of(place, "corrected", subject_pattern=r"^(p\d+)__") == {
        "p01__day2": "p01", "p03__day1": "p03", "p04__day1": "p04",
    }  # fmt: skip
    assert subjects_of(place, "by_hand", subject_pattern=r"^(p\d+)")["p01_day2"] == "p01"


def test_what_fits_nothing_leaves_each_its_own_subject(place: Path) -> None:
    found = find_corrected(
        place / "by_hand", find_labelled(place / "labelled"), subject_pattern=r"^(p\d+)/", subjects=None
    )
    assert [case.subject for case in found.cases] == [case.name for case in found.cases]
    assert "The corrected cases are called otherwise than the first ones" in found.notes[-1]
