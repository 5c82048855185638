"""Where prediction and reference disagree most, as pictures: both outlines on the scan, in three planes.

Planes are shown as radiologists see them: the patient's left at the right of axial and coronal pictures, the head up,
the face to the left of sagittal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import GenesisError, VolumeError
from genesis_core.pictures.mosaic import Row, Tile, sheet
from genesis_core.pictures.slices import Pixels, coloured, grey
from genesis_core.studies.evaluation.comparable import comparable, grid_difference
from genesis_core.studies.evaluation.folders import Pairs, read_reference
from genesis_core.studies.evaluation.results import CaseResult
from genesis_core.studies.evaluation.scoring import match_structures, name_key
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.volume import Volume

# Okabe and Ito 2008: told apart with any common colour-vision deficiency, and on grey. Where both run: white.
REFERENCE, PREDICTION, BOTH = (86, 180, 233), (230, 159, 0), (255, 255, 255)
# Edge of a picture in pixels, width of an outline in pixels, and the least that is shown in mm.
_SIZE, _LINE, _LEAST = 340, 2, 45.0
# What is shown around a structure, as a share of its extent.
_MARGIN = 1.5
_BACKGROUND, _INSIDE = 30, 62


@dataclass(frozen=True)
class _Plane:
    name: str
    axis: int
    upside_down: bool


# Axes of an upright array grow toward (head, back, left).
_PLANES = (_Plane("axial", 0, False), _Plane("coronal", 1, True), _Plane("sagittal", 2, True))


def picture_case(result: CaseResult, structure: str, pairs: Pairs) -> tuple[Pixels, str | None]:
    """Return three planes through the largest disagreement on one structure, and a note where the scan is not shown.

    Raises VolumeError (or another GenesisError) if the labels cannot be read any more.
    """
    prediction, reference = comparable(
        read_labels(result.pair.prediction, pairs.prediction_names),
        read_reference(result.pair.case, pairs.reference_names),
    )
    matched, _ = match_structures(prediction.structures, reference.structures, result.names)
    pair = next((one for one in matched if name_key(one.name) == name_key(structure)), None)
    if pair is None:
        raise VolumeError(f"{result.pair.case.name}: '{structure}' is not there any more; the files have changed")
    empty = np.zeros(reference.geometry.shape, bool)
    masks = (
        empty if pair.reference is None else reference.mask(pair.reference),
        empty if pair.prediction is None else prediction.mask(pair.prediction),
    )
    scan, note = _scan(result, masks[0].shape, reference.geometry)
    codes = reference.geometry.axis_codes
    truth, drawn = (_upright(mask, codes) for mask in masks)
    steps = _upright_steps(reference.geometry.spacing, codes)
    background = None if scan is None else _upright(scan, codes)
    tiles = [_tile(plane, truth, drawn, background, steps) for plane in _PLANES]
    return sheet([Row(tuple(tiles))], tile_width=_SIZE), note


def _scan(result: CaseResult, shape: tuple[int, ...], geometry: Any) -> tuple[NDArray[Any] | None, str | None]:
    """Return the voxels of the scan, or None; and why it is not shown, if there is one."""
    from genesis_core.volumes.reading import read_volume

    source = result.pair.image
    if source is None:
        return None, None
    try:
        volume: Volume = read_volume(source.path, frame=source.frame, series=source.series)
    except (GenesisError, OSError):
        return None, "the scan cannot be read"
    problem = grid_difference(volume.geometry, geometry)
    return (None, f"the scan is on another grid ({problem})") if problem else (volume.array, None)


def _tile(
    plane: _Plane,
    truth: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
    scan: NDArray[Any] | None,
    steps: tuple[float, float, float],
) -> Tile:
    index = _most_wrong(truth, drawn, plane.axis)
    one, two = np.take(truth, index, axis=plane.axis), np.take(drawn, index, axis=plane.axis)
    size = [step for axis, step in enumerate(steps) if axis != plane.axis]
    rows, columns = _places(truth | drawn, plane, size)
    near = [np.rint(place).astype(np.intp) for place in (rows, columns)]
    there = [(place >= 0) & (place < n) for place, n in zip(near, one.shape, strict=True)]
    inside = there[0][:, None] & there[1][None]
    at = np.ix_(*(np.clip(place, 0, n - 1) for place, n in zip(near, one.shape, strict=True)))
    first, second = one[at] & inside, two[at] & inside
    if scan is None:
        base = np.where(first, _INSIDE, _BACKGROUND).astype(np.uint8)
    else:
        values = _between(np.take(scan, index, axis=plane.axis), rows, columns)
        low, high = (float(value) for value in np.percentile(values[inside], [1, 99.5]))
        base = np.where(inside, grey(values, low, high if high > low else low + 1), 0).astype(np.uint8)
    picture = coloured(base).copy()
    edges = _edge(first), _edge(second)
    picture[edges[0]], picture[edges[1]] = REFERENCE, PREDICTION
    picture[edges[0] & edges[1]] = BOTH
    return Tile(picture, plane.name, f"slice {index + 1} of {truth.shape[plane.axis]}", smooth=False)


def _most_wrong(truth: NDArray[np.bool_], drawn: NDArray[np.bool_], axis: int) -> int:
    """Return the slice with the largest disagreement; the largest slice where there is none."""
    others = tuple(k for k in range(3) if k != axis)
    wrong = np.count_nonzero(truth ^ drawn, axis=others)
    return int(np.argmax(wrong if wrong.any() else np.count_nonzero(truth, axis=others)))


def _places(
    either: NDArray[np.bool_], plane: _Plane, steps: list[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which row and column of the slice lies under each row and column of the picture, a square in mm.

    The square holds the structure with some of what is around it, and stays on the slice where it can.
    """
    flat = np.any(either, axis=plane.axis)
    ends = [np.flatnonzero(np.any(flat, axis=1 - k)) for k in (0, 1)]
    spans = [(len(end) and int(end[-1]) - int(end[0]) + 1) * step for end, step in zip(ends, steps, strict=True)]
    lengths = [n * step for n, step in zip(flat.shape, steps, strict=True)]
    side = min(max(_LEAST, _MARGIN * max(spans)), max(lengths))
    across = (np.arange(_SIZE) + 0.5) / _SIZE * side
    places = []
    for end, step, length in zip(ends, steps, lengths, strict=True):
        centre = (int(end[0]) + int(end[-1]) + 1) / 2 * step if len(end) else length / 2
        start = (length - side) / 2 if side >= length else min(max(centre - side / 2, 0.0), length - side)
        places.append((start + across) / step - 0.5)
    rows, columns = places
    return (rows[::-1] if plane.upside_down else rows), columns


def _between(plane: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the values at fractional rows and columns, interpolated; beyond the border as on it."""
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(map_coordinates(plane.astype(np.float32), places, order=1, mode="nearest"))


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask, iterations=_LINE))


def _upright(array: NDArray[Any], codes: str) -> NDArray[Any]:
    """Return an array whose axes grow toward the head, the back and the left; codes: of its axes (x, y, z)."""
    order, turned = _turn(codes)
    return np.asarray(np.transpose(array, order)[tuple(slice(None, None, -1 if t else 1) for t in turned)])


def _upright_steps(spacing: tuple[float, float, float], codes: str) -> tuple[float, float, float]:
    order, _ = _turn(codes)
    steps = spacing[::-1]
    return steps[order[0]], steps[order[1]], steps[order[2]]


def _turn(codes: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return the array axes that run along head-feet, back-front and left-right, and which of them are reversed."""
    letters = codes[::-1]
    found = [next(k for k, letter in enumerate(letters) if letter in pair) for pair in ("SI", "PA", "LR")]
    turned = [letters[k] in "IAR" for k in found]
    return (found[0], found[1], found[2]), (turned[0], turned[1], turned[2])
