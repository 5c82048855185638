"""Telling a left lung from a right one in a mask of both, as the post-processing published with SuPreM does.

Its steps and figures are those of that post-processing (Li et al. 2024, Liu et al. 2023), which counts voxels of
1.5 mm; the code is our own, and holds the figures in millimetres, on the scan's own grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genesis_core.inference.postprocessing import pieces

Mask = NDArray[np.bool_]
# Two pieces whose volumes differ by more than this are not a pair of lungs; nor are the two halves of the scan filled
# alike, where one lung alone is there.
_UNEQUAL = 4
# Voxels of the published pipeline, in mm.
_VOXEL_MM = 1.5
# A slice where the lungs run together: above the mean of the 20 around it (10 before, 9 after) by twice their
# deviation, and above the mean of the 7 around it by 200 voxels.
_FAR_BEFORE, _FAR_AFTER, _NEAR = 10, 9, 3
_DEVIATIONS = 2.0
_EXCESS_MM2 = 200 * _VOXEL_MM**2


class Body(NamedTuple):
    """How the array lies in the body: the axes along left-right and along the body, and what low indices are."""

    across: int
    along: int
    left_is_low: bool
    spacing: tuple[float, ...]


def tell_apart(lungs: Mask, body: Body) -> tuple[Mask, Mask] | None:
    """Return the left and the right lung of a mask of both, filled; None if they cannot be told apart.

    The two largest pieces, told apart by where they lie. If one is more than four times the other: all is one lung, if
    it lies in one half of the scan; else slices where the lungs run together are taken out, and if there are none, they
    are worn away from outside until two like pieces are left, and what was worn away goes to the nearer one. Unlike the
    published rule, a slice is not taken out where that would cut one lung in two instead of parting both.
    body: of the whole array, whose halves matter. Raises nothing; an empty mask is two empty lungs.
    """
    while True:
        sides = _two_largest(lungs, body)
        sizes = [int(np.count_nonzero(side)) for side in sides]
        if max(sizes) <= _UNEQUAL * min(sizes):
            return sides
        larger = sides[int(sizes[1] > sizes[0])]
        side = _only_side(larger, body)
        if side is not None:
            nothing = np.zeros_like(larger)
            return (larger, nothing) if side == "left" else (nothing, larger)
        outliers = _bridging_slices(larger, body)
        if not len(outliers):
            return _worn_apart(larger, body)
        where: list[slice | NDArray[np.intp]] = [slice(None)] * lungs.ndim
        where[body.along] = outliers
        without = lungs.copy()
        without[tuple(where)] = False
        if not _parts_both(without, larger, body):
            return _worn_apart(larger, body)
        lungs = without


def _two_largest(lungs: Mask, body: Body, filled: bool = True) -> tuple[Mask, Mask]:
    """Return the left and the right one of the two largest pieces; one may be empty."""
    from scipy import ndimage

    numbered, sizes = pieces(lungs)
    order = np.argsort(-sizes, kind="stable")[:2]
    found = [np.asarray(numbered == place + 1) for place in order]
    while len(found) < 2:
        found.append(np.zeros_like(lungs))
    middles = [float(np.nonzero(piece)[body.across].mean()) if piece.any() else np.inf for piece in found]
    if (middles[0] < middles[1]) != body.left_is_low:
        found.reverse()
    left, right = (np.asarray(ndimage.binary_fill_holes(piece)) for piece in found) if filled else found
    return left, right


def _parts_both(without: Mask, whole: Mask, body: Body) -> bool:
    """Whether taking slices out left two pieces on either side of the middle, and no third that is large as well."""
    sizes = np.sort(pieces(without)[1])[::-1]
    if len(sizes) < 2 or (len(sizes) > 2 and sizes[1] <= _UNEQUAL * sizes[2]):
        return False
    middles = sorted(float(np.nonzero(side)[body.across].mean()) for side in _two_largest(without, body, filled=False))
    return bool(middles[0] < float(np.nonzero(whole)[body.across].mean()) < middles[1])


def _only_side(piece: Mask, body: Body) -> str | None:
    """Return the side a piece is on if it lies in one half of the scan, but for less than a fourth."""
    per_place = np.moveaxis(piece, body.across, 0).reshape(piece.shape[body.across], -1).sum(1)
    middle = len(per_place) // 2
    low, high = int(per_place[:middle].sum()) + 1, int(per_place[middle:].sum()) + 1
    if max(low, high) <= _UNEQUAL * min(low, high):
        return None
    return "left" if (low > high) == body.left_is_low else "right"


def _bridging_slices(piece: Mask, body: Body) -> NDArray[np.intp]:
    """Return the slices across the body whose area stands out from those around them."""
    mm = body.spacing[body.along]
    across = [length for axis, length in enumerate(body.spacing) if axis != body.along]
    areas = np.moveaxis(piece, body.along, 0).reshape(piece.shape[body.along], -1).sum(1) * float(np.prod(across))
    places = np.flatnonzero(areas)
    areas = areas[places]
    before, after, near = (round(count * _VOXEL_MM / mm) for count in (_FAR_BEFORE, _FAR_AFTER, _NEAR))
    found = []
    for place, area in enumerate(areas):
        far = areas[max(0, place - before) : place + after + 1]
        close = areas[max(0, place - near) : place + near + 1]
        if len(far) < 2:
            continue
        stands_out = area > far.mean() + _DEVIATIONS * far.std(ddof=1)
        if stands_out and area > close.mean() + _EXCESS_MM2:
            found.append(places[place])
    return np.asarray(found, np.intp)


def _worn_apart(lungs: Mask, body: Body) -> tuple[Mask, Mask] | None:
    """Return two lungs that hang together, parted at their narrowest place; None if they vanish before they part."""
    from scipy import ndimage

    for step in range(1, max(lungs.shape)):
        reach = [max(1, round(step * _VOXEL_MM / mm)) for mm in body.spacing]
        size = [2 * length + 1 for length in reach]
        core = ndimage.minimum_filter(lungs.view(np.uint8), size=size, mode="constant", cval=0).astype(bool)
        if not core.any():
            return None
        left, right = _two_largest(core, body, filled=False)
        sizes = sorted(int(np.count_nonzero(side)) for side in (left, right))
        if sizes[1] <= _UNEQUAL * sizes[0]:
            to_left, to_right = (ndimage.distance_transform_edt(~side, body.spacing) for side in (left, right))
            sides = (left | (lungs & (to_left < to_right)), right | (lungs & (to_right < to_left)))
            filled = [np.asarray(ndimage.binary_fill_holes(side)) for side in sides]
            return filled[0], filled[1]
    return None
