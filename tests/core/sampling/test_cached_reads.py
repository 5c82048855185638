"""Reading sub-volumes from the cache gives exactly the prepared voxels, padded with 0 outside of the scan."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.sampling.cache import CachedScan, open_cached
from genesis_core.volumes.intensity import Intensity, PercentileIntensity, WindowIntensity, ZScoreIntensity
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.scans import list_scans

Opener = Callable[..., tuple[CachedScan, np.ndarray]]
OFFSETS = st.integers(-70, 130)
SIZES = st.integers(1, 90)


def crop(array: np.ndarray, start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    """What a read should give: plain slicing, 0 outside."""
    out = np.zeros(size, np.float32)
    inside = [slice(max(0, s), max(0, min(n, s + m))) for s, m, n in zip(start, size, array.shape, strict=True)]
    if all(part.start < part.stop for part in inside):
        out[tuple(slice(p.start - s, p.stop - s) for p, s in zip(inside, start, strict=True))] = array[tuple(inside)]
    return out


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opener:
    """Write an array as a scan, cache it, and return it with what it should read as."""

    def opener(
        array: np.ndarray, modality: str = "ct", intensity: Intensity | None = None
    ) -> tuple[CachedScan, np.ndarray]:
        folder = tmp_path_factory.mktemp("scans")
        WriteImage(GetImageFromArray(array), str(folder / "scan.nrrd"))
        preprocessing = Preprocessing.model_validate({"modality": modality, "intensity": intensity})
        prepared = preprocessing.prepare(read_volume(folder / "scan.nrrd"))
        cached = open_cached(list_scans(folder)[0], preprocessing, folder / "cache")
        return cached, prepared.map.to_unit(prepared.volume.array)

    return opener


@pytest.fixture(scope="module")
def ct(opened: Opener) -> tuple[CachedScan, np.ndarray]:
    return opened(np.random.default_rng(0).integers(-1200, 1500, (61, 50, 103)).astype(np.int16))


@pytest.fixture(scope="module")
def mr(opened: Opener) -> tuple[CachedScan, np.ndarray]:
    return opened(np.random.default_rng(1).gamma(2, 100, (49, 25, 96)).astype(np.float32), "mr")


@settings(deadline=None, max_examples=60)
@given(st.tuples(OFFSETS, OFFSETS, OFFSETS), st.tuples(SIZES, SIZES, SIZES))
def test_any_read_of_a_ct_equals_slicing_the_prepared_array(
    ct: tuple[CachedScan, np.ndarray], start: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    cached, expected = ct
    np.testing.assert_array_equal(cached.read(start, size), crop(expected, start, size))


@settings(deadline=None, max_examples=60)
@given(st.tuples(OFFSETS, OFFSETS, OFFSETS), st.tuples(SIZES, SIZES, SIZES))
def test_any_read_of_an_mr_equals_slicing_the_prepared_array(
    mr: tuple[CachedScan, np.ndarray], start: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    cached, expected = mr
    np.testing.assert_array_equal(cached.read(start, size), crop(expected, start, size))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("intensity", [WindowIntensity(low=-20, high=90), PercentileIntensity(), ZScoreIntensity()])
def test_every_stored_type_and_every_mapping_reads_right(opened: Opener, dtype: type, intensity: Intensity) -> None:
    low = 0 if np.dtype(dtype).kind == "u" else -50
    array = np.random.default_rng(2).integers(low, 120, (20, 21, 22)).astype(dtype)
    cached, expected = opened(array, "mr", intensity)
    np.testing.assert_array_equal(cached.read((0, 0, 0), array.shape), expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (24, 24, 48), (25, 1, 49), (1, 97, 3)])
def test_thin_scans_and_whole_bricks_read_right(opened: Opener, shape: tuple[int, int, int]) -> None:
    cached, expected = opened(np.random.default_rng(3).integers(-1000, 1000, shape).astype(np.int16))
    np.testing.assert_array_equal(cached.read((-2, -2, -2), (70, 101, 99)), crop(expected, (-2, -2, -2), (70, 101, 99)))


def test_whole_numbers_in_range_take_half_the_room_of_others(opened: Opener) -> None:
    noise = np.random.default_rng(4).integers(-30000, 30000, (40, 40, 40))
    sizes = {}
    for name, array in {
        "int16": noise.astype(np.int16),
        "int32": noise.astype(np.int32),
        "whole float32": noise.astype(np.float32),
        "beyond int16": (noise * 3).astype(np.int32),
        "fractions": noise.astype(np.float32) + 0.5,
    }.items():
        cached, expected = opened(array, "mr")
        np.testing.assert_array_equal(cached.read((0, 0, 0), array.shape), expected)
        sizes[name] = cached.entry.stat().st_size
    assert sizes["int16"] == pytest.approx(sizes["int32"], rel=0.01) == pytest.approx(sizes["whole float32"], rel=0.01)
    assert sizes["fractions"] > 1.2 * sizes["int16"]
    assert sizes["beyond int16"] > 1.1 * sizes["int16"]


def test_what_is_read_owns_its_memory_and_changing_it_changes_nothing_else(ct: tuple[CachedScan, np.ndarray]) -> None:
    cached, expected = ct
    first = cached.read((5, 5, 5), (30, 30, 30))
    assert first.flags.owndata
    assert first.flags.writeable
    assert first.flags.c_contiguous
    first[:] = 7
    np.testing.assert_array_equal(cached.read((5, 5, 5), (30, 30, 30)), expected[5:35, 5:35, 5:35])


def test_reads_from_many_threads_are_all_right(
    ct: tuple[CachedScan, np.ndarray], mr: tuple[CachedScan, np.ndarray]
) -> None:
    generator = np.random.default_rng(5)
    jobs = [(number % 2, tuple(int(v) for v in generator.integers(-20, 40, 3))) for number in range(300)]

    def is_right(job: tuple[int, tuple[int, int, int]]) -> bool:
        cached, expected = (ct, mr)[job[0]]
        return np.array_equal(cached.read(job[1], (33, 40, 51)), crop(expected, job[1], (33, 40, 51)))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_right, jobs))


def test_no_file_stays_open_and_memory_does_not_grow_with_reads(ct: tuple[CachedScan, np.ndarray]) -> None:
    cached, process = ct[0], psutil.Process(os.getpid())
    for _ in range(200):
        cached.read((3, 3, 3), (48, 40, 90))
    before = process.memory_info().rss
    for _ in range(2000):
        cached.read((3, 3, 3), (48, 40, 90))
    assert process.memory_info().rss - before < 20e6
    assert not [file for file in process.open_files() if file.path.endswith(".bricks")]


def test_memory_does_not_grow_with_the_number_of_scans(tmp_path: Path) -> None:
    from genesis_core.sampling.bricks import read_bricks, write_bricks

    write_bricks(tmp_path / "one.bricks", np.zeros((240, 240, 480), np.int16), {})
    content = (tmp_path / "one.bricks").read_bytes()

    def growth(names: range) -> int:
        before = tracemalloc.get_traced_memory()[0]
        for number in names:
            path = tmp_path / f"{number}.bricks"
            path.write_bytes(content)
            read_bricks(path, (0, 0, 0), (8, 8, 8), 0, 1)
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        growth(range(300))
        assert growth(range(300, 900)) < 1e6
    finally:
        tracemalloc.stop()


def test_a_cached_scan_survives_pickling(ct: tuple[CachedScan, np.ndarray]) -> None:
    import pickle

    copy = pickle.loads(pickle.dumps(ct[0]))
    np.testing.assert_array_equal(copy.read((1, 2, 3), (9, 9, 9)), ct[1][1:10, 2:11, 3:12])


@pytest.mark.parametrize(
    ("relative", "modality"),
    [
        ("ct/chest_lidc0314_2mm.nii.gz", "ct"),
        ("ct/torso_totalseg_3mm.nii.gz", "ct"),
        ("awkward/oblique_flair.nrrd", "mr"),
        ("awkward/luna_style.mhd", "ct"),
        ("dicom/chest_ct_lidc0002_slab", "ct"),
    ],
)
def test_real_scans_read_as_prepared(real_data: Path, tmp_path: Path, relative: str, modality: str) -> None:
    scan = list_scans(real_data / relative)[0]
    preprocessing = Preprocessing.model_validate({"modality": modality})
    cached = open_cached(scan, preprocessing, tmp_path)
    prepared = preprocessing.prepare(read_volume(scan.path, series=scan.series))
    assert cached.shape == prepared.volume.shape
    assert cached.geometry == prepared.volume.geometry
    assert cached.id == scan.id
    expected = prepared.map.to_unit(prepared.volume.array)
    np.testing.assert_array_equal(cached.read((0, 0, 0), cached.shape), expected)
    if modality == "ct":
        assert cached.entry.stat().st_size <= 0.6 * 2 * expected.size
