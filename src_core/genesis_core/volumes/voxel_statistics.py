"""Statistics of a whole scan that hold a few chunks in memory, whatever its size: extremes, mean, percentiles.

Voxels are taken as float32, what a network sees; those that are not finite are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

# Voxels looked at in one go: large enough for numpy, small beside any scan.
_CHUNK = 1 << 20


def percentiles(array: NDArray[Any], wanted: tuple[float, ...]) -> tuple[float, ...]:
    """Return percentiles (0..100) of the finite voxels, as numpy's default (linear between ranks), without a copy.

    Voxels are taken as float32; their bit patterns, made to sort like the numbers, are counted by upper and then by
    lower 16 bits, so the ranks are exact. Memory is a few chunks, whatever the size of the scan.
    Raises VolumeError if no voxel is finite.
    """
    upper = np.zeros(1 << 16, np.int64)
    for part in _finite_parts(array):
        upper += np.bincount(_sortable(part) >> np.uint32(16), minlength=1 << 16)
    count = int(upper.sum())
    if not count:
        raise _nothing_finite()
    places = [share / 100 * (count - 1) for share in wanted]
    ranks = sorted({rank for place in places for rank in (int(place), min(int(place) + 1, count - 1))})
    values = _values_at(array, upper, ranks)
    return tuple(
        values[int(place)] + (place - int(place)) * (values[min(int(place) + 1, count - 1)] - values[int(place)])
        for place in places
    )


def _values_at(array: NDArray[Any], upper: NDArray[np.int64], ranks: list[int]) -> dict[int, float]:
    ends = np.cumsum(upper)
    bins = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
    lower = {bin_: np.zeros(1 << 16, np.int64) for bin_ in bins.values()}
    for part in _finite_parts(array):
        keys = _sortable(part)
        heads = keys >> np.uint32(16)
        for bin_, counts in lower.items():
            counts += np.bincount(keys[heads == bin_] & np.uint32(0xFFFF), minlength=1 << 16)
    values = {}
    for rank, bin_ in bins.items():
        within = rank - int(ends[bin_] - upper[bin_])
        key = np.uint32((bin_ << 16) | int(np.searchsorted(np.cumsum(lower[bin_]), within, side="right")))
        # The inverse of `_sortable`: a set top bit means a number that was not negative.
        pattern = key ^ np.uint32(0x80000000) if key >> np.uint32(31) else ~key
        values[rank] = float(np.array([pattern], np.uint32).view(np.float32)[0])
    return values


def _sortable(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    # Negative floats sort backwards by their bits, so all their bits are flipped; of the others only the sign's.
    patterns = values.view(np.uint32)
    flips = (values.view(np.int32) >> 31).view(np.uint32) | np.uint32(0x80000000)
    keys: NDArray[np.uint32] = np.bitwise_xor(patterns, flips)
    return keys


def _finite_parts(array: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    # Whole slabs of the first axis, so that views with any strides are never copied as a whole.
    thickness = max(1, _CHUNK // max(1, array[0].size)) if array.size else 1
    for start in range(0, len(array), thickness):
        with np.errstate(over="ignore"):
            part = np.ascontiguousarray(array[start : start + thickness], dtype=np.float32).reshape(-1)
        yield part if array.dtype.kind in "iub" else part[np.isfinite(part)]


def extremes(array: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest finite voxel; raise VolumeError if there is none."""
    if array.size and array.dtype.kind in "iub":
        return float(array.min()), float(array.max())
    bounds = [(float(part.min()), float(part.max())) for part in _finite_parts(array) if part.size]
    if not bounds:
        raise _nothing_finite()
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def mean_and_deviation(array: NDArray[Any]) -> tuple[float, float]:
    """Return mean and standard deviation of the finite voxels (float64 sums); raise VolumeError if there is none."""
    total, count = 0.0, 0
    for part in _finite_parts(array):
        total += float(part.sum(dtype=np.float64))
        count += part.size
    if not count:
        raise _nothing_finite()
    mean = total / count
    squares = sum(float(np.square(part - mean, dtype=np.float64).sum()) for part in _finite_parts(array))
    return mean, float(np.sqrt(squares / count))


def _nothing_finite() -> VolumeError:
    return VolumeError("no finite voxel to fit the intensities to: the scan is empty, or all NaN or infinite")
