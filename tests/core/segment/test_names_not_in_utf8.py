"""Scans whose names are no UTF-8, over which SimpleITK would end the whole process: named, left out, the rest done."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from threshold_models import save_threshold_model

from genesis_core.cli.main import run
from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="this system's names are always Unicode")
# "café" as Latin-1 writes it.
FOREIGN = b"caf\xe9"


def _write(folder: Path, ending: str = ".nii.gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(0).integers(-1200, 1200, (9, 20, 18), dtype=np.int16)
    path = folder / f"good{ending}"
    write_volume(Volume(array, Geometry(array.shape, (1.0, 1.0, 2.0))), path)
    return path


def _foreign(folder: Path, ending: str = ".nii.gz") -> Path:
    """Write a scan, and move it to the foreign name; return its path as Python holds it."""
    where = os.fsencode(folder) + b"/" + FOREIGN + ending.encode()
    os.rename(_write(folder, ending), where)
    return Path(os.fsdecode(where))


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_a_scan_of_such_a_name_is_refused_with_what_to_do(tmp_path: Path, ending: str) -> None:
    for read in (read_volume, read_header):
        with pytest.raises(VolumeError, match=r"not valid UTF-8.*rename the file or folder"):
            read(_foreign(tmp_path, ending))


def test_slices_in_such_a_folder_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "series", np.zeros((4, 8, 8), np.int16))
    foreign = os.fsencode(tmp_path) + b"/" + FOREIGN
    os.rename(tmp_path / "series", foreign)
    with pytest.raises(VolumeError, match="not valid UTF-8"):
        read_volume(os.fsdecode(foreign))


@pytest.mark.parametrize("command", ["segment", "inspect"])
def test_commands_name_it_and_go_on(tmp_path: Path, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = save_threshold_model(tmp_path / "model")
    _foreign(tmp_path / "scans")
    _write(tmp_path / "scans")
    more = ["--model", str(model), "--out", str(tmp_path / "out"), "--device", "cpu"] if command == "segment" else []
    code = run([command, str(tmp_path / "scans"), *more])
    said = "".join(capfd.readouterr())
    assert "not valid UTF-8" in said
    assert ("1 of 2 scans segmented" if command == "segment" else "1 readable, 1 refused") in said
    if command == "segment":
        assert code == 1
        assert (tmp_path / "out" / "good.nii.gz").is_file()


def test_nothing_is_written_under_such_a_name(tmp_path: Path) -> None:
    volume = read_volume(_write(tmp_path))
    with pytest.raises(VolumeError, match="not valid UTF-8"):
        write_volume(volume, Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + FOREIGN + b".nii.gz")))
    assert os.listdir(os.fsencode(tmp_path)) == [b"good.nii.gz"]
