"""Where the slices of a series lie: checked one by one, ordered along their normal, and put on one even grid.

Gaps, doubles, uneven places and slices shifted against each other are found here, in millimetres; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.tags import DicomFile
from genesis_core.volumes.grid import ROUNDING_SHARE, corner_distance, straightened
from genesis_core.volumes.volume import Geometry

Matrix = NDArray[np.float64]

# A slice this share of the distance between slices off its place is not where the header says; less is rounding.
_UNEVEN_SHARE = 0.05
# Slices closer than this lie at one place.
_SAME_PLACE_MM = 1e-3
# Directions written with three decimals are this much longer or shorter than 1 at most.
_LENGTH_ROUNDING = 2e-3
_MOST_NAMED = 4


@dataclass(frozen=True)
class Placed:
    """Slices in order along their normal. geometry: the nearest grid with right angles.

    moved: how far in mm that grid moves a voxel at most. columns: 3x3, one step along x, y, z in mm (LPS) as columns,
    as the slices have it; origin: mm.
    """

    slices: tuple[DicomFile, ...]
    geometry: Geometry
    moved: float
    columns: Matrix
    origin: Matrix


def check_slices(slices: Sequence[DicomFile]) -> None:
    """Refuse slices that are damaged, are no grey image with a place, or do not fit the first; raises VolumeError."""
    first = slices[0]
    agreeing: set[tuple[object, ...]] = set()
    for one in slices:
        _check_image(one)
        if (one.rows, one.columns) != (first.rows, first.columns):
            raise VolumeError(
                f"{_where(one)}: {one.columns} x {one.rows} pixels, but {first.name} has {first.columns} x "
                f"{first.rows}: slices of one series must agree. Move the ones that do not belong (scouts) elsewhere"
            )
        if (key := (one.orientation, one.spacing)) in agreeing:
            continue
        apart = corner_distance((one.columns, one.rows, 1), _in_plane(one), _in_plane(first))
        if not apart <= ROUNDING_SHARE * min(first.spacing):
            raise VolumeError(
                f"{_where(one)}: its orientation or pixel spacing differs from {first.name} (its far corner lies "
                f"{apart:.2f} mm elsewhere): slices of one series must agree. Move the ones that do not belong "
                "(scouts) elsewhere"
            )
        agreeing.add(key)


def place_slices(path: Path, slices: Sequence[DicomFile]) -> Placed:
    """Order checked slices along their normal and return their grid; raises VolumeError for gaps, doubles and shifts.

    Slices shifted evenly against each other (a tilted gantry) are not refused but told in `moved`.
    """
    first = slices[0]
    row, column = directions(first)
    normal = np.cross(row, column)
    if not np.isfinite(normal).all() or np.linalg.norm(normal) < 0.5:
        raise VolumeError(
            f"{path}: the orientation of its slices is not two directions at right angles; the tags are damaged"
        )
    normal /= np.linalg.norm(normal)
    positions = np.array([one.position for one in slices])
    if not np.isfinite(positions).all():
        raise VolumeError(f"{path}: the positions of its slices are not finite numbers; the tags are damaged")
    order = np.argsort(positions @ normal, kind="stable")
    ordered = tuple(slices[int(index)] for index in order)
    positions = positions[order]
    if len(ordered) == 1:
        thickness = first.thickness or 0.0
        step = normal * (thickness if np.isfinite(thickness) and thickness > 0 else 1.0)
    else:
        step = _step(path, ordered, positions, normal)
    columns = np.column_stack([row * first.spacing[1], column * first.spacing[0], step])
    geometry, moved = straightened(path, (first.columns, first.rows, len(ordered)), columns, positions[0])
    return Placed(ordered, geometry, moved, columns, positions[0])


def _check_image(one: DicomFile) -> None:
    if one.problem:
        raise VolumeError(f"{_where(one)}: damaged DICOM: {one.problem}. Copy it again from where it came")
    if one.samples > 1:
        raise VolumeError(
            f"{_where(one)}: {one.samples} values per voxel (colour), not one intensity. It cannot be used as a scan"
        )
    if one.photometric not in ("MONOCHROME2", ""):
        # SimpleITK would turn the numbers themselves around for MONOCHROME1.
        raise VolumeError(
            f"{_where(one)}: its photometric interpretation is {one.photometric}, not MONOCHROME2, so its numbers are "
            "no plain intensities. Export the original series"
        )
    if one.has_lookup_table:
        raise VolumeError(
            f"{_where(one)}: its numbers need a lookup table (Modality LUT), which is not supported. Export the "
            "original series, or convert it to NIfTI"
        )
    if len(one.position) != 3 or len(one.orientation) != 6 or len(one.spacing) != 2:
        raise VolumeError(
            f"{_where(one)}: its position, orientation or pixel spacing is missing, so it is no slice of a volume"
        )
    if not (np.isfinite(one.spacing).all() and min(one.spacing) > 0 and np.isfinite(one.orientation).all()):
        raise VolumeError(f"{_where(one)}: its pixel spacing or orientation is no usable number; the tags are damaged")
    lengths = np.linalg.norm(np.reshape(one.orientation, (2, 3)), axis=1)
    if np.abs(lengths - 1).max() > _LENGTH_ROUNDING:
        raise VolumeError(
            f"{_where(one)}: its orientation is not two directions of length 1 (lengths {lengths[0]:.4f} and "
            f"{lengths[1]:.4f}); the tags are damaged"
        )


def _in_plane(one: DicomFile) -> Matrix:
    row, column = directions(one)
    return np.column_stack([row * one.spacing[1], column * one.spacing[0], np.zeros(3)])


def directions(one: DicomFile) -> tuple[Matrix, Matrix]:
    """Return the directions (x, y, z) in which columns and rows are counted, of length 1 where they were rounded."""
    cosines = np.reshape(one.orientation, (2, 3))
    lengths = np.linalg.norm(cosines, axis=1)
    # Exact ones stay as they are, so that the spacing stays the tag's.
    row, column = (c if abs(length - 1) < 1e-6 else c / length for c, length in zip(cosines, lengths, strict=True))
    return row, column


def _where(one: DicomFile) -> str:
    return str(one.path) if one.frame is None else f"{one.path} frame {one.frame + 1}"


def _step(path: Path, slices: Sequence[DicomFile], positions: Matrix, normal: Matrix) -> Matrix:
    heights = positions @ normal
    gaps = np.diff(heights)
    if (gaps <= _SAME_PLACE_MM).any():
        raise VolumeError(_doubles(path, slices, gaps))
    usual = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - usual) > _UNEVEN_SHARE * usual)
    if uneven.size:
        raise VolumeError(_uneven(path, slices, heights, gaps, usual, uneven))
    mean: Matrix = (positions[-1] - positions[0]) / (len(slices) - 1)
    off = np.linalg.norm(positions - (positions[0] + np.arange(len(slices))[:, None] * mean), axis=1)
    limit = max(_UNEVEN_SHARE * usual, 0.01)
    if off.max() > limit:
        names = _named([f"{slices[at].name} ({off[at]:.3f} mm)" for at in np.flatnonzero(off > limit).tolist()])
        raise VolumeError(f"{path}: off the even grid of the other slices: {names}. Copy the series again, complete")
    return mean


def _uneven(
    path: Path, slices: Sequence[DicomFile], heights: Matrix, gaps: Matrix, usual: float, uneven: NDArray[np.intp]
) -> str:
    """Say where slices are missing, or that they lie unevenly, if the gaps are no multiples of the usual distance."""
    counts = np.round(gaps[uneven] / usual).astype(int)
    whole = np.abs(gaps[uneven] - counts * usual) <= _UNEVEN_SHARE * usual * np.maximum(counts, 1)
    between = [
        f"{gaps[at]:.3f} mm between {slices[at].name} and {slices[at + 1].name} (at {heights[at]:.1f} and "
        f"{heights[at + 1]:.1f} mm)"
        for at in uneven
    ]
    if whole.all() and (counts > 1).all():
        missing = int((counts - 1).sum())
        places = [f"{count - 1} in the {text}" for count, text in zip(counts, between, strict=True)]
        return (
            f"{path}: {missing} slice(s) missing, where slices lie {usual:.3f} mm apart: {_named(places)}. Copy the "
            "series again, complete"
        )
    return (
        f"{path}: its slices lie unevenly: {_named(between)}, where most lie {usual:.3f} mm apart. Copy the series "
        "again, complete, or choose an evenly spaced one"
    )


def _doubles(path: Path, slices: Sequence[DicomFile], gaps: Matrix) -> str:
    """Say which images lie at one place, and what tells them apart."""
    starts = np.concatenate([[0], np.flatnonzero(gaps > _SAME_PLACE_MM) + 1, [len(slices)]])
    groups = [slices[a:b] for a, b in pairwise(starts.tolist())]
    doubled = [group for group in groups if len(group) > 1]
    apart: dict[str, set[str]] = {}
    for group in doubled:
        for key in {key for one in group for key, _ in one.telling}:
            if len(values := {dict(one.telling).get(key, "") for one in group}) > 1:
                apart.setdefault(key, set()).update(values)
    differ = ", ".join(f"{key} ({len(values)} values)" for key, values in sorted(apart.items()))
    reason = f"they differ in {differ}" if differ else "nothing in their tags tells them apart: copies"
    places = _named([" and ".join(one.name for one in group[:3]) for group in doubled])
    sizes = sorted({len(group) for group in groups})
    count = f"{sizes[0]} images" if len(sizes) == 1 else "several images"
    return (
        f"{path}: {count} lie at the same place, at {len(doubled)} of {len(groups)} places ({places}); {reason}. Keep "
        "one image of each slice, for instance one time point or echo"
    )


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return "; ".join(texts[:_MOST_NAMED]) + more
