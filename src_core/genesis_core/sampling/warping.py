"""Reading a sub-volume turned, scaled or mirrored: which box of the scan it needs, and its voxels from that box.

A warp is a 3x3 matrix (z, y, x) from places in the sub-volume to places in the scan, in voxels, both counted from their
centres. Images are interpolated linearly, numbers of structures taken from the nearest voxel, in one pass each over
compiled code that does not hold the GIL. A matrix that only mirrors moves voxels and interpolates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Index3 = tuple[int, int, int]
Matrix = NDArray[np.float64]
Voxels = TypeVar("Voxels", np.float32, np.int16)
Read = Callable[[Index3, Index3], tuple[NDArray[np.float32], NDArray[np.int16]]]

# Rounding in a product of three rotations stays far below it, and a voxel far above.
_ROUNDING = 1e-9


def read_warped(
    read: Read, start: Index3, size: Index3, matrix: Matrix | None
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Return images (channel, z, y, x) and layers (layer, z, y, x) of the sub-volume of `size` from voxel `start`.

    read: gives images and layers of a box (start, size), which may reach beyond the scan. matrix: where the voxel at
    offset o from the sub-volume's centre is taken from: offset matrix @ o from the same centre; None changes nothing.
    Only the box that is needed is read.
    """
    if matrix is None:
        return read(start, size)
    turned = _mirrored(matrix)
    if turned is not None:
        images, layers = read(start, size)
        return np.ascontiguousarray(images[(slice(None), *turned)]), np.ascontiguousarray(
            layers[(slice(None), *turned)]
        )
    from genesis_core.sampling.warping_kernels import warp_linear, warp_nearest

    half = (np.array(size) - 1) / 2
    centre = np.array(start) + half
    reach = np.abs(matrix) @ half + _ROUNDING
    low = np.floor(centre - reach).astype(int)
    # One voxel more, so that every place has a neighbour on both sides.
    room = np.floor(centre + reach).astype(int) + 2 - low
    images, layers = read((int(low[0]), int(low[1]), int(low[2])), (int(room[0]), int(room[1]), int(room[2])))
    first = centre - low - matrix @ half
    matrix = np.ascontiguousarray(matrix, np.float64)
    warped = np.empty((len(images), *size), np.float32)
    numbers = np.empty((len(layers), *size), np.int16)
    for channel in range(len(images)):
        warp_linear(np.ascontiguousarray(images[channel]), warped[channel], matrix, first)
    for layer in range(len(layers)):
        warp_nearest(layers[layer], numbers[layer], matrix, first)
    return warped, numbers


def _mirrored(matrix: Matrix) -> tuple[slice, slice, slice] | None:
    """Return the slices that do what a matrix of mirrorings does; None if it does anything else."""
    signs = np.diag(matrix)
    if not np.array_equal(matrix, np.diag(np.where(signs < 0, -1.0, 1.0))):
        return None
    z, y, x = (slice(None, None, -1) if sign < 0 else slice(None) for sign in signs)
    return z, y, x
