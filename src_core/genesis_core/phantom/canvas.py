"""The grid a phantom is painted on, in the anatomy's own millimetres, and the painter's brush.

A structure is given by its signed distance in mm (negative inside). The brush turns that into the fraction of each
voxel that is covered, so that edges have the partial volume of a real scan; a voxel takes the label of whatever covers
at least half of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
# Distances may be worked out in double precision.
Distances = NDArray[np.floating]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grid:
    """Voxel centres along z, y, x in anatomical mm (x toward left, y toward posterior, z toward superior)."""

    z: Floats
    y: Floats
    x: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return (self.z.size, self.y.size, self.x.size)

    @property
    def steps(self) -> tuple[float, float, float]:
        """Millimetres between voxels along (z, y, x); 1 where an axis has a single voxel."""
        return tuple(float(axis[1] - axis[0]) if axis.size > 1 else 1.0 for axis in (self.z, self.y, self.x))  # type: ignore[return-value]

    @property
    def edge(self) -> float:
        """The width in mm over which an edge blends: one voxel, averaged over the axes."""
        return float(np.cbrt(np.prod(self.steps)))

    def box(self, low: tuple[float, float, float], high: tuple[float, float, float]) -> Box:
        """Return the slices (z, y, x) of the voxels between two corners (x, y, z) in mm; may be empty."""
        axes = ((self.z, 2), (self.y, 1), (self.x, 0))
        return tuple(  # type: ignore[return-value]
            slice(int(np.searchsorted(axis, low[k])), int(np.searchsorted(axis, high[k], side="right")))
            for axis, k in axes
        )

    def at(self, box: Box) -> tuple[Floats, Floats, Floats]:
        """Return z, y, x of a box, shaped so that they broadcast to the box."""
        return self.z[box[0]][:, None, None], self.y[box[1]][None, :, None], self.x[box[2]][None, None, :]


@dataclass(frozen=True)
class Canvas:
    """What has been painted so far: HU as float32 and labels as uint8, both on `grid`."""

    grid: Grid
    hu: Floats = field(init=False)
    labels: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        """Start with air and no structure."""
        object.__setattr__(self, "hu", np.full(self.grid.shape, -1000, np.float32))
        object.__setattr__(self, "labels", np.zeros(self.grid.shape, np.uint8))

    def cover(self, distance: NDArray[np.floating]) -> Floats:
        """Return the fraction of each voxel, in [0, 1], that lies inside a structure of signed `distance` in mm."""
        result: Floats = np.clip(np.float32(0.5) - distance * np.float32(1 / self.grid.edge), 0, 1, dtype=np.float32)
        return result

    def paint(self, box: Box, coverage: Floats, value: ArrayLike, label: int | None) -> None:
        """Blend HU `value` (a number, or an array that broadcasts) into `box`; set `label` where half is covered."""
        view = self.hu[box]
        view += coverage * (np.asarray(value, np.float32) - view)
        if label is not None:
            self.labels[box][coverage >= 0.5] = label


def smooth_max(a: Distances, b: Distances, radius: float) -> Floats:
    """Return the larger of two signed distances, with the corner where they meet rounded by `radius` mm."""
    overlap = np.maximum(np.float32(radius) - np.abs(a - b), 0)
    result: Floats = np.maximum(a, b) + overlap * overlap * np.float32(0.25 / radius)
    return result


def smooth_min(a: Distances, b: Distances, radius: float) -> Floats:
    """Return the smaller of two signed distances, with the corner where they meet filled by `radius` mm."""
    overlap = np.maximum(np.float32(radius) - np.abs(a - b), 0)
    result: Floats = np.minimum(a, b) - overlap * overlap * np.float32(0.25 / radius)
    return result


def ellipsoid(
    at: tuple[Floats, Floats, Floats],
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    axes: NDArray[np.floating] | None = None,
) -> Floats:
    """Return the signed distance in mm (first order) to an ellipsoid.

    at: z, y, x as `Grid.at` gives them. centre, radii: (x, y, z) in mm. axes: rows are the ellipsoid's own unit axes
    (x, y, z); default: those of the grid.
    """
    z, y, x = at
    dx, dy, dz = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
    parts: list[Floats]
    if axes is None:
        parts = [dx, dy, dz]
    else:
        rows = np.asarray(axes, np.float32)
        parts = [row[0] * dx + row[1] * dy + row[2] * dz for row in rows]
    scaled = [part / np.float32(radius) for part, radius in zip(parts, radii, strict=True)]
    length = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2) + np.float32(1e-6)
    slope = np.sqrt(
        sum((part / np.float32(radius)) ** 2 for part, radius in zip(scaled, radii, strict=True))
    ) + np.float32(1e-6)
    result: Floats = length * (length - 1) / slope
    return result
