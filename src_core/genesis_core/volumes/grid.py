"""From the axis steps in a header to a `Geometry`, which knows right angles only, and how far that would move a voxel.

And whether two grids are the same one: every voxel at the same place in mm, or how they differ, in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
# Grids closer than this, in mm at every corner, are the same grid: header rounding (float32 in NIfTI) is below it.
SAME_GRID_MM = 1e-3
# Directions closer than this, in degrees, are called equal: half a voxel at the end of 500 is 0.06 degrees.
_SAME_ANGLE = 0.01


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


def same_grid(first: Geometry, second: Geometry, tolerance: float = SAME_GRID_MM) -> bool:
    """Whether two grids have the same shape, and every voxel at the same place to `tolerance` mm."""
    if first.shape != second.shape:
        return False
    return bool(np.abs(_corners(first) @ (first.affine - second.affine).T).max() <= tolerance)


def describe_grid_difference(first: Geometry, second: Geometry) -> str:
    """Say in words for a person how two grids differ: shape, spacing, direction, origin, and what that comes to in mm.

    Returns a phrase without a full stop, for instance "shape 47 x 130 x 139 against 51 x 138 x 149 voxels (z, y, x);
    origin 12.3 mm apart", or "the same grid to 0.001 mm" if `same_grid` says so.
    """
    if same_grid(first, second):
        return f"the same grid to {SAME_GRID_MM:g} mm"
    told = []
    if first.shape != second.shape:
        told.append(f"shape {_by(first.shape)} against {_by(second.shape)} voxels (z, y, x)")
    if not np.allclose(first.spacing, second.spacing, rtol=1e-4, atol=0):
        told.append(f"spacing {_triple(first.spacing)} against {_triple(second.spacing)} mm (x, y, z)")
    if first.axis_codes != second.axis_codes:
        told.append(f"axes toward {first.axis_codes} against {second.axis_codes}")
    elif (angle := _angle(first, second)) > _SAME_ANGLE:
        told.append(f"directions up to {angle:.2g} degrees apart")
    apart = float(np.linalg.norm(np.subtract(first.origin, second.origin)))
    if apart > SAME_GRID_MM:
        told.append(f"origins (first voxels) {_length(apart)} apart")
    if first.shape == second.shape:
        far = float(np.linalg.norm((_corners(first) @ (first.affine - second.affine).T)[:, :3], axis=1).max())
        told.append(f"voxels up to {_length(far)} apart")
    return "; ".join(told) + _relation(first, second)


def _relation(first: Geometry, second: Geometry) -> str:
    """Say how voxels of two grids meet, where they do: in another order, or as a block of the other."""
    if sorted(first.shape) == sorted(second.shape) and _same_places(first, second):
        return " (the same voxels in another order: reorienting one to the other's axes makes them equal)"
    steps = first.affine[:3, :3], second.affine[:3, :3]
    if np.abs(_corners(first)[:, :3] @ (steps[0] - steps[1]).T).max() > SAME_GRID_MM:
        return ""
    offset = np.linalg.solve(steps[1], first.affine[:3, 3] - second.affine[:3, 3])
    if np.abs(offset - np.rint(offset)).max() > 1e-2:
        return ""
    start = tuple(int(n) for n in np.rint(offset))
    inside = all(s >= 0 and s + n <= m for s, n, m in zip(start, first.shape, second.shape, strict=True))
    shift = f" (the same steps, shifted by {_by(start)} whole voxels (z, y, x)" if any(start) else " (the same steps"
    return f"{shift}: the first is a block cut out of the second)" if inside else f"{shift})"


def _same_places(first: Geometry, second: Geometry) -> bool:
    """Whether two grids have their corners at the same places, whatever the order, and axes along the same lines."""
    ours, theirs = (_corners(grid) @ grid.affine.T for grid in (first, second))
    nearest = np.linalg.norm(ours[:, None, :] - theirs[None, :, :], axis=2)
    volume = float(np.prod(first.spacing)), float(np.prod(second.spacing))
    apart = max(nearest.min(axis=0).max(), nearest.min(axis=1).max())
    return bool(apart <= SAME_GRID_MM and np.isclose(*volume))


def _corners(geometry: Geometry) -> Matrix:
    """Return the corner voxels (z, y, x, 1) of a grid, the first and the last of all first and last."""
    depth, height, width = geometry.shape
    return np.array(
        [[z, y, x, 1.0] for z in (0, depth - 1) for y in (0, height - 1) for x in (0, width - 1)],
    )


def _angle(first: Geometry, second: Geometry) -> float:
    """Return the largest angle in degrees between the axes of two grids."""
    ours, theirs = (np.reshape(grid.direction, (3, 3)) for grid in (first, second))
    # Half the chord is exact for small angles, where the cosine is not.
    chord = np.linalg.norm(ours - theirs, axis=0) / 2
    return float(np.degrees(2 * np.arcsin(np.clip(chord, 0, 1))).max())


def _length(mm: float) -> str:
    return f"{mm:.1f} mm" if mm >= 0.1 else f"{mm:.2g} mm"


def _by(numbers: Sequence[int]) -> str:
    return " x ".join(str(n) for n in numbers)


def _floats(values: Matrix) -> tuple[float, float, float]:
    return float(values[0]) + 0.0, float(values[1]) + 0.0, float(values[2]) + 0.0


def _triple(values: Iterable[float]) -> str:
    return " x ".join(f"{v:g}" for v in values)
