"""Bringing a folder into the cache: bad scans are reported, the modality is decided for all."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.errors import CacheError, SamplingError
from genesis_core.sampling.preparing import decide_modality, prepare_scans
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans

CT = Preprocessing(modality="ct")


def write_ct(path: Path, seed: int = 0) -> None:
    array = np.full((20, 40, 40), -1000, np.int16)
    array[4:16, 8:32, 8:32] = np.random.default_rng(seed).normal(40, 20, (12, 24, 24))
    WriteImage(GetImageFromArray(array), str(path))


def write_mr(path: Path, seed: int = 0) -> None:
    array = np.random.default_rng(seed).gamma(1, 20, (20, 40, 40))
    array[4:16, 8:32, 8:32] += 600
    WriteImage(GetImageFromArray(array.astype(np.int16)), str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    for number in range(5):
        write_ct(tmp_path / "scans" / f"case{number}.nii.gz", number)
    return tmp_path / "scans"


def test_scans_come_back_in_their_order_with_progress(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    main = threading.get_ident()

    def progress(done: int, total: int, name: str) -> None:
        assert threading.get_ident() == main
        assert name.startswith("scan_")
        seen.append((done, total))

    scans = list_scans(folder)
    cached, problems = prepare_scans(scans, CT, tmp_path / "cache", progress=progress)
    assert [one.id for one in cached] == [scan.id for scan in scans]
    assert problems == []
    assert seen == [(number, 5) for number in range(1, 6)]


def test_bad_scans_are_reported_by_pseudonym_and_skipped(folder: Path, tmp_path: Path) -> None:
    (folder / "case1.nii.gz").write_bytes((folder / "case1.nii.gz").read_bytes()[:900])
    (folder / "case3.nii.gz").write_bytes(b"")
    scans = list_scans(folder)
    cached, problems = prepare_scans(scans, CT, tmp_path / "cache")
    assert [one.id for one in cached] == [scans[n].id for n in (0, 2, 4)]
    assert [scan.relative for scan, _ in problems] == ["case1.nii.gz", "case3.nii.gz"]
    for scan, reason in problems:
        assert scan.id in reason
        assert str(folder) not in reason


def test_a_scan_that_trips_over_a_defect_does_not_cost_the_others(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis_core.volumes import reading

    read = reading.read_volume

    def trips(path: Path, **more: object):  # type: ignore[no-untyped-def]
        if path.name == "case2.nii.gz":
            raise ZeroDivisionError("a defect")
        if path.name == "case3.nii.gz":
            raise MemoryError
        return read(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read_volume", trips)
    cached, problems = prepare_scans(list_scans(folder), CT, tmp_path / "cache")
    assert len(cached) == 3
    assert [reason for _, reason in problems] == [
        "unexpected ZeroDivisionError: a defect",
        "it does not fit into memory",
    ]


def test_only_bad_scans_is_an_error_with_reasons(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(b"not a scan")
    with pytest.raises(SamplingError, match=r"none of the 5 scans.*scan_"):
        prepare_scans(list_scans(folder), CT, tmp_path / "cache")


def test_no_scan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="no scan"):
        prepare_scans([], CT, tmp_path)


def test_a_cache_that_cannot_be_written_ends_it_at_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError):
        prepare_scans(list_scans(folder), CT, tmp_path / "file" / "cache")


def test_asked_to_stop_it_returns_what_is_done(folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    cached, problems = prepare_scans(
        list_scans(folder),
        CT,
        tmp_path / "cache",
        progress=lambda number, total, name: done.append(number),
        should_stop=lambda: bool(done),
        threads=1,
    )
    assert 1 <= len(cached) < 5
    assert not problems


def test_the_modality_is_decided_from_all_scans(folder: Path, tmp_path: Path) -> None:
    kind, sentence = decide_modality(list_scans(folder), "auto", tmp_path / "cache")
    assert kind == "ct"
    assert "All 5 readable scans look like CT" in sentence


def test_the_modality_is_looked_up_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = list_scans(folder)
    decide_modality(scans, "auto", tmp_path / "cache")
    for note in (tmp_path / "cache").glob("*.modality.*"):
        note.write_text("damaged") if "0" in note.name[:4] else None
    (folder / "case4.nii.gz").unlink()
    assert decide_modality(scans, "auto", tmp_path / "cache")[1].startswith("All 4 readable")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("genesis_core.volumes.reading.read_volume", refuse)
    assert decide_modality(scans[:4], "auto", tmp_path / "cache")[0] == "ct"


def test_a_folder_of_both_kinds_names_counts_and_what_to_set(folder: Path, tmp_path: Path) -> None:
    write_mr(folder / "mr.nii.gz")
    with pytest.raises(SamplingError, match=r"5 scans look like CT and 1 like MR.*--modality.*scan_"):
        decide_modality(list_scans(folder), "auto", tmp_path / "cache")
    assert decide_modality(list_scans(folder), "mr", tmp_path / "cache")[0] == "mr"


def test_real_folders_are_recognised(real_data: Path, tmp_path: Path) -> None:
    assert decide_modality(list_scans(real_data / "ct" / "chest_lidc0314_2mm.nii.gz"), "auto", tmp_path)[0] == "ct"
    assert (
        decide_modality(list_scans(real_data / "labelled" / "hippocampus_mr" / "images")[:6], "auto", tmp_path)[0]
        == "mr"
    )


def test_everything_that_is_awkward_is_either_usable_or_reported(real_data: Path, tmp_path: Path) -> None:
    scans = list_scans(real_data / "awkward")
    cached, problems = prepare_scans(scans, Preprocessing(modality="mr"), tmp_path)
    assert len(cached) + len(problems) == len(scans)
    refused = {scan.relative for scan, _ in problems}
    assert {"truncated.nii.gz", "lfs_pointer.mha"} <= refused
    assert not any("unexpected" in reason for _, reason in problems)
    for one in cached:
        array = one.read((0, 0, 0), (16, 32, 32))
        assert np.isfinite(array).all()
        assert 0 <= array.min() <= array.max() <= 1
