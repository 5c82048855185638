"""Windows for local shuffling, and the shuffling itself.

Windows and orders are hashed: window i is made from outputs 3i, 3i+1, 3i+2 of its stream, one an axis (upper half:
size, lower half: position); the t-th voxel over all windows, in their order, takes half a hash of the stream of orders,
low half first.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.compiling import (
    PLANES,
    READ_F32,
    READ_I64_2D,
    WRITE_F32,
    WRITE_I64_2D,
    compiled,
    inlined,
)
from genesis_core.corruptions.kernels.lanes import LANES, blend_lanes, copy_lanes
from genesis_core.randomness import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_S27, _S30, _S31, _HALF = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_LOW, _ONE = np.uint64(0xFFFFFFFF), np.uint64(1)
# Hashes made at a time: they stay in the first-level cache.
_BLOCK = 2048


@inlined
def mix(value: np.uint64) -> np.uint64:
    """Finalise 64 bits, as `randomness.mix` does."""
    value = (value ^ (value >> _S30)) * _MIX_1
    value = (value ^ (value >> _S27)) * _MIX_2
    return value ^ (value >> _S31)


@inlined
def _make_windows(key: np.uint64, axes: NDArray[np.int64], windows: NDArray[np.int64]) -> None:
    for axis in range(3):
        length = np.uint64(axes[0, axis])
        largest = np.uint64(axes[1, axis])
        for index in range(windows.shape[1]):
            value = mix(key + np.uint64(3 * index + axis + 1) * _GOLDEN)
            size = _ONE + (((value >> _HALF) * largest) >> _HALF)
            windows[axis, index] = np.int64(((value & _LOW) * (length - size + _ONE)) >> _HALF)
            windows[3 + axis, index] = np.int64(size)


@compiled(types.void, types.uint64, READ_I64_2D, WRITE_I64_2D)
def list_windows(key: np.uint64, axes: NDArray[np.int64], windows: NDArray[np.int64]) -> None:
    """Fill `windows`, of shape (6, n), with first voxels (z, y, x) and sizes (z, y, x).

    axes: (2, 3): the volume's shape, and the largest window along each axis. Sizes are uniform in 1..largest, first
    voxels uniform over the places where the window lies inside.
    """
    _make_windows(key, axes, windows)


@inlined
def _gather(
    source: NDArray[np.float32],
    start: int,
    plane: int,
    columns: int,
    size: tuple[int, int, int],
    window: NDArray[np.float32],
) -> None:
    # Whole vectors are copied; what lies behind a row is overwritten by the next one.
    depth, height, width = size
    at = 0
    if width <= LANES:
        for z in range(depth):
            row = start + z * plane
            for _ in range(height):
                copy_lanes(window, at, source, row)
                at += width
                row += columns
    else:
        for z in range(depth):
            row = start + z * plane
            for _ in range(height):
                for x in range(0, width, LANES):
                    copy_lanes(window, at + x, source, row + x)
                at += width
                row += columns


@inlined
def _scatter(
    out: NDArray[np.float32],
    start: int,
    plane: int,
    columns: int,
    size: tuple[int, int, int],
    window: NDArray[np.float32],
    at: int,
) -> None:
    depth, height, width = size
    if width <= LANES:
        for z in range(depth):
            row = start + z * plane
            for _ in range(height):
                blend_lanes(out, row, window, at, width)
                at += width
                row += columns
    else:
        for z in range(depth):
            row = start + z * plane
            for _ in range(height):
                for x in range(0, width, LANES):
                    blend_lanes(out, row + x, window, at + x, width - x)
                at += width
                row += columns


# The last rows of a volume have no room behind them for a whole vector: these two go voxel by voxel.
@inlined
def _gather_at_the_end(
    source: NDArray[np.float32],
    start: int,
    plane: int,
    columns: int,
    size: tuple[int, int, int],
    window: NDArray[np.float32],
) -> None:
    at = 0
    for z in range(size[0]):
        for y in range(size[1]):
            row = start + z * plane + y * columns
            for x in range(size[2]):
                window[at] = source[row + x]
                at += 1


@inlined
def _scatter_at_the_end(
    out: NDArray[np.float32],
    start: int,
    plane: int,
    columns: int,
    size: tuple[int, int, int],
    window: NDArray[np.float32],
    at: int,
) -> None:
    for z in range(size[0]):
        for y in range(size[1]):
            row = start + z * plane + y * columns
            for x in range(size[2]):
                out[row + x] = window[at]
                at += 1


@compiled(types.void, READ_F32, WRITE_F32, READ_I64_2D, PLANES, types.int64, types.uint64, types.uint64)
def shuffle_windows(
    source: NDArray[np.float32],
    out: NDArray[np.float32],
    axes: NDArray[np.int64],
    planes: tuple[int, int],
    count: int,
    key: np.uint64,
    order: np.uint64,
) -> None:
    """Write `planes` of `source` with the voxels of every window permuted to `out`, window after window.

    source, out: one channel, flat; two arrays. axes, key: as in `list_windows`; there are `count` windows. order: the
    stream of orders. The order inside a window is an inside-out Fisher-Yates shuffle. Copy, list and shuffle are one
    kernel, because each return to Python may have to wait for its lock.
    """
    rows, columns = axes[0, 1], axes[0, 2]
    plane = rows * columns
    # No vector may be written that reaches beyond: another thread works there.
    behind = planes[1] * plane
    out[planes[0] * plane : behind] = source[planes[0] * plane : behind]
    windows = np.empty((6, count), np.int64)
    _make_windows(key, axes, windows)
    largest = axes[1, 0] * axes[1, 1] * axes[1, 2]
    window = np.empty(largest + LANES, np.float32)
    hashes = np.empty(max(_BLOCK, largest // 2 + 2 + LANES), np.uint64)
    halves = hashes.view(np.uint32)
    # Hashes made_from..made_to are there. Where windows are left out, no more are made than the next one takes.
    block = hashes.size if planes[1] - planes[0] == axes[0, 0] else 0
    made_from = made_to = 0
    done = 0
    for index in range(count):
        size = (windows[3, index], windows[4, index], windows[5, index])
        voxels = size[0] * size[1] * size[2]
        before, done = done, done + voxels
        z = windows[0, index]
        low, high = max(z, planes[0]), min(z + size[0], planes[1])
        if low >= high:
            continue
        if (done + 1) >> 1 > made_to:
            # The first may belong to the window before by half.
            made_from = before >> 1
            made_to = made_from + max(block, (((done + 1) >> 1) - made_from + LANES - 1) // LANES * LANES)
            for item in range(made_to - made_from):
                hashes[item] = mix(order + np.uint64(made_from + item + 1) * _GOLDEN)
        used = before - 2 * made_from
        start = z * plane + windows[1, index] * columns + windows[2, index]
        last = start + (size[1] - 1) * columns + (size[2] + LANES - 1) // LANES * LANES
        room = last + (size[0] - 1) * plane <= source.size and last + (high - 1 - z) * plane <= behind
        if room:
            _ = window[voxels + LANES - 1]
            _ = out[last + (high - 1 - z) * plane - 1]
            _gather(source, start, plane, columns, size, window)
        else:
            _gather_at_the_end(source, start, plane, columns, size, window)
        for item in range(voxels):
            other = np.int64((np.uint64(halves[used + item]) * np.uint64(item + 1)) >> _HALF)
            value = window[item]
            window[item] = window[other]
            window[other] = value
        own = (high - low, size[1], size[2])
        written, at = start + (low - z) * plane, (low - z) * size[1] * size[2]
        if room:
            _scatter(out, written, plane, columns, own, window, at)
        else:
            _scatter_at_the_end(out, written, plane, columns, own, window, at)
