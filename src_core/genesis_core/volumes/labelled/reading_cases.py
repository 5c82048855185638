"""Reading one case: its images and what is drawn on them, proven to lie on one grid.

Nothing is resampled: a label on another grid than its image may belong to another scan, so it is refused with both
grids in words. Whatever the numbers in a case's own label are, the result has the folder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.layering import Layers
from genesis_core.volumes.grid import describe_grid_difference, same_grid
from genesis_core.volumes.label_placing import place_labels
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.labelled.case import Case, LabelSource, Source
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.reading import read_frames, read_volume
from genesis_core.volumes.volume import Geometry, Volume

# Below this, numbers are translated by a table; above, one structure after the other.
_LARGEST_TABLE = 1 << 20


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A case in memory. images: one per channel, on one grid. label: on the same grid, or None where nothing is drawn.

    The label's structures are those of the folder that were looked for in this case; one that is missing from them is
    unknown here, not absent.
    """

    images: tuple[Volume, ...]
    label: LabelVolume | None


def read_case(case: Case, structures: Sequence[Structure] = ()) -> LabelledCase:
    """Read a case of a labelled folder.

    structures: the folder's list; numbers of the result are its, also where the case's own label has others. Empty: as
    the label file says. Raises VolumeError if a file cannot be read or lies on another grid than the first image (in
    words and mm), if a mask holds more than one number, or if the label names nothing of the list.
    """
    images = _read_images(case.images)
    first = images[0]
    for image in images[1:]:
        _prove_same_grid(case, image.geometry, image.source, first)
    if case.label is None:
        return LabelledCase(images, None)
    label = _read_label(case.label, case.numbering or structures, first, case.images[0])
    if (label.source or "").lower().endswith(".seg.nrrd"):
        # 3D Slicer crops its files to what is drawn; other labels on another grid belong to another scan.
        label = place_labels(label, first.geometry)
    _prove_same_grid(case, label.geometry, label.source, first)
    label = with_numbers_of(label, structures) if structures else label
    if case.annotated is not None:
        kept = tuple(structure for structure in label.structures if structure.name in case.annotated)
        label = replace(label, structures=kept)
    return LabelledCase(images, label)


def with_numbers_of(label: LabelVolume, structures: Sequence[Structure]) -> LabelVolume:
    """Return labels with the numbers and the order of a list, matched by name, on the layers they lie on.

    Structures that the list does not name are no longer part of any, which the notes say. Raises VolumeError if it
    names none of them.
    """
    wanted = {structure.name: structure for structure in structures}
    own = {structure.name: structure for structure in label.structures}
    unlisted = [name for name in own if name not in wanted]
    if own and len(unlisted) == len(own):
        raise VolumeError(
            f"{label.source or 'these labels'}: its structures ({some(unlisted)}) are none of the list's "
            f"({some(list(wanted))}). Rename them, or give the list that belongs to it"
        )
    notes = label.notes
    if unlisted:
        notes += (f"Structures that the list does not name are left out: {some(unlisted)}.",)
    kept = [
        replace(wanted[name], layer=own[name].layer, colour=wanted[name].colour or own[name].colour)
        for name in wanted
        if name in own
    ]
    if not unlisted and all(own[structure.name].value == structure.value for structure in kept):
        return replace(label, structures=tuple(kept), notes=notes)
    layers = tuple(
        _translated(layer, {own[s.name].value: s.value for s in kept if s.layer == index})
        for index, layer in enumerate(label.layers)
    )
    return LabelVolume(layers, label.geometry, tuple(kept), label.source, notes)


