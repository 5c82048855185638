"""Compiled parts of SSIM: window sums of one plane, and the similarity where enough planes have been summed.

Sums are taken afresh for every window, not updated from the last one: they vectorise, and no error piles up.
Imported only where SSIM is computed, since importing numba takes a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator, unused-ignore]
def box_sums(one: Any, two: Any, offset: float, window_y: int, window_x: int, out: Any) -> None:
    """Fill `out` (5, y, x) with window sums of a, b, a*a, b*b and a*b, where a and b are the planes less `offset`.

    one, two: (y, x) float64. Position (y, x) of `out` sums the window whose first voxel is (y, x) of the planes.
    """
    rows, columns = one.shape
    width = columns - window_x + 1
    products = np.empty((5, columns))
    # Sums along x of the last few rows; row y is kept at y modulo the window.
    recent = np.empty((window_y, 5, width))
    for y in range(rows):
        for x in range(columns):
            a, b = one[y, x] - offset, two[y, x] - offset
            products[0, x] = a
            products[1, x] = b
            products[2, x] = a * a
            products[3, x] = b * b
            products[4, x] = a * b
        latest = recent[y % window_y]
        for kind in range(5):
            _sum_shifted(products[kind], window_x, latest[kind])
        if y >= window_y - 1:
            for kind in range(5):
                _sum_rows(recent, kind, out[kind, y - window_y + 1])


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator, unused-ignore]
def _sum_shifted(values: Any, window: int, out: Any) -> None:
    out[:] = values[: len(out)]
    for shift in range(1, window):
        part = values[shift : shift + len(out)]
        for x in range(len(out)):
            out[x] += part[x]


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator, unused-ignore]
def _sum_rows(recent: Any, kind: int, out: Any) -> None:
    out[:] = recent[0, kind]
    for row in range(1, recent.shape[0]):
        part = recent[row, kind]
        for x in range(len(out)):
            out[x] += part[x]


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})  # type: ignore[untyped-decorator, unused-ignore]
def similarity_sum(ring: Any, chosen: Any, offset: float, voxels: int, c1: float, c2: float) -> float:
    """Return the sum of the structural similarity over the `chosen` (y, x) windows.

    ring: (planes, 5, y, x) from `box_sums`, all planes of a window in any order. voxels: how many a window holds.
    """
    planes, _, rows, columns = ring.shape
    # The unbiased covariance of a single voxel does not exist; it is taken as 0.
    unbiased = voxels / max(1, voxels - 1)
    sums = np.empty((5, columns))
    total = 0.0
    for y in range(rows):
        for kind in range(5):
            sums[kind] = ring[0, kind, y]
            for plane in range(1, planes):
                part = ring[plane, kind, y]
                for x in range(columns):
                    sums[kind, x] += part[x]
        for x in range(columns):
            if chosen[y, x]:
                a, b = sums[0, x] / voxels, sums[1, x] / voxels
                variance_a = unbiased * (sums[2, x] / voxels - a * a)
                variance_b = unbiased * (sums[3, x] / voxels - b * b)
                covariance = unbiased * (sums[4, x] / voxels - a * b)
                mean_a, mean_b = a + offset, b + offset
                luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
                total += luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)
    return total
