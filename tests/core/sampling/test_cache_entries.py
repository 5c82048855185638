"""Cache entries: when they are made again, how damage is met, and several processes at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from dicom_files import write_series
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.errors import CacheError, VolumeError
from genesis_core.sampling.cache import CachedScan, cache_folder, open_cached, sweep
from genesis_core.volumes.intensity import PercentileIntensity, WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import Scan, list_scans

CT = Preprocessing(modality="ct")
ARRAY = np.random.default_rng(0).integers(-1100, 1200, (40, 50, 60)).astype(np.int16)


def expected(array: np.ndarray = ARRAY) -> np.ndarray:
    return WindowIntensity().fit(array).to_unit(array)


def write(path: Path, array: np.ndarray = ARRAY) -> Scan:
    WriteImage(GetImageFromArray(array), str(path))
    return list_scans(path)[0]


def whole(cached: CachedScan) -> np.ndarray:
    return cached.read((0, 0, 0), cached.shape)


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    return write(tmp_path / "scan.nii.gz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no scan can be read: what still works came from the cache."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the source was read again")

    monkeypatch.setattr("genesis_core.volumes.reading.read_volume", refuse)


def test_a_second_opening_does_not_read_the_source(scan: Scan, folder: Path, request: pytest.FixtureRequest) -> None:
    open_cached(scan, CT, folder)
    request.getfixturevalue("unreadable")
    np.testing.assert_array_equal(whole(open_cached(scan, CT, folder)), expected())


def test_another_window_uses_the_same_entry(scan: Scan, folder: Path, request: pytest.FixtureRequest) -> None:
    open_cached(scan, CT, folder)
    request.getfixturevalue("unreadable")
    narrow = WindowIntensity(low=-160, high=240)
    cached = open_cached(scan, Preprocessing(modality="ct", intensity=narrow), folder)
    np.testing.assert_array_equal(whole(cached), narrow.fit(ARRAY).to_unit(ARRAY))


@pytest.mark.parametrize(
    "other",
    [
        Preprocessing(modality="ct", axis_codes="RAS"),
        Preprocessing(modality="ct", spacing=(2, 2, 2)),
        Preprocessing(modality="mr"),
        Preprocessing(modality="mr", intensity=PercentileIntensity(low=1)),
    ],
)
def test_other_preprocessing_makes_another_entry(scan: Scan, folder: Path, other: Preprocessing) -> None:
    first, second = open_cached(scan, CT, folder), open_cached(scan, other, folder)
    assert first.entry != second.entry
    np.testing.assert_array_equal(whole(first), expected())


def test_a_changed_source_makes_a_new_entry(scan: Scan, folder: Path) -> None:
    open_cached(scan, CT, folder)
    other = np.roll(ARRAY, 5, 0)
    write(scan.path, other)
    np.testing.assert_array_equal(whole(open_cached(scan, CT, folder)), expected(other))


def test_a_compressed_source_changed_behind_an_unchanged_time_and_size_is_noticed(scan: Scan, folder: Path) -> None:
    state = scan.path.stat()
    key = open_cached(scan, CT, folder).entry
    content = bytearray(scan.path.read_bytes())
    # The last eight bytes of a gzip file are checksum and length of its content.
    content[-8] ^= 1
    scan.path.write_bytes(content)
    os.utime(scan.path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(VolumeError):
        open_cached(scan, CT, folder)
    assert key.exists()


def test_a_changed_raw_file_beside_its_header_makes_a_new_entry(tmp_path: Path, folder: Path) -> None:
    scan = write(tmp_path / "scan.mhd")
    open_cached(scan, CT, folder)
    other = ARRAY[::-1].copy()
    raw = tmp_path / "scan.raw"
    raw.write_bytes(other.tobytes())
    os.utime(raw, ns=(1, 1))
    np.testing.assert_array_equal(whole(open_cached(scan, CT, folder)), expected(other))


def test_files_beside_a_single_dicom_file_change_nothing_of_its_entry(
    tmp_path: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    path = write_series(tmp_path / "scan", np.zeros((4, 9, 8), "i2"))[0]
    scan = list_scans(path)[0]
    open_cached(scan, CT, folder)
    (tmp_path / "scan" / "another.dcm").write_bytes(path.read_bytes())
    request.getfixturevalue("unreadable")
    open_cached(scan, CT, folder)
    path.touch()
    with pytest.raises(AssertionError, match="read again"):
        open_cached(scan, CT, folder)


def test_notes_in_a_series_folder_change_nothing_of_its_entry(
    tmp_path: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    write_series(tmp_path / "scan", np.zeros((4, 9, 8), "i2"))
    scan = list_scans(tmp_path / "scan")[0]
    open_cached(scan, CT, folder)
    for name in (".DS_Store", "notes.txt"):
        (tmp_path / "scan" / name).write_text("seen")
    request.getfixturevalue("unreadable")
    open_cached(scan, CT, folder)


def test_a_slice_removed_from_the_end_of_a_series_makes_a_new_entry(tmp_path: Path, folder: Path) -> None:
    slices = write_series(tmp_path / "scan", np.arange(5 * 9 * 8, dtype="i2").reshape(5, 9, 8))
    scan = list_scans(tmp_path / "scan")[0]
    before = open_cached(scan, CT, folder)
    voxels = whole(before)
    slices[-1].unlink()
    after = open_cached(scan, CT, folder)
    assert after.entry != before.entry
    np.testing.assert_array_equal(whole(after), voxels[:-1])


def test_a_slice_removed_from_the_middle_of_a_series_is_missed(tmp_path: Path, folder: Path) -> None:
    slices = write_series(tmp_path / "scan", np.zeros((5, 9, 8), "i2"))
    scan = list_scans(tmp_path / "scan")[0]
    open_cached(scan, CT, folder)
    slices[2].unlink()
    with pytest.raises(VolumeError, match=r"1 slice\(s\) missing"):
        open_cached(scan, CT, folder)


def test_damage_anywhere_is_never_silent(scan: Scan, folder: Path) -> None:
    entry = open_cached(scan, CT, folder).entry
    content = entry.read_bytes()
    generator = np.random.default_rng(1)
    # Random places, and every kind of place at the end: sizes, checksums, header, footer.
    places = [int(p) for p in generator.integers(0, len(content), 40)] + [
        len(content) - n for n in (1, 9, 20, 45, 60, 300)
    ]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(generator.integers(8))
        entry.write_bytes(damaged)
        cached = open_cached(scan, CT, folder)
        np.testing.assert_array_equal(whole(cached), expected())
        assert any("damaged or gone, and has been rebuilt" in note for note in cached.notes), place
        assert entry.read_bytes() == content


@pytest.mark.parametrize("keep", [0, 1, 50, 1000, -1, -100])
def test_an_entry_cut_short_is_rebuilt(scan: Scan, folder: Path, keep: int) -> None:
    entry = open_cached(scan, CT, folder).entry
    entry.write_bytes(entry.read_bytes()[:keep])
    cached = open_cached(scan, CT, folder)
    np.testing.assert_array_equal(whole(cached), expected())
    assert any("rebuilt" in note for note in cached.notes)


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_an_entry_with_a_page_overwritten_is_rebuilt(scan: Scan, folder: Path, filler: bytes) -> None:
    entry = open_cached(scan, CT, folder).entry
    content = bytearray(entry.read_bytes())
    for start in range(0, len(content), 4096):
        damaged = bytearray(content)
        damaged[start : start + 4096] = filler * len(damaged[start : start + 4096])
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(whole(open_cached(scan, CT, folder)), expected())


def test_damage_while_in_use_is_met_at_the_next_read(scan: Scan, folder: Path) -> None:
    cached = open_cached(scan, CT, folder)
    np.testing.assert_array_equal(whole(cached), expected())
    content = bytearray(cached.entry.read_bytes())
    content[1000] ^= 4
    cached.entry.write_bytes(content)
    np.testing.assert_array_equal(whole(cached), expected())
    assert any("rebuilt" in note for note in cached.notes)


def test_an_entry_deleted_while_in_use_comes_back(scan: Scan, folder: Path) -> None:
    import shutil

    cached = open_cached(scan, CT, folder)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(whole(cached), expected())


def test_damage_without_a_source_is_an_error_that_says_so(scan: Scan, folder: Path) -> None:
    cached = open_cached(scan, CT, folder)
    cached.entry.write_bytes(b"")
    scan.path.unlink()
    with pytest.raises(CacheError, match="cannot be rebuilt"):
        whole(cached)


def test_damage_with_a_source_that_changed_is_an_error_that_says_so(scan: Scan, folder: Path) -> None:
    cached = open_cached(scan, CT, folder)
    cached.entry.write_bytes(b"")
    write(scan.path, np.roll(ARRAY, 1, 0))
    with pytest.raises(CacheError, match="source has changed"):
        whole(cached)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_is_named_and_leaves_nothing_behind(
    scan: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = open_cached(scan, CT, folder).entry
    entry.unlink()
    # What is written beside the entry goes to a device that is always full.
    monkeypatch.setattr("genesis_core.atomic.uuid.uuid4", lambda: SimpleNamespace(hex="full" * 8))
    (folder / f".fullfull.tmp.{entry.name}").symlink_to("/dev/full")
    with pytest.raises(CacheError, match=r"full.*data\.cache"):
        open_cached(scan, CT, folder)
    assert not list(folder.iterdir())


def test_a_full_disk_before_the_folder_exists_is_named(
    scan: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(CacheError, match="full"):
        open_cached(scan, CT, folder)


def test_a_cache_folder_that_cannot_be_made_is_named(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match=r"file.*cannot be written.*data\.cache"):
        open_cached(scan, CT, tmp_path / "file" / "cache")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_cache_folder_without_permission_is_named(scan: Scan, folder: Path) -> None:
    folder.mkdir(mode=0o500)
    with pytest.raises(CacheError, match="permissions"):
        open_cached(scan, CT, folder)


def test_two_processes_may_prepare_the_same_scan_at_once(scan: Scan, folder: Path) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
from genesis_core.sampling.cache import open_cached
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans
scan = list_scans(Path(sys.argv[1]))[0]
for turn in range(15):
    cached = open_cached(scan, Preprocessing(modality="ct"), Path(sys.argv[2]))
    sys.stdout.write(str(float(cached.read((0, 0, 0), cached.shape).sum(dtype=np.float64))) + "\\n")
    cached.entry.unlink(missing_ok=True)
"""
    command = [sys.executable, "-c", code, str(scan.path), str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [line for process in running for line in process.communicate()[0].split()]
    assert [process.returncode for process in running] == [0, 0]
    assert len(sums) == 30
    assert {float(value) for value in sums} == {float(expected().sum(dtype=np.float64))}
    assert not list(folder.glob("*.tmp*"))


def test_the_default_folder_is_the_user_s_cache(scan: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, appauthor: str(tmp_path / name))
    assert open_cached(scan, CT).entry.is_relative_to(tmp_path / "napari-genesis")
    assert cache_folder().is_dir()


def test_an_entry_holds_no_path_and_no_file_name(tmp_path: Path, folder: Path) -> None:
    scan = write(tmp_path / "Doe_John_1970.nii.gz")
    content = open_cached(scan, CT, folder).entry.read_bytes()
    assert b"Doe_John" not in content
    assert str(tmp_path).encode() not in content


def test_half_written_entries_of_killed_processes_are_swept_after_a_day(folder: Path) -> None:
    folder.mkdir()
    old, new = folder / ".12ab.tmp.x.bricks", folder / ".34cd.tmp.x.bricks"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    sweep(folder)
    assert not old.exists()
    assert new.exists()


def test_a_scan_that_is_missing_is_named(scan: Scan, folder: Path) -> None:
    scan.path.unlink()
    with pytest.raises(VolumeError, match=r"scan\.nii\.gz"):
        open_cached(scan, CT, folder)


@pytest.mark.slow
def test_kernels_never_reach_beyond_their_arrays(tmp_path: Path) -> None:
    here = Path(__file__).parent
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(here / "test_cached_reads.py"),
        "-k",
        "equals_slicing",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
