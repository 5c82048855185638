"""Uniform noise, hashed from each voxel's index: a voxel gets the same noise whatever box or thread paints it."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.compiling import PLANES, READ_F32, READ_I64_2D, WRITE_F32, compiled, inlined
from genesis_core.corruptions.kernels.lanes import LANES, NOISE_LANES, copy_lanes, noise_lanes


@inlined
def _noise_run(out: NDArray[np.float32], start: int, stop: int, key: np.uint64, spare: NDArray[np.float32]) -> None:
    # Groups of 16 voxels share 8 hashes; a run may begin and end inside a group.
    for group in range(start >> 4, (stop + 15) >> 4):
        at = group << 4
        low = max(start - at, 0)
        high = min(stop - at, NOISE_LANES)
        if at + NOISE_LANES <= out.size:
            _ = out[at + NOISE_LANES - 1]
            noise_lanes(out, at, low, high, key, np.uint64(group) * np.uint64(8))
        else:
            noise_lanes(spare, 0, 0, NOISE_LANES, key, np.uint64(group) * np.uint64(8))
            for lane in range(low, high):
                out[at + lane] = spare[lane]


@compiled(types.void, WRITE_F32, types.int64, types.int64, PLANES, READ_I64_2D, types.uint64)
def noise_inside(
    out: NDArray[np.float32],
    rows: int,
    columns: int,
    planes: tuple[int, int],
    boxes: NDArray[np.int64],
    key: np.uint64,
) -> None:
    """Fill boxes of one channel with noise, as far as they lie in `planes`.

    out: the channel's voxels, flat, of shape (z, rows, columns). boxes: (n, 6), first voxel and size (z, y, x).
    """
    spare = np.empty(NOISE_LANES, np.float32)
    for index in range(boxes.shape[0]):
        for z in range(max(boxes[index, 0], planes[0]), min(boxes[index, 0] + boxes[index, 3], planes[1])):
            for y in range(boxes[index, 1], boxes[index, 1] + boxes[index, 4]):
                start = (z * rows + y) * columns + boxes[index, 2]
                _noise_run(out, start, start + boxes[index, 5], key, spare)


@inlined
def _copy_run(source: NDArray[np.float32], out: NDArray[np.float32], start: int, stop: int) -> None:
    if stop - start < LANES:
        for index in range(start, stop):
            out[index] = source[index]
        return
    _ = source[stop - 1]
    _ = out[stop - 1]
    for index in range(start, stop - LANES, LANES):
        copy_lanes(out, index, source, index)
    copy_lanes(out, stop - LANES, source, stop - LANES)


@inlined
def _fill_run(
    out: NDArray[np.float32],
    start: int,
    stop: int,
    key: np.uint64,
    spare: NDArray[np.float32],
    constant: bool,
    value: np.float32,
) -> None:
    if constant:
        for index in range(start, stop):
            out[index] = value
    elif stop > start:
        _noise_run(out, start, stop, key, spare)


@compiled(
    types.void,
    READ_F32,
    WRITE_F32,
    types.int64,
    types.int64,
    PLANES,
    READ_I64_2D,
    types.uint64,
    types.boolean,
    types.float32,
    types.boolean,
)
def fill_outside(
    source: NDArray[np.float32],
    out: NDArray[np.float32],
    rows: int,
    columns: int,
    planes: tuple[int, int],
    boxes: NDArray[np.int64],
    key: np.uint64,
    constant: bool,
    value: np.float32,
    copy: bool,
) -> None:
    """Fill `planes` of one channel outside of all boxes, with noise or with one constant value.

    boxes: (n, 6), first voxel and size (z, y, x), sorted by the first x. copy: copy the boxes' voxels from `source`;
    they are left alone otherwise, for work in place.
    """
    spare = np.empty(NOISE_LANES, np.float32)
    # Runs between boxes are joined over rows and slices: `pending` is the first voxel not yet filled.
    pending = planes[0] * rows * columns
    for row in range(planes[0] * rows, planes[1] * rows):
        z = row // rows
        y = row - z * rows
        first = row * columns
        x = 0
        for index in range(boxes.shape[0]):
            if (
                boxes[index, 0] <= z < boxes[index, 0] + boxes[index, 3]
                and boxes[index, 1] <= y < boxes[index, 1] + boxes[index, 4]
            ):
                begin = max(x, boxes[index, 2])
                end = boxes[index, 2] + boxes[index, 5]
                if end > begin:
                    _fill_run(out, pending, first + begin, key, spare, constant, value)
                    if copy:
                        _copy_run(source, out, first + begin, first + end)
                    pending = first + end
                    x = end
    _fill_run(out, pending, planes[1] * rows * columns, key, spare, constant, value)
