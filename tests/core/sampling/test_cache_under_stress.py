"""The cache when processes are killed, disks are full and sources change: never a damaged entry, never a silent one."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.errors import CacheError, VolumeError
from genesis_core.sampling import bricks
from genesis_core.sampling.bricks import read_header
from genesis_core.sampling.cache import open_cached, sweep
from genesis_core.sampling.cache_keeping import survey_cache
from genesis_core.sampling.preparing import prepare_scans
from genesis_core.volumes.intensity import WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import Scan, list_scans

CT = Preprocessing(modality="ct")
SHAPE = (40, 60, 70)
PREPARE = """
import sys
from pathlib import Path
from genesis_core.sampling.preparing import prepare_scans
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans
scans, folder = list_scans(sys.argv[1]), Path(sys.argv[2])
turns = 10**9 if sys.argv[3] == "forever" else int(sys.argv[3])
for turn in range(turns):
    cached, problems = prepare_scans(scans, Preprocessing(modality="ct"), folder)
    assert not problems, problems
    if turn + 1 < turns:
        for one in cached:
            one.entry.unlink(missing_ok=True)
"""


def made(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-1100, 1200, SHAPE).astype(np.int16)


def write(path: Path, array: np.ndarray) -> None:
    WriteImage(GetImageFromArray(array), str(path))


@pytest.fixture
def scans(tmp_path: Path) -> list[Scan]:
    """Five scans of noise, which does not compress: entries of some hundred kilobytes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        write(folder / f"{number}.nii.gz", made(number))
    return list_scans(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def start(scans: list[Scan], folder: Path, turns: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREPARE, str(scans[0].path.parent), str(folder), turns]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def check_everything(scans: list[Scan], folder: Path) -> None:
    """Every entry under a final name is whole, and every scan is served as it is."""
    for file in survey_cache(folder).entries:
        assert read_header(file.path)["shape"] == list(SHAPE)
    for number, scan in enumerate(scans):
        cached = open_cached(scan, CT, folder)
        assert not any("damaged" in note for note in cached.notes)
        array = made(number)
        np.testing.assert_array_equal(cached.read((0, 0, 0), SHAPE), WindowIntensity().fit(array).to_unit(array))


def kill_while_writing(scans: list[Scan], folder: Path, generator: np.random.Generator) -> None:
    """Kill a process that prepares the scans over and over, once a half-written file has reached a random size."""
    process = start(scans, folder, "forever")
    wanted = int(generator.integers(0, 280_000))
    while process.poll() is None:
        sizes = []
        for file in folder.glob(".*.tmp.*") if folder.exists() else ():
            try:
                sizes.append(file.stat().st_size)
            except FileNotFoundError:
                continue  # It has just been renamed.
        if any(size >= wanted for size in sizes):
            break
    process.kill()
    assert process.wait() == -9
    assert process.stderr is not None
    process.stderr.close()


def check_killed(scans: list[Scan], folder: Path, turns: int) -> None:
    generator = np.random.default_rng(turns)
    for _ in range(turns):
        kill_while_writing(scans, folder, generator)
        check_everything(scans, folder)
    left = survey_cache(folder).half_written
    sweep(folder)
    assert survey_cache(folder).half_written == left, "another process may be writing these now"
    for file in left:
        os.utime(file.path, (1, 1))
    sweep(folder)
    assert not survey_cache(folder).half_written


def test_a_process_killed_while_it_writes_leaves_no_damaged_entry(scans: list[Scan], folder: Path) -> None:
    check_killed(scans, folder, 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_processes_killed_while_they_write_leave_no_damaged_entry(scans: list[Scan], folder: Path) -> None:
    check_killed(scans, folder, 50)


def test_two_processes_prepare_and_prune_the_same_folder_at_once(scans: list[Scan], folder: Path) -> None:
    running = [start(scans, folder, "6") for _ in range(2)]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    check_everything(scans, folder)
    assert not survey_cache(folder).half_written


def test_a_source_that_changes_while_it_is_read_is_refused_and_not_kept(
    scans: list[Scan], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis_core.volumes import reading

    real = reading.read_volume

    def read_and_change(path: Path, **options: Any) -> Any:
        volume = real(path, **options)
        write(Path(path), made(99))
        return volume

    monkeypatch.setattr(reading, "read_volume", read_and_change)
    with pytest.raises(VolumeError, match="changed while it was read"):
        open_cached(scans[0], CT, folder)
    assert not list(folder.iterdir())
    monkeypatch.setattr(reading, "read_volume", real)
    array = made(99)
    cached = open_cached(scans[0], CT, folder)
    np.testing.assert_array_equal(cached.read((0, 0, 0), SHAPE), WindowIntensity().fit(array).to_unit(array))


def test_a_source_that_changes_while_others_are_prepared_costs_only_itself(
    scans: list[Scan], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis_core.volumes import reading

    real = reading.read_volume

    def cut_one(path: Path, **options: Any) -> Any:
        if Path(path) == scans[2].path:
            os.truncate(path, 5000)
        return real(path, **options)

    monkeypatch.setattr(reading, "read_volume", cut_one)
    cached, problems = prepare_scans(scans, CT, folder)
    assert [one.id for one in cached] == [scan.id for scan in scans if scan != scans[2]]
    assert [scan for scan, _ in problems] == [scans[2]]
    assert scans[2].path.name not in problems[0][1]


class FullDisk(io.FileIO):
    """A file on a disk that is full after `room` bytes."""

    room = 0

    def write(self, data: Any) -> int:
        size = len(memoryview(data).cast("B"))
        if self.tell() + size > type(self).room:
            super().write(bytes(memoryview(data).cast("B")[: max(0, type(self).room - self.tell())]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(super().write(data) or 0)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_anywhere_is_named_with_what_to_do(
    scans: list[Scan], folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    whole = open_cached(scans[0], CT, folder)
    size = whole.entry.stat().st_size
    kept = whole.entry.read_bytes()
    real = open
    monkeypatch.setattr(
        bricks, "open", lambda path, mode="r", *rest, **named: (
            FullDisk(path, "w") if mode == "wb" else real(path, mode, *rest, **named)
        ), raising=False,
    )  # fmt: skip
    generator = np.random.default_rng(code)
    for room in (0, size - 1, *generator.integers(0, size, 6)):
        FullDisk.room = int(room)
        with pytest.raises(CacheError, match=rf"{re.escape(str(folder))}.*full.*Free some space, or set data\.cache"):
            open_cached(scans[1], CT, folder)
        assert [path for path in folder.iterdir() if path != whole.entry] == []
    assert whole.entry.read_bytes() == kept
    FullDisk.room = 10 * size
    open_cached(scans[1], CT, folder)


def test_a_disk_that_says_at_the_last_moment_that_it_is_full_is_named_too(
    scans: list[Scan], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="the disk or its quota is full"):
        open_cached(scans[0], CT, folder)
    assert not list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_preparing_a_folder_on_a_full_disk_ends_with_one_sentence_and_nothing_half_written(
    scans: list[Scan], folder: Path
) -> None:
    code = """
import resource, sys
from pathlib import Path
from genesis_core.errors import CacheError
from genesis_core.sampling.preparing import prepare_scans
from genesis_core.sampling import brick_kernels
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans
import numpy as np
brick_kernels.checksum(np.zeros(64, np.uint8), 0, 64)  # Compiled before files may not grow any more.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    prepare_scans(list_scans(sys.argv[1]), Preprocessing(modality="ct"), Path(sys.argv[2]))
except CacheError as problem:
    print(problem)
    sys.exit(7)
"""
    for limit in (1000, 150_000):
        command = [sys.executable, "-c", code, str(scans[0].path.parent), str(folder), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 7, done.stderr
        assert str(folder) in done.stdout
        assert "larger than is allowed here" in done.stdout
        assert not list(folder.iterdir())
