"""What is made of probabilities as soon as they are final, plane by plane, compiled: labels, bits, uncertainty.

A plane is (channels, y, x) float32. Only the reduced planes are kept, which is what keeps the memory of a segmentation
from growing with the number of structures. Imported only where a scan is segmented, since importing numba takes a
second.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Plane = NDArray[np.float32]
# Probabilities below this add nothing that a byte could show to an entropy.
_NOTHING = np.float32(1e-7)


def label_plane(values: Plane, numbers: NDArray[Any], out: NDArray[Any]) -> None:
    """Write numbers[channel] of the most probable channel into `out` (y, x); of equal ones the first."""
    _label(values, numbers, out)


def bit_plane(values: Plane, out: NDArray[np.uint8], overlaps: NDArray[np.bool_]) -> None:
    """Write one bit per channel, set above 0.5, into `out` (bytes, y, x), the highest bit of the first byte first.

    overlaps: (channels, channels), set where two channels share a voxel; added to.
    """
    drawn = values > 0.5
    out[...] = np.packbits(drawn, axis=0)
    several = np.count_nonzero(drawn, axis=0) > 1
    if several.any():
        shared = drawn[:, several].astype(np.float32)
        overlaps |= (shared @ shared.T) > 0


def entropy_plane(values: Plane, exclusive: bool, out: NDArray[np.uint8]) -> None:
    """Write the entropy of each voxel's probabilities, 0 to 255 for 0 to the largest possible, into `out` (y, x).

    exclusive: the channels are one distribution (softmax). Otherwise each channel is a yes or no of its own (sigmoid),
    and the most uncertain one counts.
    """
    if exclusive:
        _entropy(values, np.float32(255 / math.log(len(values))), out)
    else:
        _binary_entropy(values, np.float32(255 / math.log(2)), out)


def spread_plane(variance: NDArray[np.float32], channels: int, exclusive: bool, out: NDArray[np.uint8]) -> None:
    """Write the standard deviation over all predictions of a voxel, 0 to 255 for 0 to the largest, into `out` (y, x).

    variance: (y, x), added over the channels. The largest possible is 1 - 1/C for a distribution over C channels, and
    1/4 for a yes or no.
    """
    largest = 1 - 1 / channels if exclusive else 0.25
    out[...] = np.rint(255 * np.sqrt(np.clip(variance / np.float32(largest), 0, 1)))


def interpolate_plane(
    values: Plane,
    y: tuple[NDArray[np.intp], NDArray[np.float32]],
    x: tuple[NDArray[np.intp], NDArray[np.float32]],
    out: Plane,
) -> None:
    """Interpolate a plane linearly at the places y x x, into `out` (channels, len(y), len(x)).

    y, x: the voxel before each place, and the share of the one after it, in [0, 1).
    """
    _interpolate(values, *y, *x, out)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _label(values: Any, numbers: Any, out: Any) -> None:
    channels, rows, columns = values.shape
    best = np.empty(columns, np.float32)
    index = np.empty(columns, np.uint16)
    for y in range(rows):
        best[:] = values[0, y]
        index[:] = 0
        for channel in range(1, channels):
            row = values[channel, y]
            for x in range(columns):
                if row[x] > best[x]:
                    best[x] = row[x]
                    index[x] = channel
        for x in range(columns):
            out[y, x] = numbers[index[x]]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _entropy(values: Any, factor: Any, out: Any) -> None:
    channels, rows, columns = values.shape
    for y in range(rows):
        for x in range(columns):
            entropy = np.float32(0)
            for channel in range(channels):
                share = values[channel, y, x]
                if share > _NOTHING:
                    entropy -= share * np.log(share)
            out[y, x] = np.uint8(min(max(entropy * factor, np.float32(0)), np.float32(255)) + np.float32(0.5))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _binary_entropy(values: Any, factor: Any, out: Any) -> None:
    channels, rows, columns = values.shape
    for y in range(rows):
        for x in range(columns):
            # Of several yes or no questions the one nearest to a half is the most uncertain.
            nearest = np.float32(0)
            for channel in range(channels):
                share = values[channel, y, x]
                share = min(share, np.float32(1) - share)
                nearest = max(nearest, share)
            entropy = np.float32(0)
            if nearest > _NOTHING:
                other = np.float32(1) - nearest
                entropy = -nearest * np.log(nearest) - other * np.log(other)
            out[y, x] = np.uint8(min(max(entropy * factor, np.float32(0)), np.float32(255)) + np.float32(0.5))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _interpolate(values: Any, before_y: Any, share_y: Any, before_x: Any, share_x: Any, out: Any) -> None:
    channels, rows, columns = values.shape
    row = np.empty(columns, np.float32)
    for channel in range(channels):
        for y in range(len(before_y)):
            first = values[channel, before_y[y]]
            second = values[channel, min(before_y[y] + 1, rows - 1)]
            for x in range(columns):
                row[x] = first[x] + share_y[y] * (second[x] - first[x])
            for x in range(len(before_x)):
                left = row[before_x[x]]
                right = row[min(before_x[x] + 1, columns - 1)]
                out[channel, y, x] = left + share_x[x] * (right - left)
