"""Where in a scan to look: boxes that take a minute to correct, the most uncertain, random and stratified ones.

All lie inside the scan, and those of one kind never overlap. Everything random is a hash of the case's name, so that
the same scan gets the same boxes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.randomness import integer, stream
from genesis_core.studies.review.ranking import Place, PlaceKind
from genesis_core.volumes.label_volume import LabelVolume

Size = tuple[int, int, int]
# Boxes of one kind in a scan: more than anybody corrects in one sitting.
PLACES = 8
# Side in mm: about what fills a view at a zoom one paints at. At most this part of the scan along each axis, so that
# small crops too hold several boxes.
SIDE_MM, LARGEST_PART = 30.0, 3
# The most uncertain boxes are looked for in steps of this part of a side.
_STEPS = 4
# Tries to draw a box that overlaps none before it; where the scan is nearly full there is none.
_TRIES = 200


def find_places(case: str, uncertainty: NDArray[np.floating[Any]], labels: LabelVolume) -> tuple[Place, ...]:
    """Return up to `PLACES` boxes of each kind. uncertainty: (z, y, x), [0, 1], on the grid of the labels.

    "uncertain": greedily the box of the highest mean, then the next that overlaps none before it (the mean predictive
    entropy of a box, as Lueth et al. 2025, arXiv 2511.19183, query patches). "random": uniform over the scan.
    "stratified": around a random voxel of the surface of each structure, then one box without any structure (else the
    one of those tried that holds least).
    """
    size = box_size(labels.geometry.shape, labels.geometry.spacing)
    return (
        *_uncertain(uncertainty, size),
        *_placed("random", _random_starts(case, labels.geometry.shape, size), size, uncertainty, PLACES),
        *_stratified(case, labels, size, uncertainty),
    )


def box_size(shape: Size, spacing: Sequence[float]) -> Size:
    """Return the size of a box in voxels (z, y, x). spacing: (x, y, z), mm."""
    z, y, x = (
        min(max(1, round(SIDE_MM / mm)), max(1, -(-length // LARGEST_PART)))
        for length, mm in zip(shape, reversed(spacing), strict=True)
    )
    return z, y, x


def _uncertain(values: NDArray[np.floating[Any]], size: Size) -> list[Place]:
    """Return the boxes of the highest mean, from sums over the pieces between all edges a box may have."""
    shape = values.shape
    starts = [_starts(length, side) for length, side in zip(shape, size, strict=True)]
    edges = [np.unique(np.concatenate([one, one + side])) for one, side in zip(starts, size, strict=True)]
    sums = np.zeros([len(edge) for edge in edges])
    at = 0
    for z, plane in enumerate(values):
        while at + 1 < len(edges[0]) and z >= edges[0][at + 1]:
            at += 1
        rows = np.add.reduceat(plane.astype(np.float64), edges[1][:-1], axis=0)
        sums[at + 1, 1:, 1:] += np.add.reduceat(rows, edges[2][:-1], axis=1)
    sums = sums.cumsum(0).cumsum(1).cumsum(2)
    means = sums
    for axis, (one, edge, side) in enumerate(zip(starts, edges, size, strict=True)):
        low, high = np.searchsorted(edge, one), np.searchsorted(edge, one + side)
        means = np.take(means, high, axis) - np.take(means, low, axis)
    means = means / np.prod(size)
    found: list[Place] = []
    while len(found) < PLACES:
        best = np.unravel_index(int(np.argmax(means)), means.shape)
        if means[best] <= 0:
            break
        start = tuple(int(one[index]) for one, index in zip(starts, best, strict=True))
        found.append(Place("uncertain", _triple(start), size, round(float(means[best]), 4)))
        near = [np.abs(one - at) < side for one, at, side in zip(starts, start, size, strict=True)]
        means[np.ix_(*near)] = -1
    return found


def _starts(length: int, side: int) -> NDArray[np.intp]:
    last = length - side
    return np.unique(np.append(np.arange(0, last + 1, max(1, side // _STEPS)), last)).astype(np.intp)


def _stratified(case: str, labels: LabelVolume, size: Size, values: NDArray[np.floating[Any]]) -> list[Place]:
    places: list[Place] = []
    # Of many structures others come first in every scan, so that all are met over the scans.
    key = stream(0, "structures", case)
    order = sorted(range(len(labels.structures)), key=lambda n: integer(key, n, 0, (1 << 53) - 1))
    for number in order[: PLACES - 1]:
        structure = labels.structures[number]
        surface = _surface(labels.layers[structure.layer], structure.value)
        if len(surface):
            starts = _around(surface, stream(0, "surface", case, structure.name), labels.geometry.shape, size)
            places += _placed("stratified", starts, size, values, 1, places)
    return [*places, *_background(case, labels, size, values, places)]


def _background(
    case: str, labels: LabelVolume, size: Size, values: NDArray[np.floating[Any]], taken: Sequence[Place]
) -> list[Place]:
    """Return the first free box without a structure, else the one that holds least."""
    least: tuple[int, Size] | None = None
    for start in _random_starts(f"{case}\0background", labels.geometry.shape, size):
        if any(_overlap(start, other.start, size) for other in taken):
            continue
        box = _box(start, size)
        inside = sum(int(np.count_nonzero(layer[box])) for layer in labels.layers)
        if least is None or inside < least[0]:
            least = inside, start
        if not inside:
            break
    return [] if least is None else _placed("stratified", iter([least[1]]), size, values, 1, taken)


def _placed(
    kind: PlaceKind,
    starts: Iterator[Size],
    size: Size,
    values: NDArray[np.floating[Any]],
    count: int,
    taken: Sequence[Place] = (),
) -> list[Place]:
    """Return up to `count` boxes at the first of `starts` that overlap none before them."""
    found: list[Place] = []
    for start in starts:
        if len(found) == count:
            break
        if not any(_overlap(start, other.start, size) for other in (*taken, *found)):
            mean = float(values[_box(start, size)].mean(dtype=np.float64))
            found.append(Place(kind, start, size, round(mean, 4)))
    return found


def _random_starts(name: str, shape: Size, size: Size) -> Iterator[Size]:
    key = stream(0, "places", name)
    for n in range(_TRIES):
        yield _triple([integer(key, 3 * n + axis, 0, shape[axis] - size[axis]) for axis in range(3)])


def _around(surface: NDArray[np.intp], key: int, shape: Size, size: Size) -> Iterator[Size]:
    for n in range(_TRIES):
        voxel = surface[integer(key, n, 0, len(surface) - 1)]
        middle = zip(voxel, size, shape, strict=True)
        yield _triple([min(max(0, int(at) - side // 2), length - side) for at, side, length in middle])


def _surface(layer: NDArray[Any], value: int) -> NDArray[np.intp]:
    """Return the voxels (n, 3) of a structure that have a face toward something else, or the scan's border."""
    from scipy import ndimage

    boxes = ndimage.find_objects((layer == value).view(np.uint8))
    if not boxes:
        return np.empty((0, 3), np.intp)
    box = boxes[0]
    mask = np.asarray(layer[box] == value)
    mask &= ~ndimage.binary_erosion(mask)
    start: NDArray[np.intp] = np.array([axis.start for axis in box], np.intp)
    return np.argwhere(mask) + start


def _overlap(first: Size, second: Size, size: Size) -> bool:
    return all(abs(a - b) < side for a, b, side in zip(first, second, size, strict=True))


def _box(start: Size, size: Size) -> tuple[slice, ...]:
    return tuple(slice(at, at + side) for at, side in zip(start, size, strict=True))


def _triple(values: Sequence[int]) -> Size:
    return values[0], values[1], values[2]
