"""From a folder of patients to a table of series, edited by a person, to exactly those being trained on."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom_bytes, write_series

from genesis_core.cli.main import run
from genesis_core.errors import VolumeError
from genesis_core.volumes.chosen_series import chosen_scans
from genesis_core.volumes.dicom.listing import list_series
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


def chosen(root: Path, table: Path, *rows: str) -> list[str]:
    table.write_text("\n".join(["keep,folder,series", *rows]) + "\n", encoding="utf-8")
    return [scan.relative for scan in chosen_scans(list_scans(root), table)]


def test_of_one_folder_exactly_the_kept_series_is_used(tmp_path: Path) -> None:
    root, table = tmp_path / "in", tmp_path / "series.csv"
    array = np.arange(17 * 64).reshape(17, 8, 8) % 900
    write_series(root / "p", array, series="1.2.3.1", name="a{:d}.dcm")
    write_series(root / "p", array[:1], series="1.2.3.2", name="scout.dcm")
    (root / "p" / "derived.nii.gz").write_bytes(b"x")
    assert chosen(root, table, "yes,p,1.2.3.1", "no,p,1.2.3.2") == ["p"]
    assert chosen(root, table, "no,p,1.2.3.1", "yes,p,1.2.3.2") == ["p/scout.dcm"]
    # A series without a UID is still one.
    cut = dicom_bytes(array[0], position=(0, 0, 0), uid="9.9", series="9.9", number=1, x0020000E=None)
    (root / "p" / "unnamed.dcm").write_bytes(cut)
    assert chosen(root, table, "yes,p,", "yes,p,1.2.3.1") == ["p", "p/unnamed.dcm"]


def test_a_folder_whose_name_a_spreadsheet_changed_is_known_by_its_series(tmp_path: Path) -> None:
    root, table = tmp_path / "in", tmp_path / "series.csv"
    array = np.arange(3 * 64).reshape(3, 8, 8)
    for number in (1, 2):
        write_series(root / f"00{number}", array, series=f"1.2.3.{number}")
    assert chosen(root, table, "yes,1,1.2.3.1", "no,2,1.2.3.2") == ["001"]
    # The same series twice: which one is meant, only the folder says.
    write_series(root / "copy", array, series="1.2.3.1")
    assert chosen(root, table, "no,001,1.2.3.1", "yes,copy,1.2.3.1") == ["copy"]
    with pytest.raises(VolumeError, match=r"1\.2\.3\.1 in 1\)"):
        chosen(root, table, "yes,1,1.2.3.1")


def test_linked_patients_are_listed_and_closed_folders_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patients(tmp_path / "real")
    (tmp_path / "cohort" / "closed").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "cohort" / f"p{number}").symlink_to(tmp_path / "real" / f"patient{number}")
    (tmp_path / "cohort" / "round").symlink_to(tmp_path / "cohort")
    (tmp_path / "cohort" / "itself").symlink_to(tmp_path / "cohort" / "itself")
    scandir = os.scandir

    def refusing(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [record.folder for record in list_series(tmp_path / "cohort")] == ["p0", "p1", "p2"]
    assert run(["inspect", str(tmp_path / "cohort"), "--series", str(tmp_path / "series.csv")]) == 0
    assert "folder not listed: closed: Permission denied" in capsys.readouterr().err
    monkeypatch.setattr(os, "scandir", lambda _: refusing(Path("closed")))
    with pytest.raises(VolumeError, match="cannot be listed"):
        list_series(tmp_path / "cohort")


def test_where_nothing_can_be_written_is_said_before_anything_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genesis_core.volumes.dicom.listing.each_series", lambda *_: pytest.fail("it was listed"))
    assert run(["inspect", str(tmp_path), "--series", str(tmp_path / "series.png")]) == 2
    assert "written as .csv" in capsys.readouterr().err
    assert run(["inspect", str(tmp_path), "--series", str(tmp_path / "none" / "series.csv")]) != 0
    assert "its folder does not exist" in capsys.readouterr().err


def test_a_listing_that_is_stopped_writes_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("genesis_core.volumes.dicom.listing.each_series", stopped)
    assert run(["inspect", str(tmp_path), "--series", str(tmp_path / "series.csv")]) == 130
    assert "no table was written" in capsys.readouterr().err
    assert not (tmp_path / "series.csv").exists()


def test_a_record_of_many_slices_is_no_larger_than_one_of_few(tmp_path: Path) -> None:
    for count in (3, 40):
        write_series(tmp_path / f"{count:02d}", np.zeros((count, 4, 4), "i2"), series=f"1.2.{count}")
    few, many = list_series(tmp_path)
    assert len(pickle.dumps(many)) < 1.1 * len(pickle.dumps(few))
