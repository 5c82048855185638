"""Restore a whole scan with a pre-trained model, and measure what the model could not restore.

The scan itself is fed, not a corrupted copy, as in the published difference maps (Zhou et al. 2021). The signed
difference is the restoration residual. It shows what this model cannot reproduce - noise, fine texture, whatever was
rare in its training data - and is no map of disease.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import ModelError
from genesis_core.inference.memory_budget import network_bytes, require_memory, voxels_on_grid
from genesis_core.inference.model_input import is_in_hu, refuse_mixed_batches, remarks, usable_patch
from genesis_core.inference.sliding_window import Progress, Stop, count_windows, sliding_window
from genesis_core.volumes.volume import Volume

if TYPE_CHECKING:
    from genesis_core.inference.predictor import Precision
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model
    from genesis_core.volumes.intensity import IntensityMap
    from genesis_core.volumes.preprocessing import Preprocessing

RESIDUAL_LIMITS = (
    "The restoration residual (restored - scan) shows what this model cannot restore: noise, fine texture, whatever "
    "was rare in its training data. It does not show disease, and a small residual does not show health."
)


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored scan; all volumes lie on the scan's own grid.

    restored: float32, in the scan's units, within `window`. residual: float32, restored - clip(scan, window), signed.
    outside: uint8, 0 where the scan lies within the window, 1 below it, 2 above it.
    metrics: "mse", "mae", "psnr" (dB; infinite if nothing differs), "ssim" of scan against restored, both clipped to
    the window and mapped to [0, 1]; and "mae_hu" (CT) or "mae_scan_units" (MR, or a scan that is certainly no CT).
    unit: "HU" for CT, else empty.
    window: (low, high), the scan's values the model sees as 0 and 1. windows: how many the network was applied to.
    notes: what was changed or noticed, in sentences to show to the user; the last one states the residual's limits.
    """

    restored: Volume
    residual: Volume
    outside: Volume
    metrics: dict[str, float]
    unit: str
    window: tuple[float, float]
    windows: int
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return metrics, window and notes for a JSON file; an infinite PSNR (nothing differs) becomes null."""
        voxels = self.outside.array.size
        below, above = (int(np.count_nonzero(self.outside.array == side)) for side in (1, 2))
        return {
            "metrics": {name: value if math.isfinite(value) else None for name, value in self.metrics.items()},
            "window": list(self.window),
            "outside_window": {
                "below": below,
                "above": above,
                "fraction": (below + above) / voxels,
                "values": {"within": 0, "below": 1, "above": 2},
            },
            "windows": self.windows,
            "notes": list(self.notes),
        }


def restore(
    model: Model,
    volume: Volume,
    *,
    overlap: float = 0.5,
    device: str = "cpu",
    batch_size: int = 1,
    precision: Precision = "float32",
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Restoration:
    """Restore a whole scan with a sliding window.

    volume: (z, y, x), any spacing and orientation; brought into the model's space and back; not changed.
    overlap: fraction of the patch shared by neighbours, in [0, 0.95]. device: cpu, cuda, cuda:1, mps or auto.
    batch_size: windows per forward pass; only 1 for a network with batch statistics, whose output would depend on its
    neighbours in the batch. progress(done, total) counts windows; `stop` is asked between them, and ends in `Stopped`.
    Raises ModelError if the model does not restore or returns values that are not finite, VolumeError if the scan holds
    no finite voxel, MemoryBudgetError if memory does not suffice, SettingsError for settings out of bounds.
    Source: Zhou et al. 2021 (difference maps of the restored scan).
    """
    from genesis_core.inference.predictor import choose_device, make_predictor

    card, preprocessing = model.card, require_restoring_model(model, batch_size)
    where = choose_device(device)
    patch = usable_patch(card, model.network)
    require_memory(
        _bytes_needed(volume, preprocessing, patch, card, batch_size if where.type == "cpu" else 0),
        f"restoring a scan of {' x '.join(map(str, volume.shape))} voxels (z, y, x)",
        "crop the scan, close other programs, or use a machine with more memory",
    )
    predict = make_predictor(model.network, card.activation, where, precision)
    prepared = preprocessing.prepare(volume)
    mapped, grid = prepared.map, prepared.volume.geometry
    notes = [*prepared.volume.notes, *remarks((volume,), card, preprocessing, grid, patch)]
    unit = mapped.to_unit(prepared.volume.array)
    # The prepared scan is as large as the scan; it is let go before the blended output is allocated.
    del prepared
    unit = sliding_window(predict, unit, patch, overlap=overlap, batch_size=batch_size, progress=progress, stop=stop)[0]
    np.clip(unit, 0, 1, out=unit)
    restored = _onto(Volume(unit, grid), volume, mapped, notes)
    del unit
    unit_name = "HU" if is_in_hu(volume, preprocessing) else ""
    metrics = _metrics(volume.array, restored, mapped, unit_name)
    restored = mapped.from_unit(restored)
    np.clip(restored, np.float32(mapped.low), np.float32(mapped.high), out=restored)
    residual, outside = _compare(volume.array, restored, mapped)
    notes += _outside_note(outside, mapped)
    result = replace(volume, notes=())
    return Restoration(
        restored=result.with_array(restored),
        residual=result.with_array(residual, RESIDUAL_LIMITS),
        outside=result.with_array(outside),
        metrics=metrics,
        unit=unit_name,
        window=(mapped.low, mapped.high),
        windows=count_windows(grid.shape, patch, overlap),
        notes=(*dict.fromkeys(notes), RESIDUAL_LIMITS),
    )


def refuse_segmenting_folds(path: Path) -> None:
    """Raise ModelError if a run holds a model for each of its folds, and they do not restore."""
    from genesis_core.model.card import read_card
    from genesis_core.model.ensemble import listed_models
    from genesis_core.model.folder import CARD

    for name in listed_models(path)[:1]:
        task = str(read_card(path / name / CARD).task)
        if task != "restoration":
            raise ModelError(f"{path}: its models were trained for {task}, not for restoration: choose another")


def require_restoring_model(model: Model, batch_size: int = 1) -> Preprocessing:
    """Return the model's preprocessing; raise ModelError or SettingsError if it cannot restore in such batches."""
    card = model.card
    # A card may name other tasks than this version knows.
    if str(card.task) != "restoration":
        raise ModelError(f"model '{card.name}' was trained for {card.task}, not for restoration: choose another")
    if card.preprocessing is None:
        raise ModelError(f"model '{card.name}': its card names no preprocessing, so no scan can be prepared for it")
    network = card.network
    if (network.in_channels, network.out_channels, network.dims) != (1, 1, 3) or card.activation == "softmax":
        raise ModelError(
            f"model '{card.name}': restoring a scan needs 3D, one channel in, one out and a sigmoid; its card names "
            f"{network.dims}D, {network.in_channels} in, {network.out_channels} out and '{card.activation}'"
        )
    refuse_mixed_batches(network, batch_size)
    return card.preprocessing


