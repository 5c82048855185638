"""Labels put onto the grid of the scan they belong to, where that moves voxels and interpolates nothing.

Segmentation tools often save only the block that holds something, or turn the axes; such labels belong to the scan
though their file has another shape.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.volumes.grid import describe_grid_difference, same_grid
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume

# A block this share of a voxel off the scan's voxels, at any corner, does not lie on its grid.
_OFF_GRID = 0.01


def place_labels(labels: LabelVolume, geometry: Geometry) -> LabelVolume:
    """Return labels on a scan's grid: turned to its axes, and padded with 0 or cropped where nothing is drawn.

    What was done stands in the notes. Raises VolumeError, with the difference in words, if the labels' voxels do not
    fall onto the scan's, or if something is drawn outside the scan.
    """
    if same_grid(labels.geometry, geometry):
        return replace(labels, geometry=geometry)
    name = labels.source or "these labels"
    turned = [reorient(Volume(layer, labels.geometry), geometry.axis_codes) for layer in labels.layers]
    if not turned:
        raise VolumeError(f"{name}: holds no layer to put on another grid")
    own = turned[0].geometry
    start = _offset(own, geometry)
    if start is None:
        raise VolumeError(
            f"{name}: lies on another grid than its scan: {describe_grid_difference(labels.geometry, geometry)}. "
            "Check that they belong together; if they do, resample the labels by nearest neighbour"
        )
    low = [max(0, s) for s in start]
    high = [min(m, s + n) for s, n, m in zip(start, own.shape, geometry.shape, strict=True)]
    there = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
    here = tuple(slice(a - s, max(a, b) - s) for a, b, s in zip(low, high, start, strict=True))
    layers = []
    for volume in turned:
        layer = np.zeros(geometry.shape, volume.array.dtype)
        layer[there] = volume.array[here]
        if lost := int(np.count_nonzero(volume.array)) - int(np.count_nonzero(layer)):
            raise VolumeError(
                f"{name}: {lost:,} voxels are drawn outside its scan: "
                f"{describe_grid_difference(labels.geometry, geometry)}. Check that they belong together"
            )
        layers.append(layer)
    was = describe_grid_difference(labels.geometry, geometry)
    note = f"Placed on its scan's grid without interpolation; it had {was}."
    return replace(labels, layers=tuple(layers), geometry=geometry, notes=(*labels.notes, note))


def _offset(own: Geometry, scan: Geometry) -> tuple[int, int, int] | None:
    """Return the scan's voxel (z, y, x) on which the labels' first one lies, or None if any voxel falls between."""
    to_scan = np.linalg.inv(scan.affine) @ own.affine
    offset = np.rint(to_scan[:3, 3])
    far = np.array([*own.shape, 1.0]) - [1, 1, 1, 0]
    ends = np.array([[0, 0, 0, 1], [far[0], 0, 0, 1], [0, far[1], 0, 1], [0, 0, far[2], 1], far])
    off = np.abs((ends @ to_scan.T)[:, :3] - (ends[:, :3] + offset)).max()
    return (int(offset[0]), int(offset[1]), int(offset[2])) if off <= _OFF_GRID else None
