"""Compiled parts of warping: every voxel of a sub-volume looked up at its place in a box of the scan.

All run without the GIL. Import this module only where it is about to be used: it loads numba.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(inline="always")
def _cells(place: Any, step: Any, length: int, stride: int, base: Any, share: Any) -> None:
    # Along a row: lower neighbours, added up as places in flat memory, and shares of the upper ones. Places outside are
    # those of the border. Kept apart from the look-ups, this is what the compiler turns into vector instructions.
    for i in range(base.size):
        at = min(max(place + step * i, 0.0), length - 1.0)
        lower = min(int(at), length - 2)
        base[i] += lower * stride
        share[i] = at - lower


@njit(nogil=True, cache=True)
def warp_linear(source: Any, out: Any, matrix: Any, first: Any) -> None:
    """Fill `out` (float32, z, y, x) with `source` (C-ordered, two voxels or more an axis), linearly interpolated.

    Voxel o of `out` is taken at first + matrix @ o (float64, voxels of `source`).
    """
    depth, height, width = source.shape
    plane = height * width
    flat = source.reshape(source.size)
    base = np.empty(out.shape[2], np.int64)
    shares = np.empty((3, out.shape[2]), np.float32)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            base[:] = 0
            z = first[0] + matrix[0, 0] * k + matrix[0, 1] * j
            y = first[1] + matrix[1, 0] * k + matrix[1, 1] * j
            x = first[2] + matrix[2, 0] * k + matrix[2, 1] * j
            _cells(z, matrix[0, 2], depth, plane, base, shares[0])
            _cells(y, matrix[1, 2], height, width, base, shares[1])
            _cells(x, matrix[2, 2], width, 1, base, shares[2])
            row = out[k, j]
            for i in range(row.size):
                # Unsigned, so that no place is looked at for being counted from the end.
                a = np.uint64(base[i])
                b = np.uint64(base[i] + width)
                c = np.uint64(base[i] + plane)
                d = np.uint64(base[i] + plane + width)
                one = np.uint64(1)
                f = shares[2, i]
                p = flat[a] + f * (flat[a + one] - flat[a])
                q = flat[b] + f * (flat[b + one] - flat[b])
                r = flat[c] + f * (flat[c + one] - flat[c])
                s = flat[d] + f * (flat[d + one] - flat[d])
                upper, lower = p + shares[1, i] * (q - p), r + shares[1, i] * (s - r)
                row[i] = upper + shares[0, i] * (lower - upper)


@njit(nogil=True, cache=True)
def warp_nearest(source: Any, out: Any, matrix: Any, first: Any) -> None:
    """Fill `out` (z, y, x) with the nearest voxels of `source`; arguments as `warp_linear` has them."""
    depth, height, width = source.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            z = first[0] + matrix[0, 0] * k + matrix[0, 1] * j + 0.5
            y = first[1] + matrix[1, 0] * k + matrix[1, 1] * j + 0.5
            x = first[2] + matrix[2, 0] * k + matrix[2, 1] * j + 0.5
            row = out[k, j]
            for i in range(row.size):
                a = min(max(int(np.floor(z + matrix[0, 2] * i)), 0), depth - 1)
                b = min(max(int(np.floor(y + matrix[1, 2] * i)), 0), height - 1)
                c = min(max(int(np.floor(x + matrix[2, 2] * i)), 0), width - 1)
                row[i] = source[a, b, c]
