"""`napari-genesis inspect` on folders of many scans: remembered, grouped, in order, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.cli.main import run
from genesis_core.volumes import inspection
from genesis_core.volumes.inspection import inspect_scans
from genesis_core.volumes.scans import list_scans


def write(path: Path, shape: tuple[int, int, int] = (6, 10, 12), spacing: float = 1.0) -> None:
    array = np.random.default_rng(sum(shape)).integers(-1000, 1000, shape).astype(np.int16)
    image = GetImageFromArray(array)
    image.SetSpacing((spacing, spacing, 2.0))
    WriteImage(image, str(path))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two hundred scans of two shapes, made of links, and one that is cut short."""
    made, root = tmp_path / "made", tmp_path / "scans"
    made.mkdir()
    write(made / "a.nii.gz")
    write(made / "b.nii.gz", (7, 10, 12), 1.5)
    (made / "cut.nii.gz").write_bytes((made / "a.nii.gz").read_bytes()[:-20])
    for number in range(200):
        folder = root / f"site_{number // 50}"
        folder.mkdir(parents=True, exist_ok=True)
        source = made / ("cut.nii.gz" if number == 7 else "b.nii.gz" if number % 4 == 0 else "a.nii.gz")
        target = folder / f"case_{number:03}.nii.gz"
        if number % 2:
            os.link(source, target)
        else:
            target.symlink_to(source)
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every path that is read from now on."""
    seen: list[Path] = []
    real = inspection.read_volume

    def counted(path: Path, **options: object) -> object:
        seen.append(path)
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(inspection, "read_volume", counted)
    return seen


def test_records_come_in_the_order_of_the_listing(many: Path) -> None:
    scans = list_scans(many)
    records = list(inspect_scans(scans, threads=4))
    assert [record.path for record in records] == [scan.relative for scan in scans]
    assert [record.path for record in records if record.status == "refused"] == ["site_0/case_007.nii.gz"]


def test_the_second_check_reads_nothing_and_says_the_same(
    many: Path, reads: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(many), "--json"]) == 0
    first = capsys.readouterr()
    assert len(reads) == 200
    assert run(["inspect", str(many), "--json"]) == 0
    assert capsys.readouterr() == first
    assert len(reads) == 200


def test_fresh_reads_everything_again(many: Path, reads: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--fresh"]):
        assert run(["inspect", str(many / "site_0"), *arguments]) == 0
    assert len(reads) == 100


def test_only_what_changed_is_read_again(many: Path, reads: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(many)]) == 0
    mended = many / "site_0" / "case_007.nii.gz"
    mended.unlink()
    write(mended)
    del reads[:]
    capsys.readouterr()
    assert run(["inspect", str(many)]) == 0
    assert reads == [mended]
    assert capsys.readouterr().out.splitlines()[-1] == "200 readable, 0 refused"


def test_a_moved_folder_keeps_no_old_names(many: Path, tmp_path: Path) -> None:
    before = list(inspect_scans(list_scans(many)))
    os.rename(many, tmp_path / "elsewhere")
    after = list(inspect_scans(list_scans(tmp_path / "elsewhere")))
    assert after == before


def test_voxels_that_arrive_later_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    write(folder / "scan.mhd")
    voxels = (folder / "scan.raw").read_bytes()
    (folder / "scan.raw").unlink()
    assert [record.status for record in inspect_scans(list_scans(folder))] == ["refused"]
    (folder / "scan.raw").write_bytes(voxels)
    assert [record.status for record in inspect_scans(list_scans(folder))] == ["readable"]


def test_a_refusal_that_may_pass_is_not_remembered(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = list_scans(many)[:3]
    real = inspection.read_volume

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(inspection, "read_volume", no_memory)
    assert {record.status for record in inspect_scans(scans)} == {"refused"}
    monkeypatch.setattr(inspection, "read_volume", real)
    assert {record.status for record in inspect_scans(scans)} == {"readable"}


def test_many_scans_are_told_by_group_and_refusals_in_full(many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(many)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:10] == ["149", "6", "10", "12", "1", "1", "2", "LPS", "int16", "CT"]
    assert lines[2][:10] == ["50", "7", "10", "12", "1.5", "1.5", "2", "LPS", "int16", "CT"]
    assert ["site_0/case_007.nii.gz"] in lines
    assert len(lines) < 20


def test_a_hundred_different_shapes_become_ranges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(80):
        write(tmp_path / f"{number}.nii", (4 + number, 6, 6))
    assert run(["inspect", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["80", "4..83", "6", "6"]


def test_a_stopped_check_says_what_is_kept_and_goes_on_from_there(many: Path, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from genesis_core.volumes import inspection
real, seen = inspection.read_volume, []
def read(path, **options):
    seen.append(path)
    if len(seen) == 20:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return real(path, **options)
inspection.read_volume = read
from genesis_core.cli.main import run
code = run(["inspect", *sys.argv[2:]])
print("read", len(seen))
sys.exit(code)
"""
    for number, name in enumerate(("SIGINT", "SIGTERM")):
        environment = {**os.environ, "GENESIS_CACHE": str(tmp_path / f"cache_{number}")}
        command = [sys.executable, "-c", code, name, str(many)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == 130, done.stderr
        assert "run the same command again to go on" in done.stderr
        first = int(done.stdout.split()[-1])
        assert 20 <= first < 200
        command[3:4] = ["SIGCONT"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[-1]) <= 200 - first + 1
    assert signal.Signals.SIGCONT


def test_a_long_path_in_a_table_keeps_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genesis_core.cli.output import shortened

    assert shortened("short.nii.gz", 20) == "short.nii.gz"
    text = shortened("a_very_long_folder_name/of_many/levels/patient_0001.nii.gz", 30)
    assert len(text) == 30
    assert text.startswith("a_very")
    assert text.endswith("patient_0001.nii.gz"[-19:])
