"""`napari-genesis inspect --labelled`: what people and programs are told about a labelled folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from genesis_core.cli.inspect_labelled import Layout
from genesis_core.cli.main import run
from genesis_core.volumes.labelled.finding import LAYOUTS
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume


def fill(root: Path, cases: int, name: str = "head{:02}") -> Path:
    """Make a folder of images and labels."""
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for number in range(cases):
        random = np.random.default_rng(number)
        image = random.gamma(2, 80, (8, 9, 10)).astype(np.float32)
        label = np.zeros((8, 9, 10), np.uint8)
        label[2:5, 2 : 4 + number % 3, 2 : 4 + number // 3 % 5] = 1
        label[5:7, 2 : 4 + number % 3, 2 : 4 + number // 15] = 2
        write_volume(Volume.from_array(image, (1.0, 1.0, 2.0)), root / "images" / f"{name.format(number)}.nii.gz")
        write_volume(Volume.from_array(label, (1.0, 1.0, 2.0)), root / "labels" / f"{name.format(number)}.nii.gz")
    return root


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_a_small_set_is_told_case_by_case_with_structures_and_a_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(fill(tmp_path / "set", 6)), "--labelled"]) == 0
    told = lines(capsys.readouterr().out)
    assert sum(line.startswith("head") for line in told) == 6
    assert any(line.startswith("label 1") and "6 of 6" in line for line in told)
    assert any("--folds 5" in line for line in told)
    assert told[-1] == "6 usable cases of 6 subjects; no warnings"


def test_a_large_set_is_counted_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(fill(tmp_path / "set", 41)), "--labelled"]) == 0
    told = lines(capsys.readouterr().out)
    assert sum(line.startswith("head") for line in told) == 1
    assert any("41" in line and "8 9 10" in line for line in told)


def test_problems_are_told_with_their_fix_and_are_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "set", 5)
    path = root / "images" / "head01.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    empty = np.zeros((8, 9, 10), np.uint8)
    write_volume(Volume.from_array(empty, (1.0, 1.0, 2.0)), root / "labels" / "head02.nii.gz", overwrite=True)
    assert run(["inspect", str(root), "--labelled"]) == 0
    out = capsys.readouterr().out
    told = lines(out)
    place = told.index("left out:")
    assert told[place + 1].startswith("head01: ")
    assert told[place + 2] == "-> Mend it as said and check again: only files that changed are read."
    place = told.index("warnings:")
    assert told[place + 1] == "Nothing is drawn in the label."
    assert told[place + 2] == "cases: head02"
    assert told[-1] == "4 usable cases of 4 subjects; 1 left out; 1 warning"
    assert str(tmp_path) not in out


def test_json_has_a_line_per_case_then_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fill(tmp_path / "set", 4)
    assert run(["inspect", str(root), "--labelled", "--json"]) == 0
    out = capsys.readouterr().out
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["record"] for record in records] == ["case"] * 4 + ["summary"]
    assert [record["name"] for record in records[:4]] == [f"head{number:02}" for number in range(4)]
    assert records[-1]["usable"] == 4
    assert records[-1]["structures"][0]["name"] == "label 1"
    assert str(tmp_path) not in out


def test_subjects_come_from_a_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fill(tmp_path / "set", 6, "p{0:02}x")
    assert run(["inspect", str(root), "--subject-pattern", r"p(\d)\d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["subjects"] == 1


def test_subjects_come_from_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fill(tmp_path / "set", 4)
    table = tmp_path / "subjects.csv"
    table.write_text("case,subject\nhead00,a\nhead01,a\nhead02,b\nhead03,c\n")
    assert run(["inspect", str(root), "--labelled", "--subjects", str(table)]) == 0
    told = lines(capsys.readouterr().out)
    assert told[-1].startswith("4 usable cases of 3 subjects")
    assert next(line for line in told if line.startswith("head01")).split()[1] == "a"


def test_a_plain_inspection_says_that_the_folder_looks_labelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(fill(tmp_path / "set", 3))]) == 0
    assert any("--labelled" in line for line in lines(capsys.readouterr().out))
    (tmp_path / "plain").mkdir()
    write_volume(Volume.from_array(np.ones((4, 4, 4), np.float32)), tmp_path / "plain" / "one.nii.gz")
    assert run(["inspect", str(tmp_path / "plain")]) == 0
    assert "--labelled" not in capsys.readouterr().out


def test_a_folder_that_is_not_labelled_is_an_error_that_says_what_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_volume(Volume.from_array(np.ones((4, 4, 4), np.float32)), tmp_path / "one.nii.gz")
    assert run(["inspect", str(tmp_path), "--labelled"]) == 1
    assert "not a labelled folder" in capsys.readouterr().err


def test_classes_are_counted_and_it_is_said_that_nothing_learns_them_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path, 4)
    rows = [f"images/head{number:02}.nii.gz,{'sick' if number % 2 else 'well'}" for number in range(4)]
    (root / "cases.csv").write_text("\n".join(["image,class", *rows]) + "\n")
    assert run(["inspect", str(root / "cases.csv"), "--labelled"]) == 0
    told = lines(capsys.readouterr().out)
    assert any(line.split() == ["sick", "2"] for line in told)
    assert "Nothing here learns classes yet: finetune learns what is drawn." in told


def test_the_layouts_to_choose_from_are_those_there_are() -> None:
    assert set(get_args(Layout)) == set(LAYOUTS)
