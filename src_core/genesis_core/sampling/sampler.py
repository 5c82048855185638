"""Drawing sub-volumes from prepared scans: which scan, where, and turned which way, all by hashing.

What is drawn depends on the seed, the stream's name, the step, the index, the settings and the list of scans, and on
nothing that happened before, so any thread or process draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import SamplingError
from genesis_core.randomness import integer, stream, uniform
from genesis_core.sampling.cache import CachedScan
from genesis_core.sampling.filters import LUNG_DEPTH, air_level, lung_score, tissue_share, unit_level
from genesis_core.sampling.placing import is_padded, start_range
from genesis_core.sampling.settings import SamplingSettings
from genesis_core.volumes.labelled.layout import some

_AXES = ("z", "y", "x")
# The published extraction reads three slices more than the sub-volume, and keeps one voxel of room, along z.
_LUNG_SPARE = (LUNG_DEPTH + 1, 0, 0)
Range3 = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class SubVolume:
    """A crop that a network sees: `array` float32 (z, y, x) in [0, 1], its own memory.

    scan: index of the scan in the sampler's list; scan_id: its pseudonym. start: first voxel (z, y, x) in that scan,
    negative where it is padded. tries: how many were drawn; fallback: every one was refused, and this is the last.
    flipped: axes ("z", "y", "x") along which it was turned around.
    """

    array: NDArray[np.float32]
    scan: int
    scan_id: str
    start: tuple[int, int, int]
    tries: int
    fallback: bool
    flipped: tuple[str, ...]

    @property
    def origin(self) -> str:
        """Where it comes from, as a phrase without any path: "scan_3f0a.. at 10,64,80 (z,y,x), flipped zx"."""
        place = f"{self.scan_id} at {','.join(map(str, self.start))} (z,y,x)"
        return place + (f", flipped {''.join(self.flipped)}" if self.flipped else "")


class Sampler:
    """Draws sub-volumes from `scans` as `settings` say.

    notes: sentences for the user: scans that are left out, and scans that are padded.
    Raises SamplingError if no scan can be drawn from.
    """

    def __init__(self, scans: Sequence[CachedScan], settings: SamplingSettings, seed: int) -> None:
        if not scans:
            raise SamplingError("no scan to draw from: check data.scans, and what was refused while preparing")
        self._scans = tuple(scans)
        self._settings = settings
        self._seed = seed
        z, y, x = settings.patch_size
        self._size = (z, y, x)
        self._levels = [self._level(scan) for scan in self._scans]
        ranges = [self._range(scan) for scan in self._scans]
        self._usable = [(number, places) for number, places in enumerate(ranges) if places is not None]
        self.notes = self._notes()
        if not self._usable:
            raise SamplingError(
                f"no scan is large enough. {self.notes[0]} Lower sampling.lung.margin or the patch size."
            )

    def sub_volume(self, stream_name: str, step: int, index: int) -> SubVolume:
        """Draw sub-volume `index` of step `step` of the stream: a pure function of these and the sampler's arguments.

        The scan is chosen uniformly, then places in it uniformly, borders included, until one is not refused.
        """
        settings = self._settings
        key = stream(self._seed, "sub_volume", stream_name, step, index)
        number, places = self._usable[integer(key, 0, 0, len(self._usable) - 1)]
        scan = self._scans[number]
        extra = 1 if settings.filter == "lung_ct" else 0
        accepted, tries = False, 0
        while not accepted and tries < settings.max_tries:
            z, y, x = (integer(key, 1 + 3 * tries + axis, *places[axis]) for axis in range(3))
            tries += 1
            array = scan.read((z, y, x), (self._size[0] + extra, *self._size[1:]))
            accepted = self._accepts(array, self._levels[number])
        array, flipped = self._flip(array, stream(key, "flip"))
        return SubVolume(array, number, scan.id, (z, y, x), tries, not accepted, flipped)

    def _accepts(self, array: NDArray[np.float32], level: float) -> bool:
        if self._settings.filter == "lung_ct":
            return lung_score(array, level) <= self._settings.lung.max_tissue
        return self._settings.filter == "none" or tissue_share(array, level) >= self._settings.min_tissue

    def _flip(self, array: NDArray[np.float32], key: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        flipped = tuple(
            name
            for axis, name in enumerate(_AXES)
            if name in self._settings.flips and uniform(key, axis) < self._settings.flip_probability
        )
        turned = tuple(
            slice(size - 1, None, -1) if name in flipped else slice(size)
            for name, size in zip(_AXES, self._size, strict=True)
        )
        # Never a view: it would keep the slice that only the lung filter needs, and have strides that torch refuses.
        return np.array(array[turned], order="C") if flipped or array.shape != self._size else array, flipped

    def _level(self, scan: CachedScan) -> float:
        if self._settings.filter != "lung_ct":
            return air_level(self._settings.air_threshold, scan.modality, scan.map)
        if scan.modality != "ct":
            raise SamplingError("sampling.filter lung_ct is for CT: its threshold is in HU. Use tissue for MR")
        level = unit_level(self._settings.lung.threshold, scan.map)
        if not 0 < level <= 1:
            raise SamplingError(
                f"sampling.lung.threshold {self._settings.lung.threshold:g} HU lies outside of the intensity window "
                f"{scan.map.low:g} to {scan.map.high:g} HU: nothing could be told apart. Widen data.intensity"
            )
        return level

    def _range(self, scan: CachedScan) -> Range3 | None:
        if self._settings.filter == "lung_ct":
            margin = self._settings.lung.margin
            ranges = [
                (edge, length - size - more - edge)
                for length, size, edge, more in zip(scan.shape, self._size, margin, _LUNG_SPARE, strict=True)
            ]
            return None if any(high < low for low, high in ranges) else (ranges[0], ranges[1], ranges[2])
        ranges = [start_range(length, size) for length, size in zip(scan.shape, self._size, strict=True)]
        return ranges[0], ranges[1], ranges[2]

    def _notes(self) -> tuple[str, ...]:
        notes = []
        usable = {number for number, _ in self._usable}
        left_out = [scan.id for number, scan in enumerate(self._scans) if number not in usable]
        if left_out:
            least = [
                size + more + 2 * edge
                for size, more, edge in zip(self._size, _LUNG_SPARE, self._settings.lung.margin, strict=True)
            ]
            notes.append(
                f"{len(left_out)} of {len(self._scans)} scans are left out: with its margins the filter lung_ct needs "
                f"at least {', '.join(map(str, least))} voxels (z, y, x): {some(left_out, 5)}."
            )
        drawn_from = [self._scans[number] for number in sorted(usable)]
        padded = [scan.id for scan in drawn_from if is_padded(scan.shape, self._size)]
        if padded:
            notes.append(
                f"{len(padded)} of {len(self._scans)} scans are smaller than the sub-volumes and are padded with air "
                f"(0) on both sides: {some(padded, 5)}."
            )
        return tuple(notes)
