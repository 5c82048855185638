"""Which layers show a run's preview, and how: three images side by side, or a case with its labels on it. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import Structure
from napari_genesis.jobs.view import PreviewArrays

RESTORATIONS = ("original", "corrupted", "restored")
# Of a segmentation: the image, and the labels that lie on it.
IMAGE, REFERENCE, PREDICTION = "image", "reference", "prediction"
# Voxels between samples.
GAP = 2


@dataclass(frozen=True, eq=False)
class PlannedLayer:
    """One layer. key: what it is. data: its voxels (z, y, x). column: its place among those side by side.

    settings: of the layer, but for its name and place.
    """

    key: str
    data: NDArray[Any]
    kind: str
    column: int
    settings: dict[str, Any]


def plan_layers(preview: PreviewArrays) -> list[PlannedLayer]:
    """Return the layers of a preview, the lowest first; none for one that holds nothing known."""
    if PREDICTION in preview.arrays or f"case_{PREDICTION}" in preview.arrays:
        return _segmentation(preview)
    there = [key for key in RESTORATIONS if key in preview.arrays]
    return [
        PlannedLayer(key, stacked(preview.arrays[key]), "image", column, {"contrast_limits": (0.0, 1.0)})
        for column, key in enumerate(there)
    ]


def voxel_size(preview: PreviewArrays, spacing: Sequence[float] | None) -> NDArray[np.float64]:
    """Return the voxels' size (z, y, x) in mm: the preview's own, else `spacing` (x, y, z), else cubes of 1 mm."""
    return np.array((preview.spacing or spacing or (1.0, 1.0, 1.0))[::-1], dtype=float)


def stacked(samples: NDArray[Any]) -> NDArray[Any]:
    """Return samples (sample, z, y, x) as one volume (z, y, x), below each other with a gap of 0."""
    count, depth, height, width = samples.shape
    result = np.zeros((depth, count * (height + GAP) - GAP, width), samples.dtype)
    for number, sample in enumerate(samples):
        top = number * (height + GAP)
        result[:, top : top + height] = sample
    return result


def best_slice(layers: Sequence[PlannedLayer]) -> int:
    """Return the index along z that shows most: of labels the one with the most of them, else the middle."""
    reference = next((one.data for one in layers if one.key == REFERENCE), None)
    if reference is None or not reference.any():
        return int(layers[0].data.shape[0]) // 2
    return int(np.count_nonzero(reference, axis=(1, 2)).argmax())


def _segmentation(preview: PreviewArrays) -> list[PlannedLayer]:
    prefix = "case_" if f"case_{PREDICTION}" in preview.arrays else ""
    voxels = {
        key: stacked(preview.arrays[prefix + key])
        for key in (IMAGE, REFERENCE, PREDICTION)
        if prefix + key in preview.arrays
    }
    if len({array.shape for array in voxels.values()}) != 1:
        # A preview of another version: shapes that do not fit cannot lie on each other.
        return []
    labels = {key: voxels[key].astype(np.uint8, copy=False) for key in (REFERENCE, PREDICTION) if key in voxels}
    shown: list[PlannedLayer] = []
    if IMAGE in voxels:
        shown.append(PlannedLayer(IMAGE, voxels[IMAGE], "image", 0, {"contrast_limits": _limits(voxels[IMAGE])}))
    if PREDICTION in labels:
        look = {**_look(preview), "opacity": 0.5}
        shown.append(PlannedLayer(PREDICTION, labels[PREDICTION], "labels", 0, look))
    if REFERENCE in labels:
        # As an outline, so that it is seen where the prediction leaves it.
        shown.append(PlannedLayer(REFERENCE, labels[REFERENCE], "labels", 0, {**_look(preview), "opacity": 1.0}))
    return shown


def _limits(image: NDArray[Any]) -> tuple[float, float]:
    """Return the range that shows an image in [0, 1] well: without its few brightest voxels."""
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.8)))
    return (low, high) if high > low else (0.0, 1.0)


def _look(preview: PreviewArrays) -> dict[str, Any]:
    from napari_genesis.label_layers import look

    if not preview.structures:
        return {}
    return look({Structure(one.name, number): one.colour for number, one in enumerate(preview.structures, 1)})