def _bytes_needed(
    volume: Volume, preprocessing: Preprocessing, patch: tuple[int, int, int], card: ModelCard, batch_size: int
) -> int:
    """Estimate what `restore` allocates at its peak, beside the scan itself."""
    here = volume.array.size
    there = voxels_on_grid(volume.geometry, preprocessing.spacing)
    network = network_bytes(card.network, patch, batch_size)
    # SimpleITK takes a copy of what it resamples and gives one of the result.
    resampling = 0 if there == here else 8 * here + 8 * there
    before = there * (volume.array.itemsize + 4)
    during = there * 8 + network
    after = max(4 * there + 4 * here, 9 * here)
    return max(resampling, before, during, after)


def _onto(restored: Volume, scan: Volume, mapped: IntensityMap, notes: list[str]) -> NDArray[np.float32]:
    """Bring restored unit values from the model's grid back to the scan's; exactly, where voxels only moved."""
    from genesis_core.volumes.resampling import resample_onto

    back: NDArray[np.float32] = resample_onto(restored, scan.geometry, order="linear", fill=math.nan).array
    # A coarser grid may end before the scan's outermost voxels do.
    missed = np.isnan(back)
    count = int(np.count_nonzero(missed))
    if count:
        back = np.where(missed, mapped.to_unit(scan.array), back)
        notes.append(f"{count} voxels at the border lie outside the resampled grid; there the scan stands as it is.")
    return back


def _metrics(scan: NDArray[Any], unit: NDArray[np.float32], mapped: IntensityMap, unit_name: str) -> dict[str, float]:
    from genesis_core.metrics.image import image_metrics

    metrics = image_metrics(mapped.to_unit(scan), unit, 1.0)
    name = "mae_hu" if unit_name == "HU" else "mae_scan_units"
    return {**metrics, name: metrics["mae"] * (mapped.high - mapped.low)}


def _compare(
    scan: NDArray[Any], restored: NDArray[np.float32], mapped: IntensityMap
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    residual = np.empty(scan.shape, np.float32)
    outside = np.zeros(scan.shape, np.uint8)
    low, high = np.float32(mapped.low), np.float32(mapped.high)
    # Plane by plane, so that no further copy of the scan is made.
    for z, plane in enumerate(scan):
        values = plane.astype(np.float32)
        outside[z][values < low] = 1
        outside[z][values > high] = 2
        np.subtract(restored[z], np.clip(values, low, high), out=residual[z])
    return residual, outside


def _outside_note(outside: NDArray[np.uint8], mapped: IntensityMap) -> list[str]:
    below, above = (int(np.count_nonzero(outside == side)) for side in (1, 2))
    if not below + above:
        return []
    share = 100 * (below + above) / outside.size
    return [
        f"{below:,} voxels lie below and {above:,} above the window {mapped.low:g} to {mapped.high:g} ({share:.2g} %): "
        "the model cannot see or restore what lies there, and the residual is against the clipped scan."
    ]
