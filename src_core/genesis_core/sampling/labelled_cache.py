"""Labelled cases in the cache: images as scans are kept, labels beside them on the same grid, read by sub-volume.

Labels are brought onto the prepared grid by nearest neighbour and kept as numbers of the wanted structures. What a case
costs in memory while it is open is a few hundred bytes; voxels and places of structures stay on disk. Damaged entries
are rebuilt from the source, and said.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import CacheError, VolumeError
from genesis_core.sampling.bricks import DamagedEntryError, read_bricks, read_header, read_numbers, write_bricks
from genesis_core.sampling.cache import (
    cache_folder,
    compacted,
    is_whole,
    mark_used,
    said_rebuilt,
    scan_header,
    stored_geometry,
    stored_map,
    unwritable,
)
from genesis_core.sampling.labelled_entry import EntryNames, entry_names
from genesis_core.sampling.structure_places import PLACES, find_places
from genesis_core.volumes.intensity import IntensityMap
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.structure_names import IGNORE
from genesis_core.volumes.volume import Geometry, Volume

if TYPE_CHECKING:
    from genesis_core.volumes.labelled.case import Case
    from genesis_core.volumes.preprocessing import Preprocessing

Index3 = tuple[int, int, int]
Number = TypeVar("Number", np.float32, np.int16)

_UNKNOWN = -1
_ATTEMPTS = 5
_rebuilding = threading.Lock()


@dataclass(frozen=True)
class CachedImage:
    """One channel of a case. entry: its file in the cache. map: scan units to [0, 1]."""

    entry: Path
    map: IntensityMap

    def read(self, start: Index3, size: Index3) -> NDArray[np.float32]:
        """Return a sub-volume (z, y, x) in [0, 1], 0 outside of the scan; raises DamagedEntryError."""
        return read_bricks(self.entry, start, size, self.map.low, self.map.scale)


class CachedCase:
    """A labelled case in the cache. id: its pseudonym. subject: whose it is. images: one per channel, on one grid.

    geometry, shape: that grid. structures: names, number i + 1 of a layer being structure i. voxels: how many each has
    on this grid. annotated: for each, whether it was looked for in this case. known: voxels whose annotation is known.
    layers: how many layers of numbers there are; more than one where structures overlap. notes: what was done, in
    sentences. Nothing stays open between reads; use it from any number of threads.
    """

    def __init__(self, recipe: _Recipe, names: EntryNames) -> None:
        self._recipe = recipe
        self._names = names
        self._rebuilt = 0
        self.id: str = recipe.case.id
        self.subject: str = recipe.case.subject
        self.structures = tuple(structure.name for structure in recipe.structures)
        headers = [read_header(recipe.folder / name) for name in names.images]
        label = read_header(recipe.folder / names.places)
        self.layers: int = label["layers"]
        for number in range(self.layers):
            read_header(recipe.folder / names.layer(number))
        self.images = tuple(
            CachedImage(recipe.folder / name, stored_map(recipe.preprocessing, header))
            for name, header in zip(names.images, headers, strict=True)
        )
        self.geometry: Geometry = stored_geometry(headers[0])
        self.shape = self.geometry.shape
        self.voxels: tuple[int, ...] = tuple(label["voxels"])
        self.known: int = label["known"]
        self.annotated: tuple[bool, ...] = tuple(label["annotated"])
        maps = [image.map.note for image in self.images if image.map.note]
        told = [note for header in headers for note in header["notes"]]
        self.notes: tuple[str, ...] = tuple(dict.fromkeys([*told, *maps, *label["notes"]]))

    @property
    def entries(self) -> tuple[Path, ...]:
        """The case's files in the cache: images, layers, places."""
        layers = [self._names.layer(number) for number in range(self.layers)]
        return tuple(self._recipe.folder / name for name in (*self._names.images, *layers, self._names.places))

    def read(self, start: Index3, size: Index3) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Return images (channel, z, y, x) float32 in [0, 1], and layers (layer, z, y, x) int16, from voxel `start`.

        Layers hold 0 where nothing is drawn, i + 1 for structure i, -1 where nothing is known. The sub-volume may reach
        beyond the scan: there images are 0 and layers -1. Raises CacheError if damage cannot be mended.
        """
        for attempt in range(_ATTEMPTS + 1):
            seen = self._rebuilt
            try:
                images = [image.read(start, size) for image in self.images]
                layers = [
                    read_numbers(self._recipe.folder / self._names.layer(number), start, size, _UNKNOWN)
                    for number in range(self.layers)
                ]
                return _stacked(images), _stacked(layers)
            except DamagedEntryError as problem:
                if attempt == _ATTEMPTS:
                    raise
                self._rebuild(seen, problem)
        raise AssertionError("the last attempt returns or raises")

    def positions(self, structure: int) -> NDArray[np.int64]:
        """Return up to 512 voxels (n, 3), (z, y, x), of a structure by its position: chosen by a hash, spread over it.

        The position after the last structure's stands for all annotated voxels; it is empty where that is every voxel.
        """
        path = self._recipe.folder / self._names.places
        for attempt in range(_ATTEMPTS + 1):
            seen = self._rebuilt
            try:
                found = read_numbers(path, (structure, 0, 0), (1, 3, PLACES), _UNKNOWN)[0]
                positions: NDArray[np.int64] = found[:, found[0] >= 0].T.astype(np.int64)
                return positions
            except DamagedEntryError as problem:
                if attempt == _ATTEMPTS:
                    raise
                self._rebuild(seen, problem)
        raise AssertionError("the last attempt returns or raises")

    def _rebuild(self, seen: int, problem: DamagedEntryError) -> None:
        with _rebuilding:
            # Another thread may have done it while this one waited.
            if self._rebuilt != seen:
                return
            try:
                if self._recipe.names() != self._names:
                    raise CacheError(f"{problem}; its source has changed since it was prepared: start again")
                self._recipe.build(self._names, keep_images=False)
            except VolumeError as gone:
                raise CacheError(f"{problem}; it cannot be rebuilt: {gone}") from None
            self._rebuilt += 1
            self.notes = (*self.notes, said_rebuilt(self.id, problem))


def open_cached_case(
    case: Case,
    structures: Sequence[Structure],
    preprocessing: Preprocessing,
    cache_dir: Path | None = None,
) -> CachedCase:
    """Return a labelled case, from the cache or else prepared and put there first.

    structures: what is wanted, in the order of their numbers, with the values they have in the files; one called
    "ignore" marks places where nothing is known instead. cache_dir: folder of the entries; None: the user's.
    Raises VolumeError if the case cannot be used, CacheError if the cache cannot be written.
    """
    folder = cache_folder(cache_dir)
    recipe = _Recipe(case, tuple(structures), preprocessing, folder)
    names = recipe.names()
    damage: DamagedEntryError | None = None
    for _ in range(_ATTEMPTS):
        try:
            opened = CachedCase(recipe, names)
            break
        except DamagedEntryError as problem:
            damage = problem if (folder / names.places).exists() else damage
            recipe.build(names, keep_images=True)
    else:
        opened = CachedCase(recipe, names)
    for entry in opened.entries:
        mark_used(entry)
    if damage is not None:
        opened.notes = (*opened.notes, said_rebuilt(case.id, damage))
    return opened


@dataclass(frozen=True)
class _Recipe:
    """How the entries of one case are made."""

    case: Case
    wanted: tuple[Structure, ...]
    preprocessing: Preprocessing
    folder: Path

    @property
    def structures(self) -> tuple[Structure, ...]:
        return tuple(structure for structure in self.wanted if structure.name.lower() != IGNORE)

    def names(self) -> EntryNames:
        return entry_names(self.case, self.wanted, self.preprocessing)

    def build(self, names: EntryNames, *, keep_images: bool) -> None:
        """Write all entries. keep_images: but for images that are there, whole as far as their header shows."""
        from genesis_core.volumes.labelled.reading_cases import read_case

        found = read_case(self.case, self.wanted)
        if found.label is None:
            raise VolumeError(f"{self.case.name}: nothing is drawn on it, so it cannot be learnt from")
        prepared = [self.preprocessing.prepare(image) for image in found.images]
        if self.names() != names:
            raise VolumeError(f"{self.case.name}: its files changed while they were read; try again once complete")
        layers, notes = self._numbers(found.label, prepared[0].volume.geometry)
        # A structure that the label does not list was not looked for in this case.
        drawn = {structure.name for structure in found.label.structures}
        places, voxels = find_places(layers, len(self.structures))
        header = {
            "layers": len(layers),
            "voxels": voxels[:-1],
            "known": voxels[-1],
            "annotated": [structure.name in drawn for structure in self.structures],
            "notes": notes,
        }
        # The folder may have been pruned since.
        cache_folder(self.folder)
        try:
            for name, scan in zip(names.images, prepared, strict=True):
                if not (keep_images and is_whole(self.folder / name)):
                    array = compacted(scan.volume.array)
                    write_bricks(self.folder / name, array, scan_header(scan, array))
            for number, layer in enumerate(layers):
                write_bricks(self.folder / names.layer(number), layer, {})
            write_bricks(self.folder / names.places, places, header)
        except OSError as problem:
            raise unwritable(self.folder, problem) from None

    def _numbers(self, label: LabelVolume, geometry: Geometry) -> tuple[NDArray[np.int16], list[str]]:
        """Return the layers on the prepared grid, numbered as wanted, and what to say about them."""
        if max(geometry.shape) > np.iinfo(np.int16).max:
            raise VolumeError(f"{self.case.name}: {geometry.shape} voxels are more than the cache can number")
        from genesis_core.volumes.resampling import resample_onto

        numbers = {structure.name: number for number, structure in enumerate(self.structures, 1)}
        layers, before = [], set()
        for position, layer in enumerate(label.layers):
            own = {
                structure.value: _UNKNOWN if structure.name.lower() == IGNORE else numbers.get(structure.name, 0)
                for structure in label.structures
                if structure.layer == position
            }
            if len(label.layers) > 1 and not any(own.values()):
                continue
            mapped = _mapped(layer, own)
            before.update(np.unique(mapped).tolist())
            moved = resample_onto(Volume(mapped, label.geometry), geometry, order="nearest", fill=0)
            layers.append(np.asarray(moved.array, np.int16))
        stacked = np.stack(layers) if layers else np.zeros((1, *geometry.shape), np.int16)
        stacked[:, (stacked == _UNKNOWN).any(axis=0)] = _UNKNOWN
        lost = before - set(np.unique(stacked).tolist()) - {0, _UNKNOWN}
        notes = [note for note in label.notes if note]
        if lost:
            gone = ", ".join(structure.name for number, structure in enumerate(self.structures, 1) if number in lost)
            notes.append(f"On the grid it is trained on nothing is left of {gone}: too small for this spacing.")
        return stacked, notes


def _stacked(arrays: list[NDArray[Number]]) -> NDArray[Number]:
    # Most cases have one image and one layer: a copy of a large box would cost more than reading it.
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _mapped(layer: NDArray[Any], own: dict[int, int]) -> NDArray[np.int16]:
    """Return a layer with its values exchanged for numbers; values without one become 0."""
    table = np.zeros(max(own, default=0) + 2, np.int16)
    for value, number in own.items():
        table[value] = number
    out = np.empty(layer.shape, np.int16)
    for plane, target in zip(layer, out, strict=True):
        target[...] = table[np.clip(plane.astype(np.int64), 0, len(table) - 1)]
    return out
