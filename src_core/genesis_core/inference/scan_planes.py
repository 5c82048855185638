"""From slabs of probabilities on the model's grid to planes on the scan's, one at a time.

A prepared scan keeps the directions of the scan's axes, so going back is a linear interpolation along each axis on its
own, and two planes of the model's grid are all that one plane of the scan's needs. Probabilities are interpolated, not
labels: borders stay smooth where the model's grid is the coarser one. Beyond the outermost voxels these hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.inference.sliding_window import Slab
from genesis_core.volumes.resampling import same_grid
from genesis_core.volumes.volume import Geometry

Plane = NDArray[np.float32]
# Places this close to a voxel's centre, in voxels, are that voxel: header rounding.
_ON_A_VOXEL = 1e-4


@dataclass(frozen=True, eq=False)
class AxisPlaces:
    """Where the voxels of one axis of the scan lie on the model's: the voxel before, and the share of the one after."""

    before: NDArray[np.intp]
    share: NDArray[np.float32]


def places_on(model: Geometry, scan: Geometry) -> tuple[AxisPlaces, AxisPlaces, AxisPlaces] | None:
    """Return, for z, y, x, where the scan's voxels lie on the model's grid; None if the grids are the same.

    Both must have the same axis directions.
    """
    if same_grid(model, scan):
        return None
    matrix = np.linalg.inv(model.affine) @ scan.affine
    z, y, x = (_places(model.shape[axis], scan.shape[axis], matrix[axis, axis], matrix[axis, 3]) for axis in range(3))
    return z, y, x


def _places(there: int, here: int, step: float, start: float) -> AxisPlaces:
    places = np.clip(start + step * np.arange(here), 0, there - 1)
    nearest = np.rint(places)
    places = np.where(np.abs(places - nearest) < _ON_A_VOXEL, nearest, places)
    before = np.floor(places).astype(np.intp)
    return AxisPlaces(before, (places - before).astype(np.float32))


def with_variances(slabs: Iterable[Slab]) -> Iterator[Slab]:
    """Turn the last channel, the mean sum of squared probabilities, into the sum of their variances, in place.

    On the model's grid, before anything is interpolated: between a sure yes and a sure no the mean is a half, and the
    squares of neighbours would pass for predictions that disagree.
    """
    for slab in slabs:
        for plane in slab.values.swapaxes(0, 1):
            plane[-1] -= np.einsum("cyx,cyx->yx", plane[:-1], plane[:-1])
        yield slab


def planes_of_scan(
    slabs: Iterable[Slab], places: tuple[AxisPlaces, AxisPlaces, AxisPlaces] | None
) -> Iterator[tuple[int, Plane]]:
    """Yield (number, plane) for every plane of the scan in order; planes are (channels, y, x), valid until the next.

    slabs: final planes on the model's grid, in order. places: where the scan's voxels lie; None: on the same grid.
    """
    if places is None:
        for slab in slabs:
            for number in range(slab.values.shape[1]):
                yield slab.start + number, slab.values[:, number]
        return
    from genesis_core.inference.reduction import interpolate_plane

    z, y, x = places
    between: Plane | None = None
    out: Plane | None = None
    for number, (first, second, share) in enumerate(_pairs(slabs, z)):
        if out is None or between is None:
            between = np.empty_like(first)
            out = np.empty((len(first), len(y.before), len(x.before)), np.float32)
        plane = first
        if share > 0:
            np.subtract(second, first, out=between)
            between *= share
            between += first
            plane = between
        interpolate_plane(plane, (y.before, y.share), (x.before, x.share), out)
        yield number, out


def _pairs(slabs: Iterable[Slab], z: AxisPlaces) -> Iterator[tuple[Plane, Plane, np.float32]]:
    """Yield, for every plane of the scan, the planes of the model's grid around it and the share of the second."""
    number = 0
    last: Plane | None = None
    for slab in slabs:
        end = slab.start + slab.values.shape[1]

        def plane(index: int, slab: Slab = slab, last: Plane | None = last) -> Plane:
            if index < slab.start and last is not None:
                return last
            return slab.values[:, index - slab.start]

        while number < len(z.before) and z.before[number] + (z.share[number] > 0) < end:
            before, share = int(z.before[number]), z.share[number]
            yield plane(before), plane(before + 1) if share > 0 else plane(before), share
            number += 1
        # The slab's memory is used again, and the next plane may lie between this one and the next.
        last = slab.values[:, -1].copy()
