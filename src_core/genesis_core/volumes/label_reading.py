"""Reading labels: a file of numbers becomes a `LabelVolume`, its structures named as the file or the caller names them.

A number is never guessed away: fractions, negative numbers and NaN are refused, and numbers without a name stay in the
layer and are told. Where a file names its structures itself, a name counts and not its number, as 3D Slicer numbers the
same organ differently from file to file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.headers import file_ending, file_header, parse_file
from genesis_core.volumes.formats.nrrd import read_remarks
from genesis_core.volumes.formats.payload import read_arrays
from genesis_core.volumes.formats.stored import Stored
from genesis_core.volumes.grid import is_sheared
from genesis_core.volumes.label_values import count_values, whole_numbers
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.segment_keys import is_segmentation, segments
from genesis_core.volumes.structure_names import read_sidecar, sidecar_of
from genesis_core.volumes.volume import Geometry

# So many unnamed numbers are listed one by one.
_LISTED = 8
# More numbers than this, none of them named, and a person should look whether it is a label map.
_MANY = 255


@dataclass(frozen=True)
class _Drawn:
    """The layers of a file, how often each number occurs in them, and what the file itself names (None: nothing)."""

    layers: tuple[NDArray[Any], ...]
    counts: tuple[dict[int, int], ...]
    geometry: Geometry
    named: tuple[Structure, ...] | None
    notes: tuple[str, ...]


def read_labels(
    path: str | os.PathLike[str], structures: Sequence[Structure] = (), *, series: str | None = None
) -> LabelVolume:
    """Read what is drawn on a scan from a file of numbers.

    path: any file `read_volume` takes, of whole numbers (floats within 0.001 of one count), 0 where nothing is drawn;
    a .seg.nrrd of 3D Slicer with its layers, names and colours. A JSON beside it ({"structures": [...]}) names them.
    structures: what the numbers mean. Where the file names its structures itself, they are found by name, and get the
    numbers given here; one that the file does not name is left out, since nobody looked for it there. None given and
    none named: one structure per number, "label N".
    series: which series of a DICOM folder, where labels were saved as one.
    Layers are unsigned, in the smallest type. Numbers without a structure stay, and `notes` counts them. Raises
    VolumeError for fractions, NaN, negative numbers, more than 65,535 kinds, 4D files, sheared axes, or if none of the
    structures asked for is among those the file names; and for what `read_volume` raises it.
    """
    path = Path(path)
    drawn = _from_file(path) if file_ending(path) else _from_dicom(path, series)
    if file_ending(path) and series is not None:
        raise VolumeError(f"{path}: series={series} was given, but this is a file, not a DICOM folder; leave it out")
    if structures and drawn.named is not None:
        drawn, meant = _by_name(path, drawn, structures)
    elif structures or drawn.named is not None:
        meant = tuple(structures or drawn.named or ())
    else:
        meant = _one_per_number(drawn)
    lost = [s.name for s in meant if not 0 <= s.layer < len(drawn.layers)]
    if lost:
        raise VolumeError(f"{path}: has {len(drawn.layers)} layer(s), too few for {', '.join(lost)}")
    try:
        return LabelVolume(
            drawn.layers, drawn.geometry, meant, str(path), (*drawn.notes, *_remarks(drawn, meant, bool(structures)))
        )
    except VolumeError as problem:
        raise VolumeError(f"{path}: {problem}") from None


def _from_dicom(path: Path, series: str | None) -> _Drawn:
    volume = read_volume(path, series=series)
    layer = whole_numbers(volume.array, str(path))
    return _Drawn((layer,), (count_values(layer, str(path)),), volume.geometry, None, volume.notes)


def _from_file(path: Path) -> _Drawn:
    ending = file_ending(path) or ""
    stored = parse_file(path)
    remarks = read_remarks(path) if ending in (".nrrd", ".nhdr") else {}
    segmented = is_segmentation(remarks)
    if segmented and stored.components > 1:
        # SimpleITK saves layers as the parts of a vector.
        stored = replace(stored, frames=stored.components, components=1)
    _check(stored, segmented)
    layers = tuple(whole_numbers(array, str(path)) for array in read_arrays(stored))
    kind = np.result_type(*layers)
    layers = tuple(layer.astype(kind, copy=False) for layer in layers)
    named = segments(path, remarks, len(layers)) if segmented else read_sidecar(sidecar_of(path, ending)) or None
    counts = tuple(count_values(layer, str(path)) for layer in layers)
    return _Drawn(layers, counts, file_header(stored).geometry, named, stored.notes)


def _check(stored: Stored, segmented: bool) -> None:
    path, header = stored.path, file_header(stored)
    if stored.components > 1:
        raise VolumeError(
            f"{path}: {stored.components} values per voxel (colours or vectors), not one number; it cannot be used as "
            "a label map. Export the labels as whole numbers"
        )
    if stored.frames > 1 and not segmented:
        raise VolumeError(
            f"{path}: holds {stored.frames} frames, but a label map has one. Save structures that overlap as one file "
            "each, or as a .seg.nrrd segmentation"
        )
    if is_sheared(header.geometry, header.moved):
        raise VolumeError(
            f"{path}: its axes are not at right angles (up to {header.moved:.1f} mm off), and labels are not "
            "interpolated. Resample scan and labels onto one straight grid with the tool that made them"
        )


def _one_per_number(drawn: _Drawn) -> tuple[Structure, ...]:
    several = len(drawn.layers) > 1
    return tuple(
        Structure(f"label {value}" + (f" of layer {layer + 1}" if several else ""), value, None, layer)
        for layer, counts in enumerate(drawn.counts)
        for value in counts
        if value > 0
    )


def _by_name(path: Path, drawn: _Drawn, wanted: Sequence[Structure]) -> tuple[_Drawn, tuple[Structure, ...]]:
    """Return the layers with the numbers asked for, and the structures in the layers they lie in."""
    named = drawn.named or ()
    found: dict[str, Structure] = {}
    for own in named:
        if (key := _key(own.name)) in found and any(_key(one.name) == key for one in wanted):
            raise VolumeError(f"{path}: two of its structures are named '{own.name}'; rename or join them")
        found[key] = own
    names = {one.name for one in wanted}
    pairs = [
        # Of "Liver" and "liver", both asked for, each has its own files: it was not looked for in those of the other.
        (one, own if own is not None and (own.name == one.name or own.name not in names) else None)
        for one in wanted
        for own in [found.get(_key(one.name))]
    ]
    if not any(own for _, own in pairs):
        there = f"its structures {_listed([own.name for own in named])}" if named else "no structures"
        raise VolumeError(
            f"{path}: it names {there}, and none of them is "
            f"{_listed([one.name for one in wanted])}. Rename them, or give the names the file has"
        )
    meant = tuple(replace(one, layer=own.layer, colour=one.colour or own.colour) for one, own in pairs if own)
    moves = {(own.layer, own.value): one.value for one, own in pairs if own}
    layers, counts, changed = [], [], False
    for index, (layer, numbers) in enumerate(zip(drawn.layers, drawn.counts, strict=True)):
        table = _new_numbers(numbers, {old: new for (at, old), new in moves.items() if at == index}, wanted)
        changed |= any(old != new for old, new in table.items())
        layers.append(_renumbered(layer, table))
        counts.append({table[old]: count for old, count in numbers.items()})
    told = [*drawn.notes]
    if absent := [one.name for one, own in pairs if own is None]:
        told.append(f"Not named in this file: {_listed(absent)}.")
    if changed:
        told.append("Its structures were found by name and have the numbers asked for, not those of the file.")
    return _Drawn(tuple(layers), tuple(counts), drawn.geometry, named, tuple(told)), meant


def _new_numbers(present: Mapping[int, int], moves: Mapping[int, int], wanted: Sequence[Structure]) -> dict[int, int]:
    """Return old -> new number; one that nobody asked for keeps its own, unless that now means something else."""
    taken = {0, *(one.value for one in wanted)}
    table = {0: 0, **moves}
    free = max([*taken, *present]) + 1
    for old in present:
        if old not in table:
            table[old], free = (old, free) if old not in taken else (free, free + 1)
    return {old: table[old] for old in present}


def _renumbered(layer: NDArray[Any], table: Mapping[int, int]) -> NDArray[Any]:
    if all(old == new for old, new in table.items()):
        return layer
    old = np.array(sorted(table), dtype=layer.dtype)
    new = np.array([table[int(value)] for value in old], dtype=np.min_scalar_type(max(table.values())))
    result = np.empty(layer.shape, new.dtype)
    for target, source in zip(result, layer, strict=True):
        target[...] = new[np.searchsorted(old, source)]
    return result


def _remarks(drawn: _Drawn, meant: Sequence[Structure], asked: bool) -> list[str]:
    places = {(one.layer, one.value) for one in meant}
    nameless = [
        (value, count)
        for layer, counts in enumerate(drawn.counts)
        for value, count in counts.items()
        if value > 0 and (layer, value) not in places
    ]
    told = []
    if not any(value > 0 for counts in drawn.counts for value in counts):
        told.append("Nothing is drawn in it.")
    if nameless:
        more = f" and {len(nameless) - _LISTED} more" if len(nameless) > _LISTED else ""
        listed = ", ".join(f"{value} ({count:,} voxels)" for value, count in nameless[:_LISTED])
        told.append(f"Numbers that belong to no structure, left as they are: {listed}{more}.")
    if not asked and drawn.named is None and len(meant) > _MANY:
        told.append(f"{len(meant):,} different numbers, none of them named: is it a label map?")
    return told


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + more
