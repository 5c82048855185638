"""Tubes: polylines with a radius, painted as smooth pipes: blood vessels, airways, the gullet, the collar bones.

All pieces are rasterised at once: the voxels around each piece are listed in one long ragged array, their distances are
computed together, and the nearest piece wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genesis_core.phantom.canvas import Floats, Grid

_Around = tuple[NDArray[np.intp], Floats, Floats]
# Pieces are computed in groups of so many voxels, to bound the memory.
_GROUP = 400_000


@dataclass(frozen=True)
class Tubes:
    """Straight pieces of pipe. starts, ends: (n, 3) as (x, y, z) in mm; radii at both ends: (n,) in mm."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    def __add__(self, other: Tubes) -> Tubes:
        """Return both together."""
        return Tubes(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.last, other.last]),
        )


def polyline(points: ArrayLike, radii: ArrayLike, spacing: float = 5.0) -> Tubes:
    """Return a smooth curve through `points`, (n, 3) as (x, y, z) in mm, in pieces of about `spacing` mm.

    radii: in mm, one for each point, or one number.
    """
    from scipy.interpolate import PchipInterpolator

    p = np.asarray(points, float)
    r = np.broadcast_to(np.asarray(radii, float), len(p))
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    places = np.linspace(0, lengths[-1], max(int(lengths[-1] / spacing), 1) + 1)
    curve = PchipInterpolator(lengths, p)(places)
    radius = np.interp(places, lengths, r)
    return Tubes(curve[:-1], curve[1:], radius[:-1], radius[1:])


def distance(grid: Grid, tubes: Tubes, reach: float, far: float = 1e3) -> Floats:
    """Return the signed distance in mm to the tubes' surface, on the whole grid; `far` where it exceeds `reach` mm."""
    result = np.full(int(np.prod(grid.shape)), far, np.float32)
    for index, gap, radius in _around(grid, tubes, reach):
        np.minimum.at(result, index, gap - radius)
    return result.reshape(grid.shape)


def fine_coverage(grid: Grid, tubes: Tubes) -> Floats:
    """Return the fraction of each voxel that the tubes fill, in [0, 1], faithful for tubes thinner than a voxel."""
    edge = np.float32(grid.edge)
    result = np.zeros(int(np.prod(grid.shape)), np.float32)
    for index, gap, radius in _around(grid, tubes, 0.5 * float(edge)):
        # A tube thinner than the voxel is drawn as wide as the voxel, and as much fainter as it is thinner.
        drawn = np.maximum(radius, np.float32(0.55) * edge)
        fill = np.clip(np.float32(0.5) - (gap - drawn) / edge, 0, 1) * (radius / drawn) ** 2
        np.maximum.at(result, index, fill)
    return result.reshape(grid.shape)


def _around(grid: Grid, tubes: Tubes, reach: float) -> Iterator[_Around]:
    """Yield the voxels around all pieces: flat index, distance to the axis in mm, the piece's radius there in mm."""
    steps = np.array(grid.steps)[::-1]
    corner = np.array([grid.x[0], grid.y[0], grid.z[0]], float)
    size = np.array(grid.shape)[::-1]
    margin = np.maximum(np.maximum(tubes.first, tubes.last), 0.55 * grid.edge)[:, None] + reach
    low = np.ceil((np.minimum(tubes.starts, tubes.ends) - margin - corner) / steps).astype(np.intp).clip(0, size)
    high = (np.floor((np.maximum(tubes.starts, tubes.ends) + margin - corner) / steps).astype(np.intp) + 1).clip(
        0, size
    )
    spans = np.maximum(high - low, 0)
    counts = spans.prod(axis=1)
    for group in _groups(counts):
        yield _voxels(grid, tubes, group, low, spans, counts)


def _groups(counts: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split the pieces that touch the grid into groups of bounded voxel count."""
    pieces = np.flatnonzero(counts)
    number = np.cumsum(counts[pieces]) // _GROUP
    return np.split(pieces, np.flatnonzero(np.diff(number)) + 1) if pieces.size else []


def _voxels(
    grid: Grid,
    tubes: Tubes,
    group: NDArray[np.intp],
    low: NDArray[np.intp],
    spans: NDArray[np.intp],
    counts: NDArray[np.intp],
) -> _Around:
    piece = np.repeat(group, counts[group])
    offset = np.arange(piece.size) - np.repeat(np.cumsum(counts[group]) - counts[group], counts[group])
    span_x, span_y = spans[piece, 0], spans[piece, 1]
    row, i = np.divmod(offset, span_x)
    k, j = np.divmod(row, span_y)
    i += low[piece, 0]
    j += low[piece, 1]
    k += low[piece, 2]
    along = (tubes.ends - tubes.starts).astype(np.float32)
    square = np.maximum((along**2).sum(axis=1), np.float32(1e-6))
    start = tubes.starts.astype(np.float32)
    d = (grid.x[i] - start[piece, 0], grid.y[j] - start[piece, 1], grid.z[k] - start[piece, 2])
    a = along[piece]
    t = np.clip((d[0] * a[:, 0] + d[1] * a[:, 1] + d[2] * a[:, 2]) / square[piece], 0, 1)
    gap = np.sqrt((d[0] - t * a[:, 0]) ** 2 + (d[1] - t * a[:, 1]) ** 2 + (d[2] - t * a[:, 2]) ** 2)
    first, last = tubes.first.astype(np.float32), tubes.last.astype(np.float32)
    radius = first[piece] + t * (last - first)[piece]
    return (k * grid.shape[1] + j) * grid.shape[2] + i, gap, radius
