"""Cutting a block out of a volume, at its own place in the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.volumes.volume import Geometry, Volume


def crop(volume: Volume, start: tuple[int, int, int], size: tuple[int, int, int]) -> Volume:
    """Return the block of `size` voxels (z, y, x) that begins at voxel `start`, as its own copy.

    Every voxel keeps its place in the world. Raises VolumeError if the block reaches beyond the volume.
    """
    if any(s < 0 or n < 1 or s + n > whole for s, n, whole in zip(start, size, volume.shape, strict=True)):
        raise VolumeError(f"a block of {size} from {start} does not lie inside a volume of {volume.shape} (z, y, x)")
    array = volume.array[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))].copy()
    corner = volume.affine @ np.array([*start, 1.0])
    origin = (float(corner[2]), float(corner[1]), float(corner[0]))
    geometry = Geometry(size, volume.spacing, origin, volume.direction)
    return replace(volume, array=array, geometry=geometry)