def _read_images(sources: Sequence[Source]) -> tuple[Volume, ...]:
    frames: dict[Path, tuple[Volume, ...]] = {}
    images = []
    for source in sources:
        several = sum(other.path == source.path for other in sources) > 1
        if source.frame is None or not several:
            images.append(read_volume(source.path, frame=source.frame, series=source.series))
            continue
        # All frames of a file are wanted, so it is decompressed once.
        if source.path not in frames:
            frames[source.path] = read_frames(source.path)
        there = frames[source.path]
        if source.frame >= len(there):
            raise VolumeError(f"{source.path}: frame {source.frame} was listed, but it holds {len(there)}")
        images.append(there[source.frame])
    return tuple(images)


def _read_label(source: LabelSource, structures: Sequence[Structure], image: Volume, scan: Source) -> LabelVolume:
    if source.kind == "masks":
        return _read_masks(source, structures, image.geometry)
    ((_, part),) = source.parts
    if source.kind in ("rtstruct", "dicom_seg"):
        return _read_dicom_label(source.kind, part.path, image.geometry, scan)
    return read_labels(part.path, structures, series=part.series)


def _read_dicom_label(kind: str, path: Path, geometry: Geometry, scan: Source) -> LabelVolume:
    from genesis_core.volumes.dicom.segmentation import read_dicom_seg
    from genesis_core.volumes.dicom.series import find_series
    from genesis_core.volumes.dicom.structures import read_rtstruct
    from genesis_core.volumes.dicom.tags import is_dicom

    space = None
    if scan.path.is_dir() or is_dicom(scan.path):
        space = find_series(scan.path, scan.series).frame_of_reference or None
    read = read_rtstruct if kind == "rtstruct" else read_dicom_seg
    return read(path, geometry, frame_of_reference=space)


def _read_masks(source: LabelSource, structures: Sequence[Structure], geometry: Geometry) -> LabelVolume:
    """Return masks as one layer, or as several where they overlap."""
    colours = {structure.name: structure.colour for structure in structures}
    layers = Layers(geometry, len(source.parts))
    notes: list[str] = []
    folder = source.parts[0][1].path.parent
    for name, part in source.parts:
        mask = read_labels(part.path, series=part.series)
        if len(mask.structures) > 1:
            values = some([str(structure.value) for structure in mask.structures])
            raise VolumeError(
                f"{part.path}: holds the numbers {values}, but the mask of one structure has one number besides 0. "
                "Give it as a label map, or write one mask per structure"
            )
        if not same_grid(mask.geometry, geometry):
            raise VolumeError(_other_grid(str(part.path), mask.geometry, "the image", geometry))
        notes += [f"{name}: {note}" for note in mask.notes]
        drawn = mask.mask(mask.structures[0]) if mask.structures else np.zeros(geometry.shape, bool)
        layers.add(name, colours.get(name), drawn, (0, 0, 0))
    return layers.packed(str(folder), notes)


def _prove_same_grid(case: Case, geometry: Geometry, source: str | None, first: Volume) -> None:
    if not same_grid(geometry, first.geometry):
        raise VolumeError(
            _other_grid(source or f"a file of {case.name}", geometry, first.source or "the first image", first.geometry)
        )


def _other_grid(what: str, geometry: Geometry, than: str, other: Geometry) -> str:
    return (
        f"{what}: lies on another grid than {than}: {describe_grid_difference(geometry, other)}. Check that they "
        "belong together; if they do, resample it onto the image's grid (label maps by nearest neighbour)"
    )


def _translated(layer: NDArray[Any], numbers: dict[int, int]) -> NDArray[Any]:
    """Return a layer with other numbers; those that are not told become 0."""
    dtype = np.dtype(np.uint8 if max(numbers.values(), default=0) < 1 << 8 else np.uint16)
    if layer.size and int(layer.min()) >= 0 and int(layer.max()) < _LARGEST_TABLE:
        table = np.zeros(int(layer.max()) + 1, dtype)
        for old, new in numbers.items():
            if old < len(table):
                table[old] = new
        return table[layer.astype(np.intp, copy=False)]
    result = np.zeros(layer.shape, dtype)
    for old, new in numbers.items():
        result[layer == old] = new
    return result
