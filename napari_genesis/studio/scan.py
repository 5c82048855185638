"""A layer's voxels as training would see them: in [0, 1], cut into sub-volumes, padded with air beyond the scan.

Nothing here knows of napari's layers but `scan_of_layer`, which reads one. The layer's array is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.intensity import IntensityMap, PercentileIntensity, WindowIntensity, default_intensity
from genesis_core.volumes.volume import Modality, Volume

Array = NDArray[np.float32]
Index = tuple[int, int, int]
Intensity = WindowIntensity | PercentileIntensity


@dataclass(frozen=True)
class Box:
    """A sub-volume's place: first voxel, possibly outside the scan, and number of voxels, each (z, y, x)."""

    start: Index
    size: Index

    @property
    def centre(self) -> Index:
        """The middle voxel (z, y, x)."""
        z, y, x = (first + length // 2 for first, length in zip(self.start, self.size, strict=True))
        return z, y, x


@dataclass(frozen=True, eq=False)
class StudioScan:
    """A scan in the Studio.

    volume: the layer's voxels, not copied. spacing: (x, y, z) in mm, or None for a layer without millimetres.
    modality, certainty in [0, 1], reason: what it was taken for, and why. intensity: the rule that maps it onto [0, 1],
    and map: that rule fitted to it. notes: sentences for the user.
    """

    volume: Volume
    spacing: tuple[float, float, float] | None
    modality: Modality
    certainty: float
    reason: str
    intensity: Intensity
    map: IntensityMap
    notes: tuple[str, ...] = ()

    def unit(self, box: Box) -> Array:
        """Return the box's voxels as training has them: float32 in [0, 1], padded with 0, C-contiguous, its own."""
        result = np.zeros(box.size, np.float32)
        shape = self.volume.shape
        low = [max(first, 0) for first in box.start]
        high = [min(first + n, whole) for first, n, whole in zip(box.start, box.size, shape, strict=True)]
        if any(end <= begin for begin, end in zip(low, high, strict=True)):
            return result
        part = self.map.to_unit(self.volume.array[tuple(slice(*pair) for pair in zip(low, high, strict=True))])
        place = tuple(slice(begin - first, end - first) for begin, end, first in zip(low, high, box.start, strict=True))
        result[place] = part
        return result

    def place(self, centre: Index, size: Index) -> Box:
        """Return the box of `size` around `centre`, moved inside the scan; on an axis too short for it, centred."""
        starts = []
        for middle, length, whole in zip(centre, size, self.volume.shape, strict=True):
            room = whole - length
            starts.append(min(max(middle - length // 2, 0), room) if room >= 0 else -((length - whole) // 2))
        return Box((starts[0], starts[1], starts[2]), size)

    def with_window(self, low: float, high: float) -> StudioScan:
        """Return the scan with a window of the user's own; for MR too, where it holds for this scan alone.

        Raises VolumeError if `high` does not lie above `low`.
        """
        if not high > low:
            raise VolumeError(f"window {low:g} to {high:g}: the upper end must lie above the lower one")
        return replace(self, map=IntensityMap(low, high), intensity=WindowIntensity(low=low, high=high))

    def as_modality(self, modality: Modality) -> StudioScan:
        """Return the scan taken for `modality`, with its usual mapping fitted anew (reads the whole scan for MR)."""
        return _fitted(self.volume, self.spacing, modality, 1.0, "chosen by you", self.notes)


def scan_of_layer(layer: Any, frame: int | None = None) -> StudioScan:
    """Look at an Image layer: what it is, how it is mapped onto [0, 1]. Reads the whole scan once; not for the GUI.

    frame: which one of a layer with four axes. A layer without millimetres is taken with `spacing` None.
    Raises VolumeError for colours, sheared axes, or anything but three axes.
    """
    from genesis_core.volumes.modality import guess_modality
    from napari_genesis.layers import origin_of, volume_from_state, without_units

    data, state, _ = layer.as_layer_data_tuple()
    spacing: tuple[float, float, float] | None
    try:
        volume = volume_from_state(data, state, frame=frame)
        spacing = volume.spacing
        notes: tuple[str, ...] = ()
    except VolumeError:
        if not without_units(state):
            raise
        volume = volume_from_state(data, {**state, "units": ("mm",) * 3}, frame=frame)
        spacing = None
        notes = ("This layer has no millimetres: sizes are shown in voxels alone.",)
    origin = origin_of(state)
    volume = replace(volume, modality=origin.modality if origin else None)
    unknown = _not_finite(volume.array)
    if unknown:
        notes = (*notes, f"{unknown:,} voxels are not numbers (NaN or infinite) and count as air.")
        least = _least(volume.array)
        volume = volume.with_array(np.nan_to_num(volume.array, nan=least, posinf=least, neginf=least))
    guess = guess_modality(volume)
    return _fitted(volume, spacing, guess.modality, guess.certainty, guess.reason, notes)


def _fitted(
    volume: Volume,
    spacing: tuple[float, float, float] | None,
    modality: Modality,
    certainty: float,
    reason: str,
    notes: tuple[str, ...],
) -> StudioScan:
    intensity = default_intensity(modality)
    fitted = intensity.fit(volume.array)
    notes = (*notes, f"{fitted.note[0].upper()}{fitted.note[1:]}.") if fitted.note else notes
    return StudioScan(volume, spacing, modality, certainty, reason, intensity, fitted, notes)


def _not_finite(array: NDArray[Any]) -> int:
    if array.dtype.kind != "f":
        return 0
    return sum(int(plane.size - np.count_nonzero(np.isfinite(plane))) for plane in array)


def _least(array: NDArray[Any]) -> float:
    finite = array[np.isfinite(array)]
    return float(finite.min()) if finite.size else 0.0
