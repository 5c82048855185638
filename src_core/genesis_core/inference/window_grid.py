"""Where the windows of a sliding window lie along one axis, and how much each one counts at each of its voxels.

The windows form a grid and the Gaussian is a product of one factor per axis, so the sum of all weights over a voxel is
a product of three one-dimensional sums. Each axis is therefore normalised on its own, once: the weights of all windows
over a voxel then add up to one, and a weighted sum of windows needs no division afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError

# Standard deviation of the Gaussian, in patches. Source: nnU-Net's sigma_scale (1/8), which is also MONAI's default.
SIGMA_FRACTION = 0.125
LARGEST_OVERLAP = 0.95


@dataclass(frozen=True, eq=False)
class AxisWindows:
    """The windows along one axis of `length` voxels.

    starts: first voxel of each window, ascending; negative only for the one window of an axis shorter than the patch.
    weights: (windows, patch) float32; over every voxel of the axis they sum to one.
    """

    length: int
    patch: int
    starts: tuple[int, ...]
    weights: NDArray[np.float32]

    def inside(self, window: int) -> slice:
        """The part of window number `window` that lies on the axis, counted from the window's first voxel."""
        start = self.starts[window]
        return slice(max(0, -start), min(self.patch, self.length - start))


def axis_windows(length: int, patch: int, overlap: float) -> AxisWindows:
    """Lay windows of `patch` voxels along an axis of `length` voxels.

    overlap: fraction of the patch that neighbours share at least, in [0, 0.95]. The first window starts at voxel 0, the
    last ends with the axis, and the ones between are spread evenly, as in nnU-Net. A shorter axis gets one window,
    centred, so that the missing voxels are split between both ends.
    Raises SettingsError if the overlap or the patch is out of bounds.
    """
    if not 0 <= overlap <= LARGEST_OVERLAP:
        raise SettingsError(f"overlap = {overlap}: must lie in [0, {LARGEST_OVERLAP}]")
    if patch < 1:
        raise SettingsError(f"patch size = {patch}: must be at least one voxel along every axis")
    if length <= patch:
        return AxisWindows(length, patch, (-((patch - length) // 2),), np.ones((1, patch), np.float32))
    # The small number keeps 100 * (1 - 0.9) from becoming 9.
    step = max(1, math.floor(patch * (1 - overlap) + 1e-9))
    count = math.ceil((length - patch) / step) + 1
    starts = np.rint(np.linspace(0, length - patch, count)).astype(int)
    gaussian = gaussian_weights(patch)
    total = np.zeros(length)
    for start in starts:
        total[start : start + patch] += gaussian
    weights = np.stack([gaussian / total[start : start + patch] for start in starts])
    return AxisWindows(length, patch, tuple(int(start) for start in starts), weights.astype(np.float32))


def gaussian_weights(patch: int) -> NDArray[np.float64]:
    """Return a Gaussian over `patch` voxels: 1 at the centre, standard deviation SIGMA_FRACTION of the patch."""
    offset = np.arange(patch) - (patch - 1) / 2
    weights: NDArray[np.float64] = np.exp(-0.5 * (offset / (SIGMA_FRACTION * patch)) ** 2)
    return weights
