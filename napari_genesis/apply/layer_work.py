"""Segmenting and restoring the voxels of open layers: what runs in the thread, from layer data to arrays to be shown.

Nothing here touches a layer or a widget. torch is imported here first, by the core, so never in the window's thread.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.inference.sliding_window import Stopped
from genesis_core.volumes.label_volume import LabelVolume
from genesis_core.volumes.volume import Volume
from napari_genesis.apply.progress import Reporting
from napari_genesis.layers import volume_from_state

if TYPE_CHECKING:
    from genesis_core.inference.restore import Restoration
    from genesis_core.inference.segment import Segmentation

Index = tuple[int, int, int]
# The colours of a residual reach as far as all but so many percent of its voxels.
_COLOURED = 99.5
# The first threshold leaves about one voxel in a hundred above it.
_FIRST_THRESHOLD = 99.0
# As many voxels as make percentiles steady; more would only cost time.
_SAMPLE = 500_000


@dataclass(frozen=True, eq=False)
class Input:
    """One channel: a layer's data and state as napari gives them, and which frame of a layer with four axes."""

    data: Any
    state: Mapping[str, Any]
    frame: int | None = None


@dataclass(frozen=True, eq=False)
class LayerRequest:
    """model: a run or model folder. inputs: one per channel. options: keyword arguments of the core's function."""

    model: Path
    inputs: tuple[Input, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SegmentedLayer:
    """What the core found. centres: (layer, index) of a voxel in the middle of each structure that was found.

    checksums: of each label map, by which an edited one is known.
    """

    segmentation: Segmentation
    centres: dict[str, tuple[int, Index]]
    checksums: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class RestoredLayer:
    """What the core restored. limit: the residual's colours reach from -limit to limit. highest: the largest absolute
    residual; threshold: one to begin with. unit: "HU", or empty for a scan that is no CT.
    """

    restoration: Restoration
    limit: float
    highest: float
    threshold: float
    unit: str
    seconds: float


def segment_layer(request: LayerRequest, report: Reporting) -> SegmentedLayer:
    """Segment; raises GenesisError for what the core refuses, and Stopped between windows."""
    from genesis_core.inference.segment import segment
    from genesis_core.model.ensemble import load_ensemble

    began = time.monotonic()
    report.begin("loading the model")
    models = load_ensemble(request.model)
    volumes = _volumes(request, report)
    report.begin("segmenting")
    found = segment(models, volumes, **request.options, progress=_then_finish(report), stop=report.stop)
    _end_if_stopped(report)
    sums = tuple(checksum(layer) for layer in found.labels.layers)
    return SegmentedLayer(found, centres(found.labels), sums, time.monotonic() - began)


def restore_layer(request: LayerRequest, report: Reporting) -> RestoredLayer:
    """Restore; raises GenesisError for what the core refuses, and Stopped between windows."""
    from genesis_core.inference.restore import require_restoring_model, restore
    from genesis_core.model.folder import load_model

    began = time.monotonic()
    report.begin("loading the model")
    model = load_model(request.model)
    require_restoring_model(model)
    (volume,) = _volumes(request, report, 1)
    report.begin("restoring")
    found = restore(model, volume, **request.options, progress=_then_finish(report), stop=report.stop)
    _end_if_stopped(report)
    limit, threshold, highest = _sizes(found.residual.array)
    return RestoredLayer(found, limit, highest, threshold, found.unit, time.monotonic() - began)


def checksum(array: NDArray[Any]) -> int:
    """Return a number that changes when a voxel does (CRC-32: 15 ms for a CT of 512 x 512 x 300)."""
    return zlib.crc32(np.ascontiguousarray(array).data)


def centres(labels: LabelVolume) -> dict[str, tuple[int, Index]]:
    """Return for each structure that is there its layer and its middle (z, y, x).

    That is, along each axis, the slice with as much of the structure before as behind it; every one shows it.
    """
    found: dict[str, tuple[int, Index]] = {}
    for number, layer in enumerate(labels.layers):
        names = {one.value: one.name for one in labels.structures if one.layer == number}
        if not names:
            continue
        size = max(*names, int(layer.max())) + 1
        halves = [_halves(np.moveaxis(layer, axis, 0), size) for axis in range(3)]
        for value, name in names.items():
            z, y, x = (int(half[value]) for half in halves)
            if z >= 0:
                found[name] = (number, (z, y, x))
    return found


def above(residual: NDArray[np.float32], threshold: float) -> tuple[int, int]:
    """Return how many voxels lie above a threshold: restored brighter (above it), darker (below its negative)."""
    brighter = sum(int(np.count_nonzero(plane > threshold)) for plane in residual)
    return brighter, sum(int(np.count_nonzero(plane < -threshold)) for plane in residual)


def threshold_labels(residual: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return 1 where it was restored brighter than the threshold, 2 where darker, 0 elsewhere."""
    labels = (residual > threshold).astype(np.uint8)
    labels[residual < -threshold] = 2
    return labels


def _halves(slices: NDArray[Any], size: int) -> NDArray[np.intp]:
    """Return for each value the first slice by which half of its voxels have come; -1 for values that are nowhere."""
    counts = np.stack([np.bincount(plane.ravel(), minlength=size) for plane in slices])
    total = counts.sum(axis=0)
    half: NDArray[np.intp] = np.argmax(2 * counts.cumsum(axis=0) >= total, axis=0)
    half[total == 0] = -1
    return half


def _volumes(request: LayerRequest, report: Reporting, count: int | None = None) -> Sequence[Volume]:
    report.begin("reading the scan")
    if count is not None and len(request.inputs) != count:
        raise VolumeError(f"{len(request.inputs)} channels were given, and the model looks at {count}")
    volumes = [_finite(volume_from_state(one.data, one.state, frame=one.frame)) for one in request.inputs]
    _end_if_stopped(report)
    return volumes


def _finite(volume: Volume) -> Volume:
    """Replace what is not a number by the least value, as reading a file does; the layer itself is not changed."""
    array = volume.array
    if array.dtype.kind != "f":
        return volume
    finite = np.isfinite(array)
    bad = array.size - int(np.count_nonzero(finite))
    if not bad:
        return volume
    if bad == array.size:
        raise VolumeError("the layer holds no finite number, so there is nothing to look at")
    least = array.min(where=finite, initial=math.inf)
    note = f"{bad:,} voxels are not finite (NaN or infinite) and count as the smallest value, {least:g}."
    return volume.with_array(np.where(finite, array, least), note)


def _then_finish(report: Reporting) -> Any:
    """Return what the core tells of its windows; after the last one it still has to turn, clean and count."""

    def progress(done: int, total: int) -> None:
        report.windows(done, total)
        if done == total:
            report.begin("finishing")

    return progress


def _end_if_stopped(report: Reporting) -> None:
    if report.stop():
        raise Stopped("stopped on request")


def _sizes(residual: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return the limit of the colours, a first threshold, and the largest absolute value."""
    # A step that shares no factor with usual axis lengths does not fall on the same columns again and again.
    sample = np.abs(residual.reshape(-1)[:: max(1, residual.size // _SAMPLE) | 1])
    limit, threshold = (float(value) for value in np.percentile(sample, (_COLOURED, _FIRST_THRESHOLD)))
    highest = max(abs(float(residual.min())), abs(float(residual.max())))
    return limit or highest or 1.0, threshold, highest
