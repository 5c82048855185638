"""What can be compared of a prediction and its reference: both on one grid, without places the reference leaves open.

Nothing is resampled: scores of a resampled label would be scores of the resampling too. Only files that 3D Slicer
cropped to what is drawn are put back to where they lie.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.volumes.grid import describe_grid_difference, same_grid
from genesis_core.volumes.label_placing import place_labels
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.structure_names import IGNORE
from genesis_core.volumes.volume import Geometry

# Corners further apart than this share of the smallest voxel edge are another grid, not rounding in a header.
_SAME_PLACE = 0.05
_PLACED = "Segmentations that 3D Slicer had cropped were put back onto the grid of the other side."
_OPEN = "Places that the reference marks as not annotated ('ignore') are not scored."


def comparable(prediction: LabelVolume, reference: LabelVolume) -> tuple[LabelVolume, LabelVolume]:
    """Return both on one grid, empty where the reference has "ignore"; what was done stands in the notes.

    Raises VolumeError, with the difference in words, if they do not lie on one grid.
    """
    problem = grid_difference(prediction.geometry, reference.geometry)
    if problem and _is_slicers(reference):
        reference = _placed(reference, prediction.geometry)
    elif problem and _is_slicers(prediction):
        prediction = _placed(prediction, reference.geometry)
    elif problem:
        raise VolumeError(
            f"{prediction.source or 'the prediction'} is on another grid than {reference.source or 'its reference'}: "
            f"{problem}. Write the prediction on the reference's grid"
        )
    marks = [reference.mask(one) for one in reference.structures if one.name.lower() == IGNORE]
    if not marks:
        return prediction, reference
    known = ~np.logical_or.reduce(marks)
    one, two = (
        replace(
            labels,
            layers=tuple(np.where(known, layer, np.zeros_like(layer)) for layer in labels.layers),
            structures=tuple(one for one in labels.structures if one.name.lower() != IGNORE),
        )
        for labels in (prediction, reference)
    )
    return one, replace(two, notes=(*two.notes, _OPEN))


def grid_difference(one: Geometry, two: Geometry) -> str | None:
    """Return in words how two grids differ, or None if every corner is at the same place (to 5 % of a voxel)."""
    if same_grid(one, two, _SAME_PLACE * min(*one.spacing, *two.spacing)):
        return None
    return describe_grid_difference(one, two)


def _is_slicers(labels: LabelVolume) -> bool:
    return (labels.source or "").lower().endswith(".seg.nrrd")


def _placed(labels: LabelVolume, geometry: Geometry) -> LabelVolume:
    # One sentence for all cases, in place of each one's own numbers.
    return replace(place_labels(labels, geometry), notes=(*labels.notes, _PLACED))
