"""Edits of one structure, computed from a copy of its label map as the voxels that change: for a thread. No Qt.

Pieces touch by faces, edges or corners, as everywhere in the core (genesis_core.inference.postprocessing), which also
removes them. Smoothing is a Gaussian of the structure's mask cut at one half, the method of 3D Slicer's segment editor;
its standard deviation is half the radius, so that details narrower than the radius go and flat walls stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry

Labels = NDArray[Any]
Box = tuple[slice, slice, slice]
# Spacing (z, y, x) in mm.
Steps = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Edit:
    """indices: three arrays (z, y, x) of the voxels that change. values: what each becomes. said: what was done."""

    indices: tuple[NDArray[np.intp], ...]
    values: Labels
    said: str

    @property
    def count(self) -> int:
        """How many voxels change."""
        return len(self.values)


# From a copy of a part of the labels, the structure and the spacing to the part as it shall be, and what was done.
Change = Callable[[Labels, Structure, Steps], tuple[Labels, str]]


def edit(labels: Labels, structure: Structure, spacing: Steps, change: Change, margin: float = 0.0) -> Edit:
    """Return what `change` does to a structure, in the box around it.

    labels: (z, y, x), read once, plane by plane. spacing: (z, y, x) in mm. margin: mm around the box that change sees.
    """
    box = box_around(labels, structure.value, [int(np.ceil(margin / step)) for step in spacing])
    if box is None:
        return Edit((np.empty(0, np.intp),) * 3, labels[:0, 0, 0].copy(), f"{structure.name}: nothing is drawn.")
    before = labels[box].copy()
    after, said = change(before, structure, spacing)
    found = np.nonzero(after != before)
    starts = [one.start for one in box]
    indices = tuple(axis + start for axis, start in zip(found, starts, strict=True))
    return Edit(indices, after[found], f"{structure.name}: {said}." if len(found[0]) else f"{structure.name}: {_NONE}.")


_NONE = "nothing to change"


def keep_largest(part: Labels, structure: Structure, spacing: Steps) -> tuple[Labels, str]:
    """Keep the largest piece alone."""
    return _cleaned(part, structure, spacing, largest=True)


def drop_smaller(ml: float) -> Change:
    """Return the change that removes pieces under so many millilitres."""
    return lambda part, structure, spacing: _cleaned(part, structure, spacing, smallest=ml)


def smooth(radius: float) -> Change:
    """Return the change that smooths a surface; radius in mm. Where other structures lie, they stay."""

    def change(part: Labels, structure: Structure, spacing: Steps) -> tuple[Labels, str]:
        from scipy import ndimage

        mask = part == structure.value
        sigma = [radius / 2 / step for step in spacing]
        # At the scan's edge the structure goes on as it ends, or it would be eaten there.
        smoothed = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=3.0) > 0.5
        after = part.copy()
        after[mask & ~smoothed] = 0
        after[smoothed & (part == 0)] = structure.value
        ml = float(np.prod(spacing)) / 1000
        more, less = (int(np.count_nonzero(one)) for one in (smoothed & (part == 0), mask & ~smoothed))
        return after, f"smoothed over {radius:g} mm, {more * ml:.2g} ml added and {less * ml:.2g} ml removed"

    return change


def box_around(labels: Labels, value: int, margins: Sequence[int] = (0, 0, 0)) -> Box | None:
    """Return the box of a value, with margins (z, y, x) in voxels as far as there are any; None if it is nowhere."""
    low, high = list(labels.shape), [0, 0, 0]
    for z, plane in enumerate(labels):
        mask = plane == value
        rows = np.flatnonzero(mask.any(axis=1))
        if len(rows):
            columns = np.flatnonzero(mask.any(axis=0))
            low = [min(low[0], z), min(low[1], int(rows[0])), min(low[2], int(columns[0]))]
            high = [z + 1, max(high[1], int(rows[-1]) + 1), max(high[2], int(columns[-1]) + 1)]
    if not high[0]:
        return None
    starts = [max(0, at - margin) for at, margin in zip(low, margins, strict=True)]
    stops = [min(size, at + margin) for size, at, margin in zip(labels.shape, high, margins, strict=True)]
    return slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2])


def volumes_ml(labels: Labels, spacing: Steps) -> dict[int, float]:
    """Return the volume of each number but 0, in millilitres; plane by plane, so that other threads get a turn."""
    counts = np.zeros(1, np.int64)
    for plane in labels:
        found = np.bincount(plane.ravel())
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    ml = float(np.prod(spacing)) / 1000
    return {int(value): float(counts[value] * ml) for value in np.flatnonzero(counts) if value}


def usual_range(scan: Labels, labels: Labels, value: int) -> tuple[float, float] | None:
    """Return the values between which 90 % of a structure's voxels lie in the scan; None if nothing is drawn."""
    box = box_around(labels, value)
    if box is None:
        return None
    inside = scan[box][labels[box] == value]
    low, high = (float(one) for one in np.percentile(inside, (5, 95)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _cleaned(
    part: Labels, structure: Structure, spacing: Steps, *, largest: bool = False, smallest: float | None = None
) -> tuple[Labels, str]:
    from genesis_core.inference.postprocessing import Cleaning, clean

    grid = Geometry((part.shape[0], part.shape[1], part.shape[2]), (spacing[2], spacing[1], spacing[0]))
    one = Structure(structure.name, structure.value)
    cleaning = Cleaning({} if smallest is None else {one.name: smallest}, (one.name,) if largest else ())
    found = clean(LabelVolume((part,), grid, (one,)), cleaning)
    words = [note.removeprefix(f"{one.name}: ").removesuffix(".") for note in found.notes]
    return found.layers[0], "; ".join(words)
