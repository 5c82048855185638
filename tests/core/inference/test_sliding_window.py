"""The sliding window: exact where it must be, bounded in memory, and it changes nothing but its result."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.errors import ModelError, SettingsError
from genesis_core.inference.sliding_window import Stopped, count_windows, finished_slabs, sliding_window
from genesis_core.inference.window_grid import axis_windows, gaussian_weights

Array = NDArray[np.float32]
sizes = st.tuples(*[st.integers(1, 24)] * 3)
overlaps = st.floats(0, 0.95)


def _noise(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def _identity(windows: Array) -> Array:
    return windows


@given(shape=sizes, patch=sizes, overlap=overlaps, batch_size=st.integers(1, 3))
@example(shape=(24, 23, 22), patch=(4, 4, 4), overlap=0.95, batch_size=1)
@example(shape=(14, 11, 10), patch=(8, 5, 5), overlap=0.875, batch_size=1)
@example(shape=(1, 1, 1), patch=(24, 24, 24), overlap=0.5, batch_size=2)
@settings(deadline=None, max_examples=60)
def test_the_identity_comes_back_exactly_from_any_shape_patch_and_overlap(
    shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float, batch_size: int
) -> None:
    # A patch far smaller than the array would only make the same thing slow.
    patch = tuple(max(size, length // 6) for size, length in zip(patch, shape, strict=True))  # type: ignore[assignment]
    array = _noise(shape)
    blended = sliding_window(_identity, array, patch, overlap=overlap, batch_size=batch_size)
    assert blended.shape == (1, *shape)
    assert blended.dtype == np.float32
    # Beyond three quarters hundreds of windows are added up over a voxel in single precision.
    np.testing.assert_allclose(blended[0], array, atol=1e-6 if overlap <= 0.75 else 2e-6, rtol=0)


@given(shape=sizes, patch=sizes, overlap=st.floats(0, 0.8))
@settings(deadline=None, max_examples=40)
def test_slabs_put_together_are_the_whole_result(
    shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float
) -> None:
    patch = tuple(max(size, length // 6) for size, length in zip(patch, shape, strict=True))  # type: ignore[assignment]
    array = _noise(shape)

    def predict(windows: Array) -> Array:
        return np.concatenate([windows**2, windows.mean(axis=(2, 3, 4), keepdims=True) + 0 * windows], axis=1)

    whole = sliding_window(predict, array, patch, overlap=overlap, channels=2)
    following, pieces = 0, []
    for slab in finished_slabs(predict, array, patch, overlap=overlap, channels=2):
        assert slab.start == following
        following += slab.values.shape[1]
        pieces.append(slab.values.copy())
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


@given(length=st.integers(1, 300), patch=st.integers(1, 100), overlap=overlaps)
@settings(deadline=None)
def test_windows_cover_an_axis_and_overlap_as_asked(length: int, patch: int, overlap: float) -> None:
    axis = axis_windows(length, patch, overlap)
    if length <= patch:
        assert axis.starts == (-((patch - length) // 2),)
        return
    assert axis.starts[0] == 0
    assert axis.starts[-1] == length - patch
    assert all(0 < step <= max(1, patch * (1 - overlap) + 1e-6) for step in np.diff(axis.starts))
    total = np.zeros(length)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        total[start : start + patch] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_the_blend_is_the_gaussian_mean_of_the_windows() -> None:
    array = _noise((9, 14, 11))
    patch = (5, 6, 7)
    calls: list[Array] = []

    def predict(windows: Array) -> Array:
        calls.append(_noise(windows.shape, len(calls)))
        return calls[-1]

    blended = sliding_window(predict, array, patch, overlap=0.5)[0]
    gaussian = np.einsum("i,j,k->ijk", *(gaussian_weights(size) for size in patch))
    total, weight = np.zeros(array.shape), np.zeros(array.shape)
    starts = [axis_windows(length, size, 0.5).starts for length, size in zip(array.shape, patch, strict=True)]
    windows = iter(calls)
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                place = slice(z, z + 5), slice(y, y + 6), slice(x, x + 7)
                total[place] += gaussian * next(windows)[0, 0]
                weight[place] += gaussian
    np.testing.assert_allclose(blended, total / weight, atol=1e-6)


@pytest.mark.slow
def test_the_gaussian_is_that_of_monai() -> None:
    monai = pytest.importorskip("monai.data.utils")
    theirs = monai.compute_importance_map((10, 16, 24), mode="gaussian", sigma_scale=0.125, device="cpu").numpy()
    ours = np.einsum("i,j,k->ijk", *(gaussian_weights(size) for size in (10, 16, 24)))
    # MONAI lifts the smallest weights to a thousandth, which no product of three factors can do.
    np.testing.assert_allclose(np.maximum(ours, 1e-3), theirs, atol=1e-6)


def test_input_and_network_output_are_not_changed() -> None:
    array = _noise((20, 20, 20))
    before = array.copy()
    output = _noise((1, 2, 8, 8, 8))
    kept = output.copy()
    sliding_window(lambda _: output, array, (8, 8, 8), channels=2)
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(output, kept)


def test_a_network_that_works_in_place_cannot_reach_the_input() -> None:
    array = _noise((20, 20, 20))

    def predict(windows: Array) -> Array:
        windows *= 2
        return windows

    with pytest.raises(ValueError, match="read-only"):
        sliding_window(predict, array, (8, 8, 8))


def test_axes_shorter_than_the_patch_are_filled_and_cropped() -> None:
    array = np.ones((3, 10, 2), np.float32)
    seen: list[Array] = []

    def predict(windows: Array) -> Array:
        seen.append(windows.copy())
        return windows

    np.testing.assert_array_equal(sliding_window(predict, array, (8, 10, 4), fill=-1)[0], array)
    assert seen[0].shape == (1, 1, 8, 10, 4)
    assert seen[0].sum() == 60 - (320 - 60)
    np.testing.assert_array_equal(seen[0][0, 0, 2:5, :, 1:3], array)


def test_several_input_channels_integers_and_other_float_types_work() -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (2, 9, 10, 11), dtype=np.int16)

    def predict(windows: Array) -> NDArray[np.float64]:
        return windows.astype(np.float64).sum(axis=1, keepdims=True)

    blended = sliding_window(predict, array, (4, 5, 6))
    np.testing.assert_allclose(blended, array.sum(axis=0, keepdims=True), atol=1e-3)


def test_progress_counts_every_window() -> None:
    calls: list[tuple[int, int]] = []
    array = _noise((20, 20, 20))
    count = count_windows(array.shape, (8, 8, 8), 0.5)
    sliding_window(_identity, array, (8, 8, 8), batch_size=2, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert {total for _, total in calls} == {count}
    assert calls[-1] == (count, count)


def test_stop_is_asked_between_windows() -> None:
    calls: list[int] = []

    def predict(windows: Array) -> Array:
        calls.append(1)
        return windows

    with pytest.raises(Stopped):
        sliding_window(predict, _noise((20, 20, 20)), (8, 8, 8), stop=lambda: len(calls) == 3)
    assert len(calls) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_is_named(value: float) -> None:
    def predict(windows: Array) -> Array:
        output = windows.copy()
        output[0, 0, 3, 2, 1] = value
        return output

    with pytest.raises(ModelError, match=r"not finite.*\(0, 0, 0\)"):
        sliding_window(predict, _noise((20, 20, 20)), (8, 8, 8))


def test_an_output_of_another_shape_is_named() -> None:
    with pytest.raises(ModelError, match=r"\(1, 1, 7, 8, 8\)"):
        sliding_window(lambda windows: windows[:, :, 1:], _noise((20, 20, 20)), (8, 8, 8))


@pytest.mark.parametrize(
    ("patch", "settings_"),
    [
        ((8, 8), {}),
        ((8, 0, 8), {}),
        ((8, 8, 8), {"overlap": 1.0}),
        ((8, 8, 8), {"overlap": -0.1}),
        ((8, 8, 8), {"overlap": float("nan")}),
        ((8, 8, 8), {"channels": 0}),
        ((8, 8, 8), {"batch_size": 0}),
    ],
)
def test_sizes_out_of_bounds_are_refused(patch: tuple[int, ...], settings_: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        sliding_window(_identity, _noise((20, 20, 20)), patch, **settings_)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(20, 20), (0, 20, 20), (1, 1, 20, 20, 20)])
def test_arrays_without_three_or_four_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="shape"):
        sliding_window(_identity, _noise(shape), (8, 8, 8))


def test_reducing_many_channels_never_holds_more_than_a_slab() -> None:
    array = _noise((160, 64, 64))
    channels, patch = 12, (16, 32, 32)
    output = np.empty((1, channels, *patch), np.float32)

    def predict(windows: Array) -> Array:
        np.multiply(windows, np.arange(channels)[:, None, None, None], out=output)
        return output

    for _ in finished_slabs(predict, array[:16], patch, channels=channels):
        pass
    labels = np.empty(array.shape, np.uint8)
    tracemalloc.start()
    for slab in finished_slabs(predict, array, patch, channels=channels):
        for plane in range(slab.values.shape[1]):
            labels[slab.start + plane] = slab.values[:, plane].argmax(axis=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (labels == channels - 1).mean() > 0.99
    slab_bytes = channels * 16 * 64 * 64 * 4
    # All channels of the whole array would be ten slabs.
    assert peak < 1.3 * slab_bytes


def test_one_channel_needs_no_more_than_its_result() -> None:
    array = _noise((128, 96, 96))
    sliding_window(_identity, array[:16, :32, :32], (16, 32, 32))
    tracemalloc.start()
    sliding_window(_identity, array, (16, 32, 32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * array.nbytes
