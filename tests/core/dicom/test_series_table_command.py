"""From a folder of patients to a table of series, edited by a person, to exactly those being trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series

from genesis_core.cli.main import run
from genesis_core.errors import VolumeError
from genesis_core.volumes.chosen_series import chosen_scans
from genesis_core.volumes.scans import list_scans


def patients(root: Path) -> Path:
    for number, slices in enumerate((6, 7, 8)):
        array = np.arange(slices * 64).reshape(slices, 8, 8) % 900
        write_series(root / f"patient{number}", array, series=f"1.2.3.{number}")
    return root


def test_the_table_and_its_thumbnails_are_written_and_the_rules_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "series.csv"
    argv = [
        "inspect",
        str(patients(tmp_path / "in")),
        "--series",
        str(table),
        "--set",
        "rules.least_slices=7",
        "--set",
        "rules.one_per_study=false",
        "--json",
    ]
    assert run(argv) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["keep"] for record in records] == [False, True, True]
    assert "fewer than 7" in records[0]["reason"]
    assert table.with_suffix(".png").stat().st_size > 1000
    assert run(argv) == 2


def test_what_a_person_writes_into_the_table_is_what_is_used(tmp_path: Path) -> None:
    root, table = patients(tmp_path / "in"), tmp_path / "series.csv"
    run(["inspect", str(root), "--series", str(table)])
    text = table.read_text(encoding="utf-8").splitlines()
    edited = [text[0], "yes" + text[1].removeprefix("no"), *text[2:]]
    table.write_text("\n".join(edited) + "\n", encoding="utf-8")
    assert [scan.relative for scan in chosen_scans(list_scans(root), table)] == ["patient0"]


def test_a_kept_series_that_is_gone_is_named(tmp_path: Path) -> None:
    root, table = patients(tmp_path / "in"), tmp_path / "series.csv"
    table.write_text("keep,folder,series\nyes,patient9,1.2.3.9\n", encoding="utf-8")
    with pytest.raises(VolumeError, match=r"1\.2\.3\.9 in patient9"):
        chosen_scans(list_scans(root), table)
    table.write_text("keep,folder,series\nno,patient0,1.2.3.0\n", encoding="utf-8")
    with pytest.raises(VolumeError, match="keeps no series"):
        chosen_scans(list_scans(root), table)
