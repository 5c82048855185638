"""The numbers in a label map: whole, not negative, in the smallest type that holds them, and how often each occurs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

# Numbers stored as floats, or scaled, may be this far off a whole one.
_WHOLE_WITHIN = 1e-3
# More different numbers are no structures: the file is a scan, or a map of something else.
MOST_KINDS = 65_535
# Beyond this a table of counts would be larger than the slices it counts.
_COUNTED_DIRECTLY = 1 << 20


def whole_numbers(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array as unsigned whole numbers in the smallest type; a new array unless it is that already.

    Raises VolumeError, naming `name`, for NaN and infinity, fractions (probabilities, interpolated labels) and
    negative numbers.
    """
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        _check_floats(array, name)
    low, high = array.min(), array.max()
    if low < -_WHOLE_WITHIN:
        raise VolumeError(
            f"{name}: holds negative numbers (down to {low:g}); structures have numbers from 1, and 0 is the "
            "background. Is this a scan, not a label map? Otherwise renumber it"
        )
    if array.dtype.kind != "f":
        return array.astype(np.min_scalar_type(int(high)), copy=False)
    result = np.empty(array.shape, np.min_scalar_type(round(float(high))))
    for target, source in zip(result, array, strict=True):
        target[...] = np.rint(source)
    return result


def count_values(layer: NDArray[Any], name: str) -> dict[int, int]:
    """Return how many voxels hold each number, in order, background included.

    Raises VolumeError if there are more than 65,535 kinds, which no label map has.
    """
    high = int(layer.max())
    if high < _COUNTED_DIRECTLY:
        counts = np.zeros(high + 1, np.int64)
        for plane in layer:
            part = np.bincount(plane.ravel())
            counts[: len(part)] += part
        values = np.flatnonzero(counts)
        found = dict(zip(values.tolist(), counts[values].tolist(), strict=True))
    else:
        found = {}
        for plane in layer:
            values, numbers = np.unique(plane, return_counts=True)
            for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
                found[value] = found.get(value, 0) + number
            if len(found) > MOST_KINDS + 1:
                break
        found = dict(sorted(found.items()))
    if len(found) - (0 in found) > MOST_KINDS:
        raise VolumeError(
            f"{name}: holds more than {MOST_KINDS:,} different numbers; that is no label map. Is it a scan?"
        )
    return found


def _check_floats(array: NDArray[Any], name: str) -> None:
    bad = off = 0
    example, highest = 0.0, 0.0
    for plane in array:
        finite = np.isfinite(plane)
        bad += plane.size - int(np.count_nonzero(finite))
        values = plane[finite]
        fractions = values[np.abs(values - np.rint(values)) > _WHOLE_WITHIN]
        if fractions.size:
            off += fractions.size
            example = float(fractions[0])
        if values.size:
            highest = max(highest, float(np.abs(values).max()))
    if bad:
        raise VolumeError(
            f"{name}: {bad:,} voxels are not a finite number (NaN or infinity), so what is drawn there is unknown. "
            "Set them to 0 (background) or a structure's number, and save it as whole numbers"
        )
    if off:
        advice = (
            "they look like probabilities: decide at a threshold (0.5), or take the most probable structure, and save "
            "whole numbers"
            if highest <= 1
            else "labels that were resampled by interpolation, or a scan: resample the original with nearest neighbour"
        )
        raise VolumeError(f"{name}: {off:,} voxels hold fractions (such as {example:.4g}), not numbers; {advice}")
    # Above this the type skips whole numbers, so neighbours may have been merged.
    limit = 2.0 ** (np.finfo(array.dtype).nmant + 1)
    if highest > limit:
        raise VolumeError(
            f"{name}: numbers up to {highest:g} are not exact as {array.dtype}. Save the labels as whole numbers"
        )
