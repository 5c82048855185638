"""Which sub-volumes are worth learning from: two measures on a sub-volume in [0, 1], pure and compiled by numpy.

Air threshold of CT, -800 HU: measured on a chest CT, a third of the lung's voxels lie above it and 3 % of the air
outside the body (at -500 HU only 5 % of the lung would, and healthy lung would be refused as empty).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.intensity import IntensityMap

CT_AIR = -800.0
MR_AIR = 0.05
# Slices a voxel of the published lung filter looks along: itself and the next two.
LUNG_DEPTH = 3


def air_level(threshold: float | None, modality: Literal["ct", "mr"], intensity: IntensityMap) -> float:
    """Return the air threshold of a scan on the scale of [0, 1]; 0 if it lies below the window.

    threshold: HU for "ct", part of the fitted range for "mr"; None: -800 HU, or 0.05.
    """
    if modality == "mr":
        return MR_AIR if threshold is None else threshold
    return max(0.0, unit_level(CT_AIR if threshold is None else threshold, intensity))


def unit_level(value: float, intensity: IntensityMap) -> float:
    """Return a value in scan units on the scale of [0, 1], not clipped; computed as voxels are, in float32."""
    return float((np.float32(value) - np.float32(intensity.low)) * np.float32(intensity.scale))


def tissue_share(array: NDArray[np.float32], level: float) -> float:
    """Return the part of the voxels above `level`."""
    return int(np.count_nonzero(array > np.float32(level))) / array.size


def lung_score(array: NDArray[np.float32], level: float) -> float:
    """Return the published tissue score of a sub-volume, in [0, 1]: low where lung is full of air.

    array: the sub-volume (z, y, x) and the slice after it. A voxel scores 1 if it is at or above `level`, 0.5 if only
    the voxel in the next slice is, and 0 otherwise (the slice after that is looked at in the published filter, but
    scores 0 as well); the score is the mean over the sub-volume.
    Source: the cube extraction published with Zhou et al. 2021.
    """
    tissue = array >= np.float32(level)
    here, after = tissue[:-1], tissue[1:]
    full = int(np.count_nonzero(here))
    half = int(np.count_nonzero(after > here))
    return (2 * full + half) / (2 * here.size)
