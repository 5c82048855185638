"""From the axis steps in a header to a `Geometry`, which knows right angles only.

And how far that would move a voxel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.volume import Geometry

Matrix = NDArray[np.float64]

# A displacement of the far corner under this share of the smallest voxel side is rounding in the header.
ROUNDING_SHARE = 0.05
# Direction cosines this close to right angles are taken as they are, so that exact headers stay exact.
_ALREADY_STRAIGHT = 1e-6


def straightened(path: Path, size: tuple[int, int, int], columns: Matrix, origin: Matrix) -> tuple[Geometry, float]:
    """Return the nearest grid with axes at right angles, and how far in mm that moves a voxel at most (0 if they were).

    size: voxels (x, y, z). columns: 3x3, one step along x, y, z in mm (LPS) as columns. origin: mm.
    Raises VolumeError if an axis has no length or two fall together.
    """
    if not (np.isfinite(columns).all() and np.isfinite(origin).all()):
        raise VolumeError(
            f"{path}: the orientation in the header holds numbers that are not finite. Export the scan again"
        )
    if max(np.abs(columns).max(), np.abs(origin).max()) > 1e9:
        raise VolumeError(
            f"{path}: the orientation in the header is absurdly large; it is damaged. Export the scan again"
        )
    spacing = np.linalg.norm(columns, axis=0)
    if spacing.min() < 1e-9:
        raise VolumeError(
            f"{path}: an axis in the header has no length (spacing {_triple(spacing)} mm). Set its spacing and "
            "direction"
        )
    direction = columns / spacing
    if abs(np.linalg.det(direction)) < 1e-3:
        raise VolumeError(
            f"{path}: two axes in the header point the same way, so no orientation exists. Export the scan again"
        )
    if np.abs(direction.T @ direction - np.eye(3)).max() > _ALREADY_STRAIGHT:
        # The nearest rotation (polar decomposition) shares the error among the axes.
        left, _, right = np.linalg.svd(direction)
        straight = left @ right
    else:
        straight = direction
    geometry = Geometry(
        shape=(size[2], size[1], size[0]),
        spacing=_floats(spacing),
        origin=_floats(origin),
        # Adding zero turns -0.0 into 0.0.
        direction=tuple(float(v) + 0.0 for v in straight.ravel()),
    )
    return geometry, corner_distance(size, columns, straight * spacing)


def corner_distance(size: tuple[int, int, int], first: Matrix, second: Matrix) -> float:
    """Return the largest distance in mm between the corners of a grid under two sets of axis steps with one origin."""
    corners = np.array([[x, y, z] for x in (0, size[0] - 1) for y in (0, size[1] - 1) for z in (0, size[2] - 1)])
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def is_sheared(geometry: Geometry, moved: float) -> bool:
    """Whether a displacement of `moved` mm is more than rounding on this grid."""
    return moved > ROUNDING_SHARE * min(geometry.spacing)


def _floats(values: Matrix) -> tuple[float, float, float]:
    return float(values[0]) + 0.0, float(values[1]) + 0.0, float(values[2]) + 0.0


def _triple(values: Matrix) -> str:
    return " x ".join(f"{v:g}" for v in values)
