"""Fitting intensities and mapping them to [0, 1] and back."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from genesis_core.errors import VolumeError
from genesis_core.volumes.intensity import (
    IntensityMap,
    PercentileIntensity,
    WindowIntensity,
    ZScoreIntensity,
    default_intensity,
)
from genesis_core.volumes.voxel_statistics import percentiles

ARRAYS = hnp.arrays(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32]),
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
    elements={"min_value": 0, "max_value": 255},
)


def test_ct_is_mapped_by_the_published_window() -> None:
    unit = default_intensity("ct").fit(np.zeros((1, 1, 1), np.int16)).to_unit(np.array([-2000, -1000, 0, 500, 3000]))
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [0, 0, 0.5, 0.75, 1], atol=1e-6)


def test_mr_is_mapped_by_percentiles_of_the_scan() -> None:
    scan = np.random.default_rng(0).gamma(2, 300, (20, 30, 40)).astype(np.float32)
    fitted = default_intensity("mr").fit(scan)
    np.testing.assert_allclose((fitted.low, fitted.high), np.percentile(scan, (0.5, 99.5)), rtol=1e-6)


@settings(deadline=None, max_examples=80)
@given(ARRAYS, st.lists(st.floats(0, 100), min_size=1, max_size=3))
def test_percentiles_are_those_of_numpy(array: np.ndarray, wanted: list[float]) -> None:
    expected = np.percentile(array.astype(np.float32).astype(np.float64), wanted)
    np.testing.assert_allclose(percentiles(array, tuple(wanted)), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=5),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_the_extreme_percentiles_are_minimum_and_maximum(array: np.ndarray) -> None:
    assert percentiles(array, (0, 100)) == (array.min(), array.max())


def test_percentiles_of_views_and_of_unusual_types_are_right() -> None:
    whole = np.random.default_rng(1).normal(0, 1000, (30, 40, 50))
    view = whole[::-2, ::3, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(percentiles(view, (1, 99)), np.percentile(view, (1, 99)), rtol=1e-6)


def test_voxels_that_are_not_finite_are_left_out_of_the_fit() -> None:
    scan = np.random.default_rng(2).normal(100, 10, (10, 10, 10)).astype(np.float32)
    holed = np.concatenate([scan, np.full((3, 10, 10), np.nan, np.float32), np.full((1, 10, 10), np.inf, np.float32)])
    for intensity in (PercentileIntensity(), ZScoreIntensity()):
        assert intensity.fit(holed) == intensity.fit(scan)


def test_a_scan_without_a_finite_voxel_is_refused() -> None:
    with pytest.raises(VolumeError, match="no finite voxel"):
        PercentileIntensity().fit(np.full((2, 2, 2), np.nan))


@pytest.mark.parametrize("intensity", [PercentileIntensity(), ZScoreIntensity()])
def test_a_constant_scan_becomes_all_zero_and_says_so(intensity: PercentileIntensity | ZScoreIntensity) -> None:
    scan = np.full((4, 4, 4), 0.1, np.float32)
    fitted = intensity.fit(scan)
    assert "every voxel is 0.1" in fitted.note
    assert not fitted.to_unit(scan).any()


def test_a_scan_that_is_nearly_all_background_keeps_its_contrast_and_says_so() -> None:
    scan = np.zeros((20, 20, 20), np.int16)
    scan[10, 10, :10] = 700
    fitted = PercentileIntensity().fit(scan)
    assert (fitted.low, fitted.high) == (0, 700)
    assert "minimum and maximum" in fitted.note


def test_a_window_that_misses_the_scan_is_said() -> None:
    note = WindowIntensity(low=-160, high=240).fit(np.full((2, 2, 2), 1000, np.int16)).note
    assert "above the window" in note
    assert "check the modality" in note


def test_zscore_maps_the_mean_to_one_half() -> None:
    scan = np.random.default_rng(3).normal(500, 50, (20, 20, 20)).astype(np.float32)
    fitted = ZScoreIntensity(limit=3).fit(scan)
    np.testing.assert_allclose(fitted.low, scan.mean() - 3 * scan.std(), rtol=1e-4)
    np.testing.assert_allclose(fitted.to_unit(scan.mean()), 0.5, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(ARRAYS, st.floats(-100, 100), st.floats(0.5, 500))
def test_the_way_back_restores_everything_inside_the_window(array: np.ndarray, low: float, width: float) -> None:
    fitted = IntensityMap(low, low + width)
    unit = fitted.to_unit(array)
    assert unit.dtype == np.float32
    assert 0 <= unit.min() <= unit.max() <= 1
    np.testing.assert_allclose(fitted.from_unit(unit), np.clip(array, low, low + width), atol=1e-3)


def test_mapping_does_not_change_its_input() -> None:
    scan = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    before = scan.copy()
    fitted = IntensityMap(3, 9)
    fitted.from_unit(fitted.to_unit(scan))
    np.testing.assert_array_equal(scan, before)


@pytest.mark.parametrize(("low", "high"), [(0, 1e39), (float("nan"), 1), (2, 1), (0, float("inf"))])
def test_bounds_that_would_make_not_a_number_are_refused(low: float, high: float) -> None:
    with pytest.raises(VolumeError, match="cannot be mapped"):
        IntensityMap(low, high)


def test_a_range_too_narrow_for_float32_is_flat_instead_of_infinite() -> None:
    assert not IntensityMap(1e8, 1e8 + 1e-3).to_unit(np.array([1e8, 1e8 + 100])).any()
    assert not IntensityMap(0, 1e-42).to_unit(np.zeros(3)).any()


@pytest.mark.parametrize("values", [{"low": 5, "high": 5}, {"low": 10, "high": -10}, {"low": float("nan")}])
def test_an_empty_window_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        WindowIntensity(**values)


def test_fitting_needs_a_few_chunks_of_memory_only() -> None:
    scan = np.random.default_rng(4).normal(0, 1000, (160, 256, 256)).astype(np.float32)
    tracemalloc.start()
    PercentileIntensity().fit(scan)
    ZScoreIntensity().fit(scan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scan.nbytes


def test_the_settings_are_imported_without_numpy() -> None:
    code = "import sys, genesis_core.sampling.settings; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
