"""Which case a segmentation's preview shows, and which part of it: its structures, in a few windows of the network.

Pure arithmetic on the grid of a prepared case. A preview is computed at each validation, so its size is bounded: at
most two windows along each axis, and `MOST_VOXELS` in all (160 x 160 x 160, 20 MB a preview before compression).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from genesis_core.sampling.labelled_cache import CachedCase

Index3 = tuple[int, int, int]

MOST_VOXELS = 4_096_000
# Room around the structures, as a part of the window.
_MARGIN = 1 / 8


@dataclass(frozen=True)
class PreviewWindow:
    """One window of the network. start: its first voxel in the case (z, y, x), which may lie outside of a small scan.

    low, high: the part of the region, in voxels of the case, that its answer is shown in.
    """

    start: Index3
    low: Index3
    high: Index3


@dataclass(frozen=True)
class PreviewRegion:
    """A box of a case: `size` voxels (z, y, x) from `start`, answered by `windows`, which cover it without overlap."""

    case: int
    start: Index3
    size: Index3
    windows: tuple[PreviewWindow, ...]


def choose_region(cases: Sequence[CachedCase], window: Index3, *, first: int) -> PreviewRegion:
    """Return what to show: of the cases with the most structures the one that comes first, counted from `first`."""
    ranked = sorted(range(len(cases)), key=lambda number: (number - first) % len(cases))
    case = max(ranked, key=lambda number: sum(count > 0 for count in cases[number].voxels))
    one = cases[case]
    drawn = [one.positions(number) for number, count in enumerate(one.voxels) if count]
    start, size = region_around(drawn, one.shape, window)
    axes = [
        _windows(begin, length, scan, wide)
        for begin, length, scan, wide in zip(start, size, one.shape, window, strict=True)
    ]
    windows = tuple(
        PreviewWindow((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2])) for z, y, x in product(*axes)
    )
    return PreviewRegion(case, start, size, windows)


def region_around(drawn: Sequence[NDArray[np.int64]], scan: Index3, window: Index3) -> tuple[Index3, Index3]:
    """Return start and size (z, y, x) of the box to show of a scan of so many voxels.

    drawn: voxels (n, 3) of each structure. It holds them with a margin where two windows along an axis can; otherwise
    it lies about the mean of the structures' middles. Nothing drawn: about the middle of the scan.
    """
    there = [voxels for voxels in drawn if len(voxels)]
    every = np.concatenate(there) if there else np.array([[n // 2 for n in scan]])
    low, high = every.min(axis=0), every.max(axis=0) + 1
    middle = np.mean([voxels.mean(axis=0) for voxels in there], axis=0) if there else every[0]
    single = [min(n, wide) for n, wide in zip(scan, window, strict=True)]
    size = [
        max(one, min(n, 2 * wide, math.ceil(end - begin + 2 * _MARGIN * wide)))
        for one, n, wide, begin, end in zip(single, scan, window, low, high, strict=True)
    ]
    while math.prod(size) > MOST_VOXELS and size != single:
        axis = max(range(3), key=lambda number: size[number] / single[number])
        size[axis] = single[axis]
    start = []
    for axis in range(3):
        holds_all = size[axis] >= high[axis] - low[axis]
        centre = (low[axis] + high[axis]) / 2 if holds_all else middle[axis]
        start.append(min(max(round(centre - size[axis] / 2), 0), scan[axis] - size[axis]))
    return (start[0], start[1], start[2]), (size[0], size[1], size[2])


def _windows(begin: int, length: int, scan: int, wide: int) -> list[tuple[int, int, int]]:
    """Return (first voxel, from, to) of each window along one axis."""
    end = begin + length
    if length > wide:
        half = begin + length // 2
        return [(begin, begin, half), (end - wide, half, end)]
    # A scan smaller than the window lies in its middle, as in training.
    first = min(max(begin + length // 2 - wide // 2, 0), scan - wide) if scan >= wide else -((wide - scan) // 2)
    return [(first, begin, end)]
