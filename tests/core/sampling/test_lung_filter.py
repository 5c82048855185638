"""The published lung filter, against a slow reading of its description, and its margins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from SimpleITK import GetImageFromArray, WriteImage

from genesis_core.errors import SamplingError
from genesis_core.sampling.cache import CachedScan, open_cached
from genesis_core.sampling.filters import lung_score
from genesis_core.sampling.sampler import Sampler
from genesis_core.sampling.settings import LungFilterSettings, SamplingSettings
from genesis_core.volumes.intensity import WindowIntensity
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans


def slow_score(array: np.ndarray, level: float) -> float:
    """Voxel by voxel: how soon, within three slices, tissue begins."""
    depth, height, width = array.shape[0] - 2, *array.shape[1:]
    total = 0.0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                ahead = [slice_ for slice_ in range(3) if array[z + slice_, y, x] >= level]
                total += {0: 1.0, 1: 0.5, 2: 0.0}[ahead[0]] if ahead else 0.0
    return total / (depth * height * width)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.tuples(st.integers(3, 8), st.integers(1, 6), st.integers(1, 6)), st.floats(0, 1))
def test_the_score_is_that_of_the_slow_reading(seed: int, shape: tuple[int, int, int], level: float) -> None:
    array = np.random.default_rng(seed).random(shape, np.float32)
    level = float(np.float32(level))
    assert lung_score(array[:-1], level) == pytest.approx(slow_score(array, level), abs=1e-12)


def test_a_voxel_at_the_threshold_is_tissue() -> None:
    assert lung_score(np.full((3, 2, 2), 0.425, np.float32), 0.425) == 1


def scan_of(folder: Path, array: np.ndarray, **preprocessing: object) -> CachedScan:
    folder.mkdir(parents=True, exist_ok=True)
    WriteImage(GetImageFromArray(array), str(folder / "scan.nrrd"))
    made = Preprocessing.model_validate({"modality": "ct", **preprocessing})
    return open_cached(list_scans(folder)[0], made, folder / "cache")


def chest(shape: tuple[int, int, int]) -> np.ndarray:
    """Soft tissue with two air-filled lungs, in air."""
    _, y, x = np.indices(shape, sparse=True)
    mid_y, mid_x = shape[1] / 2, shape[2] / 2
    scan = np.full(shape, -1000, np.int16)
    scan[
        np.broadcast_to(((y - mid_y) / (0.45 * shape[1])) ** 2 + ((x - mid_x) / (0.48 * shape[2])) ** 2 < 1, shape)
    ] = 40
    for side in (-1, 1):
        lung = ((y - mid_y) / (0.3 * shape[1])) ** 2 + (
            (x - mid_x - side * 0.2 * shape[2]) / (0.17 * shape[2])
        ) ** 2 < 1
        scan[np.broadcast_to(lung, shape)] = -850
    return scan


def test_accepted_sub_volumes_are_air_filled_lung_within_the_margins(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, chest((100, 400, 440)))
    drawing = Sampler([scan], SamplingSettings(filter="lung_ct", flips=()), seed=0)
    level = float(np.float32((-150 + 1000) / 2000))
    accepted = 0
    for index in range(40):
        drawn = drawing.sub_volume("train", 0, index)
        assert drawn.array.shape == (32, 64, 64)
        assert drawn.array.flags.owndata
        for start, size, length, margin in zip(drawn.start, (32, 64, 64), scan.shape, (30, 100, 100), strict=True):
            assert margin <= start <= length - size - margin
        score = lung_score(scan.read(drawn.start, (33, 64, 64)), level)
        assert drawn.fallback == (score > 0.15)
        accepted += not drawn.fallback
    assert accepted > 0


def test_an_abdomen_gives_fallbacks_only(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, np.full((100, 270, 270), 40, np.int16))
    drawing = Sampler([scan], SamplingSettings(filter="lung_ct", max_tries=3), seed=0)
    assert all(drawing.sub_volume("train", 0, index).fallback for index in range(5))


def test_scans_too_small_for_the_margins_are_left_out_by_name(tmp_path: Path) -> None:
    large = scan_of(tmp_path / "large", chest((96, 264, 264)))
    small = scan_of(tmp_path / "small", chest((95, 264, 264)))
    drawing = Sampler([small, large], SamplingSettings(filter="lung_ct", max_tries=1), seed=0)
    assert "1 of 2 scans are left out" in drawing.notes[0]
    assert small.id in drawing.notes[0]
    assert "96, 264, 264" in drawing.notes[0]
    assert {drawing.sub_volume("train", 0, index).scan for index in range(20)} == {1}


def test_only_small_scans_is_an_error_that_names_the_margins(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, chest((40, 100, 100)))
    with pytest.raises(SamplingError, match=r"96, 264, 264.*margin"):
        Sampler([scan], SamplingSettings(filter="lung_ct"), seed=0)


def test_smaller_margins_admit_smaller_scans(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, chest((60, 120, 120)))
    lung = LungFilterSettings(margin=(0, 20, 20))
    drawn = Sampler([scan], SamplingSettings(filter="lung_ct", lung=lung), seed=0).sub_volume("train", 0, 0)
    assert all(start >= margin for start, margin in zip(drawn.start, (0, 20, 20), strict=True))


def test_mr_is_refused(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, chest((96, 264, 264)), modality="mr")
    with pytest.raises(SamplingError, match="for CT"):
        Sampler([scan], SamplingSettings(filter="lung_ct"), seed=0)


def test_a_window_that_cuts_the_threshold_away_is_refused(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, chest((96, 264, 264)), intensity=WindowIntensity(low=-100, high=300))
    with pytest.raises(SamplingError, match="outside of the intensity window"):
        Sampler([scan], SamplingSettings(filter="lung_ct"), seed=0)
