"""`napari-genesis inspect` says of every scan what it is, or why it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_reading_formats import RAMP, nifti_bytes, save

from genesis_core.cli.main import run
from genesis_core.volumes.inspection import inspect_scan
from genesis_core.volumes.scans import list_scans


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sound = nifti_bytes((RAMP * 20 - 1000).astype("i2"), affine=np.diag([-2.0, -1.0, 3.0, 1]), pixdim=(2.0, 1.0, 3.0))
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub" / "good.nii.gz", sound)
    save(tmp_path / "cut.nii.gz", sound[:-10])
    save(tmp_path / "frames.nii", nifti_bytes(np.stack([RAMP] * 3).astype("i2"), affine=np.eye(4)))
    (tmp_path / "README.md").write_text("hello")
    return tmp_path


def test_a_record_holds_what_the_scan_is(folder: Path) -> None:
    cut, frames, good = (inspect_scan(scan) for scan in list_scans(folder))
    assert (good.path, good.status, good.reason) == ("sub/good.nii.gz", "readable", None)
    assert (good.shape, good.spacing, good.orientation, good.dtype) == ((4, 5, 6), (2.0, 1.0, 3.0), "LPS", "int16")
    assert (good.minimum, good.maximum, good.modality) == (-1000.0, 1380.0, "ct")
    assert (cut.status, cut.shape) == ("refused", None)
    assert cut.reason is not None
    assert cut.reason.startswith("truncated: 10 of 240 bytes")
    assert frames.reason is not None
    assert "choose one: frame=0 to 2" in frames.reason


def test_json_is_one_object_a_line_without_folders_of_this_machine(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(folder), "--json"]) == 0
    captured = capsys.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["path"] for record in records] == ["cut.nii.gz", "frames.nii", "sub/good.nii.gz"]
    wanted = {"path", "id", "status", "reason", "shape", "spacing", "dtype", "orientation", "modality", "certainty"}
    assert wanted | {"minimum", "maximum", "notes"} <= records[0].keys()
    assert str(folder) not in captured.out
    assert "1 readable, 2 refused; 1 other file skipped" in captured.err


def test_people_get_a_table_the_reasons_and_a_sum(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "sub/good.nii.gz  4 5 6" in text
    assert "  cut.nii.gz\n    truncated: 10 of 240 bytes" in text
    assert text.splitlines()[-1] == "1 readable, 2 refused; 1 other file skipped"


def test_a_missing_folder_fails_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: no such file or folder\n"


def test_without_a_folder_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect"]) == 2
    assert "SCANS is required" in capsys.readouterr().err


def test_an_empty_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 readable, 0 refused\nNo scan is there")
    assert ".nii.gz" in said
