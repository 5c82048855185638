"""Closed contours in planes of a grid, filled voxel by voxel: a voxel counts if its centre lies inside.

Contours lie in planes parallel to two axes of the grid, whichever these are; each plane is drawn on the slice nearest
to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.volume import Geometry

Points = NDArray[np.float64]

# A contour whose points leave its plane by more than this share of the distance between slices is oblique.
_FLAT_SHARE = 0.25
# A plane closer to a slice than this share of the distance between slices lies on it; more is said.
_ON_SLICE_SHARE = 0.05
# Contours this close in mm were drawn in one plane.
_SAME_PLANE_MM = 0.02


@dataclass(frozen=True)
class Plane:
    """One contour in the grid's indices. axis: of the array, that it does not extend along; at: its index there.

    points: (n, 2), indices along the two other axes of the array, in their order.
    """

    axis: int
    at: float
    points: Points


@dataclass(frozen=True, eq=False)
class Drawn:
    """A filled structure: a mask (z, y, x) whose first voxel lies at `start` of the grid, or None, and what to say."""

    mask: NDArray[np.bool_] | None
    start: tuple[int, int, int] = (0, 0, 0)
    notes: tuple[str, ...] = ()


def plane_of(points: Points, geometry: Geometry) -> Plane | None:
    """Return a contour (points (n, 3) in mm, LPS) in the grid's indices, or None if it is oblique to all its axes."""
    homogeneous = np.column_stack([points[:, ::-1], np.ones(len(points))])
    indices = (homogeneous @ np.linalg.inv(geometry.affine).T)[:, :3]
    spread = np.ptp(indices, axis=0)
    axis = int(np.argmin(spread * np.asarray(geometry.spacing[::-1])))
    if spread[axis] > _FLAT_SHARE:
        return None
    others = [other for other in range(3) if other != axis]
    return Plane(axis, float(indices[:, axis].mean()), indices[:, others])


def fill_planes(planes: Sequence[Plane], geometry: Geometry) -> Drawn:
    """Fill contours on the slices nearest to them; those of one plane are combined by exclusive-or.

    Where several planes lie nearest to one slice, the closest one counts. Notes say what lies beyond the grid, off the
    slices, and which slices between were left empty.
    """
    notes: list[str] = []
    inside = []
    beyond, sticking = 0, 0
    for plane in planes:
        ends = [geometry.shape[other] for other in range(3) if other != plane.axis]
        if not -0.5 <= plane.at < geometry.shape[plane.axis] - 0.5 or _misses(plane, ends):
            beyond += 1
            continue
        sticking += bool((plane.points < -0.5).any() or (plane.points > np.subtract(ends, 0.5)).any())
        inside.append(plane)
    if beyond:
        notes.append(f"{beyond} of {len(planes)} contours lie beyond the scan and were left out.")
    if sticking:
        notes.append(f"{sticking} of {len(planes)} contours reach beyond the scan and were cut off at its edge.")
    if not inside:
        return Drawn(None, notes=tuple(notes))
    start, stop = _box(inside, geometry)
    mask = np.zeros([b - a for a, b in zip(start, stop, strict=True)], dtype=bool)
    for axis in sorted({plane.axis for plane in inside}):
        along = [plane for plane in inside if plane.axis == axis]
        notes += _fill_along(mask, start, axis, along, geometry.spacing[2 - axis])
    return Drawn(mask, (int(start[0]), int(start[1]), int(start[2])), tuple(notes))


def _fill_along(
    mask: NDArray[np.bool_], start: NDArray[np.intp], axis: int, planes: Sequence[Plane], spacing: float
) -> list[str]:
    """Fill the contours of the slices across one axis into `mask`; returns what to say."""
    groups: list[list[Plane]] = []
    for plane in sorted(planes, key=lambda one: one.at):
        if groups and (plane.at - groups[-1][0].at) * spacing <= _SAME_PLANE_MM:
            groups[-1].append(plane)
        else:
            groups.append([plane])
    chosen: dict[int, list[Plane]] = {}
    for group in groups:
        index = int(np.floor(group[0].at + 0.5))
        held = chosen.get(index)
        if held is None or abs(group[0].at - index) < abs(held[0].at - index):
            chosen[index] = group
    for index, group in chosen.items():
        at = [slice(None)] * 3
        at[axis] = slice(index - int(start[axis]), index - int(start[axis]) + 1)
        target = mask[tuple(at)].squeeze(axis)
        corner = np.delete(start, axis)
        filled = np.zeros(target.shape, dtype=bool)
        for plane in group:
            filled ^= _filled(plane.points - corner, target.shape)
        target |= filled
    return _told(groups, chosen, spacing)


def _filled(points: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    from skimage.draw import polygon

    result = np.zeros(shape, dtype=bool)
    rows, columns = polygon(points[:, 0], points[:, 1], shape)
    result[rows, columns] = True
    return result


def _told(groups: list[list[Plane]], chosen: dict[int, list[Plane]], spacing: float) -> list[str]:
    notes = []
    off = [abs(group[0].at - index) for index, group in chosen.items()]
    if max(off) > _ON_SLICE_SHARE:
        count = sum(share > _ON_SLICE_SHARE for share in off)
        notes.append(
            f"contours of {count} of {len(off)} slices lie between slices (up to {max(off) * spacing:.2f} mm off) and "
            "were drawn on the nearest one."
        )
    if (left_out := len(groups) - len(chosen)) > 0:
        notes.append(f"contours lie closer together than slices: {left_out} of {len(groups)} planes were left out.")
    slices = sorted(chosen)
    empty = slices[-1] - slices[0] + 1 - len(slices)
    if empty:
        notes.append(f"{empty} slices between its first and last have no contour and stay empty.")
    return notes


def _misses(plane: Plane, ends: Sequence[int]) -> bool:
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    return bool((high < -0.5).any() or (low > np.subtract(ends, 0.5)).any())


def _box(planes: Sequence[Plane], geometry: Geometry) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first index and the one past the last of a box of the grid that holds all contours."""
    corners = []
    for plane in planes:
        for point in (plane.points.min(axis=0), plane.points.max(axis=0)):
            corners.append(np.insert(point, plane.axis, plane.at))
    low = np.floor(np.min(corners, axis=0)).astype(np.intp)
    high = np.ceil(np.max(corners, axis=0)).astype(np.intp) + 1
    shape = np.asarray(geometry.shape)
    return np.clip(low, 0, shape - 1), np.clip(high, 1, shape)
