"""The figures of one proposal: how uncertain the model was, and what it drew; the scan itself is not looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.studies.review.places import find_places
from genesis_core.studies.review.ranking import Drawn
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.labelled.check_records import SPECK_VOXELS

# How far around what was drawn uncertainty counts, in voxels: a border is uncertain on both sides.
AROUND = 2
# Part of the scan that counts where nothing was drawn: the places where something nearly was.
TOP_SHARE = 0.01
# Boxes larger than this are not searched for pieces: numbering takes 4 bytes a voxel (as the check of labels has it).
_LARGEST_SEARCH = 1 << 26


def measure(case: str, labels: LabelVolume, uncertainty: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Return what a line of ranking.jsonl says of a case's labels and uncertainty (z, y, x, in [0, 1])."""
    return {
        "uncertainty": round(case_uncertainty(labels, uncertainty), 5),
        "structures": [asdict(one) for one in drawn_structures(labels)],
        "places": [asdict(one) for one in find_places(case, uncertainty, labels)],
    }


def case_uncertainty(labels: LabelVolume, uncertainty: NDArray[np.floating[Any]]) -> float:
    """Return how uncertain a model was about a case, in [0, 1].

    The mean over the predicted structures, dilated by `AROUND` voxels (faces connecting), of the entropy of the mean
    probabilities divided by the largest possible; where nothing is predicted, the mean over the `TOP_SHARE` of the
    scan's voxels that are most uncertain. Over the whole scan it would measure how much of it is background.
    Source: predictive entropy (Shannon 1948; for segmentation Nair et al. 2020, Medical Image Analysis 59, 101557).
    """
    from scipy import ndimage

    box = _box_of_all(labels)
    if box is None:
        return _mean_of_top(uncertainty)
    wide = tuple(
        slice(max(0, axis.start - AROUND), min(length, axis.stop + AROUND))
        for axis, length in zip(box, labels.geometry.shape, strict=True)
    )
    drawn = np.zeros([axis.stop - axis.start for axis in wide], bool)
    for layer, values in _named(labels):
        drawn |= np.isin(layer[wide], values)
    near = ndimage.binary_dilation(drawn, iterations=AROUND)
    total = sum(float(plane[where].sum(dtype=np.float64)) for plane, where in zip(uncertainty[wide], near, strict=True))
    return total / int(np.count_nonzero(near))


def drawn_structures(labels: LabelVolume) -> list[Drawn]:
    """Return each structure's volume, pieces, and whether it reaches the border of the scan."""
    from scipy import ndimage

    ml = math.prod(labels.geometry.spacing) / 1000
    boxes = [ndimage.find_objects(layer) for layer in labels.layers]
    found = []
    for one in labels.structures:
        there = boxes[one.layer]
        box = there[one.value - 1] if one.value <= len(there) else None
        if box is None:
            found.append(Drawn(one.name, 0, 0.0, 0, None, False))
            continue
        mask = labels.layers[one.layer][box] == one.value
        voxels = int(np.count_nonzero(mask))
        pieces, largest = _pieces(mask, voxels)
        at_border = any(
            axis.start == 0 or axis.stop == length for axis, length in zip(box, labels.geometry.shape, strict=True)
        )
        found.append(Drawn(one.name, voxels, round(voxels * ml, 6), pieces, largest, at_border))
    return found


def _pieces(mask: NDArray[np.bool_], voxels: int) -> tuple[int | None, float | None]:
    from scipy import ndimage

    if mask.size > _LARGEST_SEARCH:
        return None, None
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.reshape(-1), minlength=count + 1)[1:]
    return int(np.count_nonzero(sizes > SPECK_VOXELS)), round(float(sizes.max()) / voxels, 4)


def _named(labels: LabelVolume) -> Iterator[tuple[NDArray[Any], list[int]]]:
    for number, layer in enumerate(labels.layers):
        values = [one.value for one in labels.structures if one.layer == number]
        if values:
            yield layer, values


def _box_of_all(labels: LabelVolume) -> tuple[slice, ...] | None:
    """Return the box around all structures, or None if nothing is drawn."""
    from scipy import ndimage

    boxes = []
    for layer, values in _named(labels):
        there = ndimage.find_objects(layer, max_label=max(values))
        boxes += [box for value in values if (box := there[value - 1]) is not None]
    if not boxes:
        return None
    return tuple(
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3)
    )


def _mean_of_top(values: NDArray[np.floating[Any]]) -> float:
    """Return the mean of the largest `TOP_SHARE` of the values, which lie on the 256 steps that `segment` gives."""
    counts = np.zeros(256, np.int64)
    for plane in values:
        steps = np.rint(plane.astype(np.float32) * 255).astype(np.intp)
        counts += np.bincount(steps.reshape(-1), minlength=256)
    left = wanted = max(1, int(values.size * TOP_SHARE))
    total = 0.0
    for step in range(255, -1, -1):
        taken = min(left, int(counts[step]))
        total += taken * step / 255
        left -= taken
    return total / wanted
