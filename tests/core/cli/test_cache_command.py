"""`napari-genesis cache` counts, prunes and moves what the cache wrote, and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.cli.main import run
from genesis_core.sampling.cache import cache_folder, open_cached
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans

CT = Preprocessing(modality="ct")
DAY = 86_400


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three small scans."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(3):
        array = np.random.default_rng(number).integers(-1000, 1000, (12, 20, 20)).astype(np.int16)
        WriteImage(GetImageFromArray(array), str(folder / f"{number}.nii.gz"))
    return folder


@pytest.fixture
def cache(scans: Path, tmp_path: Path) -> Path:
    """A cache of three entries, last used today, 10 and 40 days ago, with a file of somebody else's beside them."""
    folder = tmp_path / "cache"
    for number, scan in enumerate(list_scans(scans)):
        entry = open_cached(scan, CT, folder).entry
        age = (0, 10 * DAY, 40 * DAY)[number]
        os.utime(entry, (time.time() - age,) * 2)
    (folder / "thesis.docx").write_text("do not touch")
    half = folder / f".12345678.tmp.{'0' * 32}.bricks"
    half.write_bytes(b"half")
    os.utime(half, (1, 1))
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    assert run([*map(str, arguments), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_info_counts_what_is_there(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "cache", "info", "--cache", cache)
    assert (found["entries"], found["half_written"], found["foreign"]) == (3, 1, 1)
    assert found["bytes"] == sum(file.stat().st_size for file in cache.iterdir() if file.name != "thesis.docx")
    assert run(["cache", "info", "--cache", str(cache)]) == 0
    text = capsys.readouterr().out
    assert "3 prepared scans" in text
    assert "1 files there are not the cache's" in text


def test_info_of_a_cache_that_does_not_exist_yet_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "cache", "info", "--cache", tmp_path / "none")["entries"] == 0


def test_prune_removes_what_was_not_used_for_long_and_leaves_other_files(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    removed = answer(capsys, "cache", "prune", "--older-than", "30d", "--cache", cache)
    # The oldest entry, and what a killed process left.
    assert (removed["removed"], removed["left"]) == (2, 2)
    assert (cache / "thesis.docx").read_text() == "do not touch"
    assert not list(cache.glob(".*.tmp.*"))


def test_prune_by_size_removes_the_longest_unused_first(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = max(cache.glob("[!.]*.bricks"), key=lambda path: path.stat().st_mtime)
    size = newest.stat().st_size / 1000
    assert answer(capsys, "cache", "prune", "--keep-under", f"{size * 1.5:.3f}kB", "--cache", cache)["left"] == 1
    assert newest.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--older-than", "soon"], ["--keep-under", "20 apples"], ["--older-than", "-3d"]]
)
def test_prune_without_a_sound_limit_removes_nothing(cache: Path, arguments: list[str]) -> None:
    before = sorted(cache.iterdir())
    assert run(["cache", "prune", "--cache", str(cache), *arguments]) == 2
    assert sorted(cache.iterdir()) == before


def test_an_entry_that_is_opened_counts_as_used(scans: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for scan in list_scans(scans):
        open_cached(scan, CT, cache)
    assert answer(capsys, "cache", "prune", "--older-than", "1d", "--cache", cache)["left"] == 3


def test_a_moved_cache_serves_in_its_new_place(
    scans: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "other" / "disk"
    assert run(["cache", "move", "--to", str(place), "--cache", str(cache)]) == 0
    assert f"export GENESIS_CACHE={place}" in capsys.readouterr().out
    assert not list(cache.glob("[!.]*.bricks"))
    assert (cache / "thesis.docx").exists()
    monkeypatch.setenv("GENESIS_CACHE", str(place))
    assert cache_folder() == place / "scans"

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the source was read again")

    monkeypatch.setattr("genesis_core.volumes.reading.read_volume", refuse)
    for scan in list_scans(scans):
        assert open_cached(scan, CT).shape == (12, 20, 20)


def test_a_move_to_another_disk_copies_before_it_removes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import shutil

    contents = {path.name: path.read_bytes() for path in cache.glob("[!.]*.bricks")}
    within = os.replace

    def other_disk(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        within(source, target)

    full_after = iter([False, True])

    def copy(source: Path, target: Path) -> None:
        if next(full_after, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr(os, "replace", other_disk)
    monkeypatch.setattr(shutil, "copy2", copy)
    assert run(["cache", "move", "--to", str(tmp_path / "new"), "--cache", str(cache)]) == 1
    there = {path.name: path.read_bytes() for place in (cache, tmp_path / "new" / "scans") for path in place.iterdir()}
    assert {name: there[name] for name in contents} == contents
    assert run(["cache", "move", "--to", str(tmp_path / "new"), "--cache", str(cache)]) == 0
    assert {path.name for path in (tmp_path / "new" / "scans").iterdir()} == contents.keys()
