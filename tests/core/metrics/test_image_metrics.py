"""Image metrics against scikit-image and against loops one can read."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from genesis_core.errors import GenesisError, SettingsError, VolumeError
from genesis_core.metrics.image import image_metrics, mae, mse, psnr, ssim


def _pair(shape: tuple[int, ...], seed: int, noise: float = 0.1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    first = generator.random(shape)
    return first, np.clip(first + noise * generator.standard_normal(shape), 0, 1)


@given(shape=hnp.array_shapes(min_dims=2, max_dims=3, min_side=7, max_side=20), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_all_agree_with_scikit_image(shape: tuple[int, ...], seed: int) -> None:
    first, second = _pair(shape, seed)
    ours = image_metrics(first, second, 1.0)
    assert ours["mse"] == pytest.approx(mean_squared_error(first, second), rel=1e-6)
    assert ours["mae"] == pytest.approx(np.abs(first - second).mean(), rel=1e-6)
    assert ours["psnr"] == pytest.approx(peak_signal_noise_ratio(first, second, data_range=1.0), rel=1e-6)
    assert ours["ssim"] == pytest.approx(structural_similarity(first, second, data_range=1.0), abs=1e-6)


@given(shape=hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_ssim_of_small_masked_arrays_agrees_with_a_plain_loop(shape: tuple[int, ...], seed: int) -> None:
    first, second = _pair(shape, seed)
    mask = np.random.default_rng(seed + 1).random(shape) < 0.7
    window = [min(7, length) for length in shape]
    values = []
    for start in itertools.product(*(range(length - size + 1) for length, size in zip(shape, window, strict=True))):
        if not mask[tuple(s + size // 2 for s, size in zip(start, window, strict=True))]:
            continue
        part = tuple(slice(s, s + size) for s, size in zip(start, window, strict=True))
        a, b = first[part].ravel(), second[part].ravel()
        # One voxel has no covariance.
        (saa, sab), (_, sbb) = np.cov(a, b) if a.size > 1 else np.zeros((2, 2))
        means = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
        values.append(means * (2 * sab + 9e-4) / (saa + sbb + 9e-4))
    if values:
        assert ssim(first, second, 1.0, mask) == pytest.approx(np.mean(values), abs=1e-9)
    else:
        with pytest.raises(VolumeError, match="mask"):
            ssim(first, second, 1.0, mask)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_any_dtype_is_compared_in_float64(dtype: type) -> None:
    first = np.arange(8 * 9 * 10).reshape(8, 9, 10).astype(dtype)
    second = first[::-1].copy()
    wide = [array.astype(np.float64) for array in (first, second)]
    assert mse(first, second) == mean_squared_error(*wide)
    assert ssim(first, second, 720.0) == pytest.approx(structural_similarity(*wide, data_range=720.0), abs=1e-9)


def test_equal_arrays_have_no_error_infinite_psnr_and_ssim_one() -> None:
    first, _ = _pair((8, 9, 10), 0)
    assert image_metrics(first, first, 1.0) == {"mse": 0.0, "mae": 0.0, "psnr": math.inf, "ssim": pytest.approx(1.0)}


def test_ssim_keeps_its_digits_on_a_large_offset() -> None:
    first, second = _pair((9, 9, 9), 1)
    # Both forms have no luminance difference to speak of, so the offset must not matter.
    second += first.mean() - second.mean()
    plain = ssim(first + 1e3, second + 1e3, 1.0)
    assert ssim(first + 1e6, second + 1e6, 1.0) == pytest.approx(plain, abs=1e-5)


def test_errors_outside_the_mask_do_not_count() -> None:
    first, second = _pair((12, 12, 12), 2)
    mask = np.zeros(first.shape, bool)
    mask[4:8, 4:8, 4:8] = True
    worse = np.where(mask, second, 0)
    assert mse(first, worse, mask) == mse(first, second, mask) == pytest.approx(np.mean((first - second)[mask] ** 2))
    assert mae(first, worse, mask) == mae(first, second, mask)
    assert psnr(first, worse, 1.0, mask) == psnr(first, second, 1.0, mask)


def test_the_arrays_are_not_changed() -> None:
    first, second = _pair((8, 8, 8), 3)
    for array in (first, second):
        array.flags.writeable = False
    image_metrics(first, second, 1.0, np.ones(first.shape, bool))


def test_views_with_any_strides_are_read_as_they_are() -> None:
    first, second = _pair((8, 10, 12), 4)
    turned = image_metrics(first.T[:, ::-1], second.T[:, ::-1], 1.0)
    assert turned == pytest.approx(image_metrics(first, second, 1.0))


@pytest.mark.parametrize(
    ("first", "second", "data_range", "mask", "error"),
    [
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 4)), 1.0, None, VolumeError),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), 1.0, np.ones((3, 3), bool), VolumeError),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), 1.0, np.zeros((3, 3, 3), bool), VolumeError),
        (np.zeros((0, 3, 3)), np.zeros((0, 3, 3)), 1.0, None, VolumeError),
        (np.zeros(3), np.zeros(3), 1.0, None, VolumeError),
        (np.full((3, 3, 3), np.nan), np.zeros((3, 3, 3)), 1.0, None, VolumeError),
        (np.zeros((3, 3, 3)), np.full((3, 3, 3), np.inf), 1.0, None, VolumeError),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), 0.0, None, SettingsError),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 3)), math.nan, None, SettingsError),
    ],
)
def test_what_cannot_be_compared_is_refused(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    data_range: float,
    mask: NDArray[np.bool_] | None,
    error: type[GenesisError],
) -> None:
    with pytest.raises(error):
        image_metrics(first, second, data_range, mask)


def test_a_large_memory_map_is_compared_in_the_memory_of_a_few_planes(tmp_path: Path) -> None:
    shape = (256, 128, 128)
    first = np.lib.format.open_memmap(tmp_path / "first.npy", "w+", np.float32, shape)
    first[:] = np.linspace(0, 1, 128, dtype=np.float32)
    image_metrics(first[:8], first[:8], 1.0)
    tracemalloc.start()
    result = image_metrics(first, first, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result["mse"] == 0
    # Seven planes of five float64 sums, and as much again to work with; the arrays in float64 would be 67 MB.
    assert peak < 2 * 7 * 5 * 128 * 128 * 8
