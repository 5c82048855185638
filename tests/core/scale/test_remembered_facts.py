"""Facts about files are remembered as long as the files are untouched; a bad store costs time, nothing else."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genesis_core import remembered as remembered_module
from genesis_core.remembered import Remembered, cache_root


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "scan.hdr", tmp_path / "scan.img"]
    for path in paths:
        path.write_bytes(b"voxels")
    return paths


@pytest.fixture
def store(tmp_path: Path) -> Remembered:
    return Remembered("test", 1, tmp_path / "store")


def test_what_was_kept_is_found_by_any_later_process(files: list[Path], store: Remembered, tmp_path: Path) -> None:
    assert store.find(files) is None
    store.keep(files, {"shape": [1, 2, 3], "name": "ä"})
    assert Remembered("test", 1, tmp_path / "store").find(files) == {"shape": [1, 2, 3], "name": "ä"}


def test_keys_versions_kinds_and_files_are_told_apart(files: list[Path], store: Remembered, tmp_path: Path) -> None:
    store.keep(files, {"a": 1}, "frame 0")
    assert store.find(files, "frame 1") is None
    assert store.find(files[:1], "frame 0") is None
    assert store.find(files[::-1], "frame 0") is None
    assert Remembered("test", 2, tmp_path / "store").find(files, "frame 0") is None
    assert Remembered("other", 1, tmp_path / "store").find(files, "frame 0") is None


@pytest.mark.parametrize("change", ["size", "time", "replaced", "gone"])
def test_any_touch_of_any_file_forgets(files: list[Path], store: Remembered, change: str) -> None:
    store.keep(files, {"a": 1})
    state = files[1].stat()
    if change == "size":
        files[1].write_bytes(b"voxels and more")
        os.utime(files[1], ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "time":
        os.utime(files[1], ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))
    elif change == "replaced":
        other = files[1].with_name("other")
        other.write_bytes(b"VOXELS")
        os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
        os.replace(other, files[1])
    else:
        files[1].unlink()
    assert store.find(files) is None


def test_nothing_is_kept_of_a_file_that_changed_while_it_was_read(files: list[Path], store: Remembered) -> None:
    assert store.find(files) is None
    files[0].write_bytes(b"another scan")
    store.keep(files, {"read": "before the change"})
    assert store.find(files) is None


def test_a_file_written_on_a_coarse_clock_just_now_is_not_kept(
    files: list[Path], store: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(files[0], (1_000_000, 1_000_000))
    monkeypatch.setattr("time.time", lambda: 1_000_001.0)
    store.keep(files, {"a": 1})
    assert store.find(files) is None
    monkeypatch.setattr("time.time", lambda: 1_000_010.0)
    store.keep(files, {"a": 1})
    assert store.find(files) == {"a": 1}


def test_fresh_answers_nothing_but_keeps_what_is_found_anew(
    files: list[Path], store: Remembered, tmp_path: Path
) -> None:
    store.keep(files, {"a": "old"})
    fresh = Remembered("test", 1, tmp_path / "store", fresh=True)
    assert fresh.find(files) is None
    fresh.keep(files, {"a": "new"})
    assert store.find(files) == {"a": "new"}


@pytest.mark.parametrize("damage", ["noise", "cut", "empty", "other database"])
def test_a_damaged_store_is_said_once_and_begun_anew_or_left(
    files: list[Path], store: Remembered, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        store.keep(files, {"a": "x" * 500}, str(number))
    store.close()
    whole = store.path.read_bytes()
    if damage == "other database":
        store.path.unlink()
        with sqlite3.connect(store.path) as connection:
            connection.execute("CREATE TABLE facts (something TEXT)")
    else:
        store.path.write_bytes({"noise": b"?" * 9000, "cut": whole[: len(whole) // 2], "empty": b""}[damage])
    again = Remembered("test", 1, store.path.parent)
    with caplog.at_level(logging.WARNING):
        for number in range(200):
            assert again.find(files, str(number)) in (None, {"a": "x" * 500})
            again.keep(files, {"a": "new"}, str(number))
    assert len(caplog.records) <= 1


def test_a_store_that_cannot_be_written_costs_only_time(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in the way").write_text("a file")
    store = Remembered("test", 1, tmp_path / "in the way")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            store.keep(files, {"a": 1})
            assert store.find(files) is None
    assert len(caplog.records) == 1


def test_the_store_tells_no_path(files: list[Path], store: Remembered) -> None:
    store.keep(files, {"a": 1}, "key")
    store.close()
    content = store.path.read_bytes()
    assert b"scan.hdr" not in content
    assert str(files[0].parent).encode() not in content


def test_threads_and_processes_keep_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from genesis_core.remembered import Remembered
store = Remembered("test", 1, Path(sys.argv[1]) / "store")
for number in range(60):
    store.keep([Path(sys.argv[1]) / "scan"], {"by": sys.argv[2]}, f"{sys.argv[2]} {number}")
"""
    (tmp_path / "scan").write_bytes(b"voxels")
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    store = Remembered("test", 1, tmp_path / "store")

    def keep(name: str) -> None:
        for number in range(60):
            store.keep([tmp_path / "scan"], {"by": name}, f"{name} {number}")

    threads = [threading.Thread(target=keep, args=(name,)) for name in "cd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.communicate()[1] for process in running] == ["", ""]
    for name in "abcd":
        for number in range(60):
            assert store.find([tmp_path / "scan"], f"{name} {number}") == {"by": name}


def test_a_process_killed_while_it_keeps_leaves_a_sound_store(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from genesis_core.remembered import Remembered
store = Remembered("test", 1, Path(sys.argv[1]) / "store")
print("begun", flush=True)
number = 0
while True:
    store.keep([Path(sys.argv[1]) / "scan"], {"number": number}, str(number % 50))
    number += 1
"""
    (tmp_path / "scan").write_bytes(b"voxels")
    for turn in range(6):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        store = Remembered("test", 1, tmp_path / "store")
        while store.find([tmp_path / "scan"], str(7 * turn)) is None:
            pass
        process.kill()
        process.wait()
        for number in range(50):
            found = store.find([tmp_path / "scan"], str(number))
            assert found is None or found["number"] % 50 == number
        store.keep([tmp_path / "scan"], {"number": 3}, "3")
        assert store.find([tmp_path / "scan"], "3") == {"number": 3}


def test_one_variable_moves_everything_that_is_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "fast disk"))
    assert cache_root() == tmp_path / "fast disk"
    assert Remembered("test", 1).path.parent == tmp_path / "fast disk" / "remembered"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_module, "_said", set())
