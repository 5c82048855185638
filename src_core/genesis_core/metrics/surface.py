"""How far the surface of a segmentation is from that of the reference, in millimetres: HD95, mean distance, NSD.

A surface runs through the corners between voxels inside and outside, and each piece of it counts by its area in mm²
(marching cubes): with thick slices, counting border voxels instead would let the flat top and bottom outvote the sides,
and would not see that one face of a thin structure is wrong. Places are rounded to corners, so distances come out up to
half a voxel short. Source: Nikolov et al. 2021, "Clinically applicable segmentation of head and neck anatomy"; areas
from MONAI, whose own functions give the same figures but need about 145 bytes for each voxel of the bounding box, where
this walks through it in slabs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError, VolumeError

PERCENTILE = 95
# Planes of corners looked at together.
_SLAB = 16
# A distance that is the tolerance but for rounding is within it.
_ROUNDING = 1e-6
# Larger leaves than SciPy's default are faster for one large query.
_LEAF = 32


@dataclass(frozen=True)
class SurfaceScores:
    """Distances in mm, and the share of the surface within the tolerance.

    hd95: the larger of the two directed 95th percentiles of distance (from the prediction's surface to the reference's,
    and back), each by area; never pooled. mean_distance: mean over both surfaces together, by area (average symmetric
    surface distance). nsd: share of both surfaces, by area, within the tolerance of the other, in [0, 1].
    Both structures empty: all None. One empty: there is no distance (None), and no surface is right (nsd 0).
    """

    hd95: float | None
    mean_distance: float | None
    nsd: float | None


def surface_scores(
    prediction: NDArray[Any], reference: NDArray[Any], spacing: Sequence[float], tolerance_mm: float = 1.0
) -> SurfaceScores:
    """Compare the surfaces of two masks.

    prediction, reference: (z, y, x), one shape, not 0 inside. spacing: (x, y, z) in mm. tolerance_mm: at least 0; a
    distance of exactly this much is still within it. What lies beyond the border of the array counts as outside.
    Raises VolumeError if the shapes differ, SettingsError for a tolerance below 0.
    """
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise VolumeError(
            f"surfaces need two masks (z, y, x) of one shape, not {prediction.shape} and {reference.shape}"
        )
    if not (tolerance_mm >= 0 and np.isfinite(tolerance_mm)):
        raise SettingsError(f"tolerance_mm = {tolerance_mm}: must be a number of at least 0")
    one, two = prediction != 0, reference != 0
    box = _joint_box(one, two)
    if box is None:
        return SurfaceScores(None, None, None)
    one, two = one[box], two[box]
    if not one.any() or not two.any():
        return SurfaceScores(None, None, 0.0)
    if np.array_equal(one, two):
        return SurfaceScores(0.0, 0.0, 1.0)
    steps = (float(spacing[2]), float(spacing[1]), float(spacing[0]))
    (places_one, areas_one), (places_two, areas_two) = _surface(one, steps), _surface(two, steps)
    there, back = _nearest(places_one, places_two), _nearest(places_two, places_one)
    distances, areas = np.concatenate([there, back]), np.concatenate([areas_one, areas_two])
    near = distances <= tolerance_mm * (1 + _ROUNDING) + _ROUNDING
    return SurfaceScores(
        hd95=max(_percentile(there, areas_one), _percentile(back, areas_two)),
        mean_distance=float(np.average(distances, weights=areas)),
        nsd=float(areas[near].sum() / areas.sum()),
    )


def load_libraries() -> None:
    """Import what surfaces need; once before threads use them, since large packages do not load well in two at once."""
    import scipy.spatial  # noqa: F401

    _areas((1.0, 1.0, 1.0))


def _joint_box(one: NDArray[np.bool_], two: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the smallest box that holds both masks, or None if both are empty."""
    box = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        filled = np.flatnonzero(one.any(axis=others) | two.any(axis=others))
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return box[0], box[1], box[2]


def _surface(mask: NDArray[np.bool_], steps: tuple[float, float, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where the surface passes, (n, 3) in mm, and its area there, (n,) in mm²."""
    areas = _areas(steps)
    padded = np.pad(mask, 1).view(np.uint8)
    places, sizes = [], []
    for start in range(0, len(padded) - 1, _SLAB):
        part = padded[start : start + _SLAB + 1]
        depth, rows, columns = (length - 1 for length in part.shape)
        code = np.zeros((depth, rows, columns), np.uint8)
        for corner in range(8):
            z, y, x = corner >> 2, (corner >> 1) & 1, corner & 1
            # The first corner has the highest bit, as in MONAI's table.
            code |= part[z : z + depth, y : y + rows, x : x + columns] << (7 - corner)
        crossed = np.flatnonzero((code != 0) & (code != 255))
        place = np.stack(np.unravel_index(crossed, code.shape), axis=1).astype(np.float64)
        place[:, 0] += start
        places.append(place * steps)
        sizes.append(areas[code.reshape(-1)[crossed]])
    return np.concatenate(places), np.concatenate(sizes)


@cache
def _areas(steps: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the area in mm² of the surface through 2 x 2 x 2 voxels, for each of the 256 ways to fill them."""
    from monai.metrics.utils import get_code_to_measure_table

    return np.asarray(get_code_to_measure_table(steps)[0], np.float64)


def _nearest(places: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    from scipy.spatial import KDTree

    return np.asarray(KDTree(others, leafsize=_LEAF).query(places)[0])


def _percentile(distances: NDArray[Any], areas: NDArray[Any]) -> float:
    """Return the smallest distance that 95 % of the area does not exceed."""
    order = np.argsort(distances, kind="stable")
    reached = np.cumsum(areas[order])
    place = int(np.searchsorted(reached, PERCENTILE / 100 * reached[-1] * (1 - _ROUNDING)))
    return float(distances[order[min(place, len(order) - 1)]])
