"""Cleaning a label map: small pieces removed, the largest piece kept, holes filled - only where it is asked for.

Pieces touch by faces, edges or corners (26 neighbours); a hole is background that no path of faces leads out of (6
neighbours), the counterpart of it. Every change is counted and said. Structures are handled one after another inside
the box around each, so the memory is that of the largest structure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SettingsError
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]
# Stands for every structure where names are asked for.
ALL = "all"


@dataclass(frozen=True)
class Cleaning:
    """What is to be done, by names of structures; "all" stands for every one.

    minimum_ml: pieces smaller than this are removed. largest_component: only the largest piece is kept. fill_holes:
    cavities closed on all sides are filled. fill_slices: so are holes within each slice across the body's long axis.
    """

    minimum_ml: Mapping[str, float]
    largest_component: tuple[str, ...] = ()
    fill_holes: tuple[str, ...] = ()
    fill_slices: tuple[str, ...] = ()

    def check(self, names: Collection[str]) -> None:
        """Raise SettingsError for names that are no structure's, and for volumes that are not above 0."""
        asked = {
            "minimum_ml": tuple(self.minimum_ml),
            "largest_component": self.largest_component,
            "fill_holes": self.fill_holes,
            "fill_slices": self.fill_slices,
        }
        for key, chosen in asked.items():
            unknown = [name for name in chosen if name != ALL and name not in names]
            if unknown:
                raise SettingsError(
                    f"{key}: no structure is called '{unknown[0]}': choose from all, {', '.join(names)}"
                )
        for name, smallest in self.minimum_ml.items():
            if not 0 < smallest < float("inf"):
                raise SettingsError(f"minimum_ml: {smallest:g} ml for {name}: must be above 0")

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.minimum_ml or self.largest_component or self.fill_holes or self.fill_slices)


def clean(labels: LabelVolume, cleaning: Cleaning) -> LabelVolume:
    """Return cleaned labels, with a note on every change; the input is not changed.

    Small pieces go first, then all but the largest piece, then holes are filled. A hole is filled where nothing else is
    drawn in the structure's layer; what is drawn there stays. Raises SettingsError for unknown names.
    """
    cleaning.check([structure.name for structure in labels.structures])
    if cleaning.nothing:
        return labels
    layers = tuple(layer.copy() for layer in labels.layers)
    notes: list[str] = []
    for structure in labels.structures:
        layer = layers[structure.layer]
        for step in _steps(structure, cleaning, labels.geometry):
            # The box is found anew: what was removed may have made it smaller.
            box = box_around(layer, structure.value)
            if box is not None:
                notes += [f"{structure.name}: {change}." for change in step(layer[box], structure.value)]
    return replace(labels, layers=layers, notes=(*labels.notes, *notes))


# Changes part of a layer in place where it holds the value, and says how.
_Step = Callable[[NDArray[Any], int], list[str]]


def _steps(structure: Structure, cleaning: Cleaning, geometry: Geometry) -> list[_Step]:
    def asked(names: Sequence[str]) -> bool:
        return structure.name in names or ALL in names

    ml = float(np.prod(geometry.spacing)) / 1000
    steps: list[_Step] = []
    smallest = cleaning.minimum_ml.get(structure.name, cleaning.minimum_ml.get(ALL))
    if smallest is not None:
        steps.append(lambda part, value: _remove_small(part, value, ml, smallest))
    if asked(cleaning.largest_component):
        steps.append(lambda part, value: _keep_largest(part, value, ml))
    if asked(cleaning.fill_holes):
        steps.append(lambda part, value: _fill_holes(part, value, ml))
    if asked(cleaning.fill_slices):
        axis = 2 - next(axis for axis, code in enumerate(geometry.axis_codes) if code in "SI")
        steps.append(lambda part, value: _fill_slices(part, value, ml, axis))
    return steps


def box_around(layer: NDArray[Any], value: int) -> Box | None:
    """Return the smallest box that holds all voxels of a value, or None if there is none; a plane at a time."""
    low, high = [layer.shape[0], layer.shape[1], layer.shape[2]], [0, 0, 0]
    for z, plane in enumerate(layer):
        mask = plane == value
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            low = [min(low[0], z), min(low[1], int(rows[0])), min(low[2], int(columns[0]))]
            high = [z + 1, max(high[1], int(rows[-1]) + 1), max(high[2], int(columns[-1]) + 1)]
    if not high[0]:
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def pieces(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the number of the piece of each voxel (0: none), and the voxels of each piece from number 1 on."""
    from scipy import ndimage

    numbered = np.empty(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3, 3)), output=numbered)
    counts = np.zeros(1, np.int64)
    for plane in numbered:
        found = np.bincount(plane.ravel())
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    return numbered, counts[1:]


def _remove_small(part: NDArray[Any], value: int, ml: float, smallest: float) -> list[str]:
    numbered, counts = pieces(part == value)
    removed = counts * ml < smallest
    if not removed.any():
        return []
    part[np.concatenate([[False], removed])[numbered]] = 0
    words = _amount(int(removed.sum()), "piece", int(counts[removed].sum()), ml)
    return [f"{words} removed, each under {smallest:g} ml"]


def _keep_largest(part: NDArray[Any], value: int, ml: float) -> list[str]:
    numbered, counts = pieces(part == value)
    if len(counts) < 2:
        return []
    # Of equal pieces the first in the order of the voxels, so that the result does not depend on anything else.
    largest = int(counts.argmax()) + 1
    part[(numbered > 0) & (numbered != largest)] = 0
    return [f"{_amount(len(counts) - 1, 'piece', int(counts.sum() - counts[largest - 1]), ml)} removed"]


def _fill_holes(part: NDArray[Any], value: int, ml: float) -> list[str]:
    from scipy import ndimage

    mask = part == value
    return _fill(part, value, ndimage.binary_fill_holes(mask) & ~mask, ml, "hole")


def _fill_slices(part: NDArray[Any], value: int, ml: float, axis: int) -> list[str]:
    from scipy import ndimage

    holes = np.zeros(part.shape, bool)
    for plane, hole in zip(np.moveaxis(part, axis, 0), np.moveaxis(holes, axis, 0), strict=True):
        mask = plane == value
        hole[...] = ndimage.binary_fill_holes(mask) & ~mask
    return _fill(part, value, holes, ml, "hole within slices")


def _fill(part: NDArray[Any], value: int, holes: Mask, ml: float, what: str) -> list[str]:
    from scipy import ndimage

    inside = int(np.count_nonzero(holes))
    if not inside:
        return []
    taken = int(np.count_nonzero(part[holes]))
    holes &= part == 0
    filled = inside - taken
    said = []
    if filled:
        _, number = ndimage.label(holes)
        part[holes] = value
        said.append(f"{_amount(number, what, filled, ml)} filled")
    if taken:
        said.append(f"voxels in its holes that belong to other structures stay theirs ({taken:,})")
    return said


def _amount(number: int, what: str, voxels: int, ml: float) -> str:
    """Return for instance "3 pieces of 0.41 ml in all (206 voxels)"."""
    words = what if number == 1 else what.replace("piece", "pieces").replace("hole", "holes")
    together = " in all" if number > 1 else ""
    return f"{number:,} {words} of {voxels * ml:.3g} ml{together} ({voxels:,} voxels)"
