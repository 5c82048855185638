"""What a file or a DICOM series becomes in napari: an Image in its usual window, or Labels with names and colours."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.volume import Geometry, Volume
from napari_genesis.contrast import REACH_KEY, first_contrast
from napari_genesis.label_layers import label_layers
from napari_genesis.layers import AXIS_LABELS, ORIGIN_KEY, UNITS, LayerData, shown, turn_note

if TYPE_CHECKING:
    from genesis_core.volumes.dicom.tags import DicomFile
    from genesis_core.volumes.label_volume import LabelVolume

# Names by which people call label files; what they hold still decides.
_LABEL_NAME = re.compile(
    r"(^|[^a-z])(seg|segs|segmentation|label|labels|labelmap|mask|msk|roi|gtv|aseg|aparc)([^a-z]|$)"
)
_LABEL_FOLDER = re.compile(r"(labels|masks|segmentations)(tr|ts)?")
# What DICOM objects that are drawn on a scan are called, and how the reader's note on such objects begins.
_RTSTRUCT, _SEGMENTATION = "RT structure set", "segmentation"
_LEFT_ALONE = "Other DICOM objects in the folder were ignored"
# More unnamed numbers than this are rather intensities.
_MOST_UNNAMED = 255


def open_path(path: Path) -> list[LayerData]:
    """Return the layers of one file (NIfTI, MetaImage, NRRD, MGH, DICOM); raises VolumeError if it cannot be shown.

    Frames become a fourth axis (t, z, y, x). Files of labels are told by their content, with their name as a hint.
    """
    from genesis_core.volumes.formats.headers import file_ending
    from genesis_core.volumes.reading import read_frames, read_volume

    ending = file_ending(path)
    if ending is None:
        volume = read_volume(path, resample_shear=True)
        return [_image((volume,), path.stem)]
    name = path.name[: len(path.name) - len(ending)]
    called = _called_labels(path, name, ending)
    layers, why = _labels(path, name) if called else ([], None)
    if layers:
        return layers
    frames = read_frames(path, resample_shear=True)
    if not called and len(frames) == 1 and _looks_like_labels(frames[0]):
        layers, why = _labels(path, name)
    if layers:
        return layers
    if why and len(frames) == 1:
        frames = (replace(frames[0], notes=(*frames[0].notes, f"Shown as a scan, not as labels: {why}.")),)
    return [_image(frames, name)]


def open_series(folder: Path, uid: str, name: str) -> list[LayerData]:
    """Return the layer of one DICOM series of a folder, and Labels of the structure sets and segmentations beside it.

    Where the folder holds several series, what is drawn cannot be told to belong to this one, and is left out.
    Raises VolumeError if the series makes no volume; one that cannot be drawn is a note.
    """
    from genesis_core.volumes.dicom.series import scan_dicom_folder
    from genesis_core.volumes.reading import read_volume

    volume = read_volume(folder, series=uid, resample_shear=True)
    found = scan_dicom_folder(folder)
    drawn = [one for one in found.others if one.kind in (_RTSTRUCT, _SEGMENTATION)]
    if len(found.series) != 1 or not drawn:
        return [_image((volume,), name)]
    spaces = {one.frame_of_reference for files in found.series.values() for one in files}
    space = spaces.pop() if len(spaces) == 1 else None
    layers, notes = [], [note for note in volume.notes if not note.startswith(_LEFT_ALONE)]
    for one in drawn:
        try:
            layers += label_layers(_read_drawn(one, volume.geometry, space), f"{name}: {one.kind}")
        except VolumeError as problem:
            notes.append(f"The {one.kind} {one.path.name} is not shown: {str(problem).removeprefix(f'{one.path}: ')}.")
    return [_image((replace(volume, notes=tuple(notes)),), name), *layers]


def _read_drawn(file: DicomFile, geometry: Geometry, space: str | None) -> LabelVolume:
    from genesis_core.volumes.dicom.segmentation import read_dicom_seg
    from genesis_core.volumes.dicom.structures import read_rtstruct

    read = read_rtstruct if file.kind == _RTSTRUCT else read_dicom_seg
    return read(file.path, geometry, frame_of_reference=space or None)


def told_of(layers: list[LayerData]) -> tuple[str, ...]:
    """Return what a person should know about opened layers, each sentence once."""
    notes: list[str] = []
    for _, meta, _ in layers:
        origin = meta["metadata"][ORIGIN_KEY]
        notes += [*origin.notes, *turn_note(origin)]
    return tuple(dict.fromkeys(notes))


def _called_labels(path: Path, name: str, ending: str) -> bool:
    from genesis_core.volumes.structure_names import read_sidecar, sidecar_of

    if _LABEL_NAME.search(name.lower()) or _LABEL_FOLDER.fullmatch(path.parent.name.lower()):
        return True
    try:
        return bool(read_sidecar(sidecar_of(path, ending)))
    except VolumeError:
        # A JSON beside a scan is mostly another program's: damaged, it says nothing about labels.
        return False


def _looks_like_labels(volume: Volume) -> bool:
    from genesis_core.volumes.modality import guess_modality

    return guess_modality(volume).label_map


def _labels(path: Path, name: str) -> tuple[list[LayerData], str | None]:
    """Return the layers of a file of labels, or none and why it is no such file."""
    from genesis_core.volumes.label_reading import read_labels
    from genesis_core.volumes.structure_names import is_unnamed

    try:
        labels = read_labels(path)
    except VolumeError as problem:
        return [], str(problem).removeprefix(f"{path}: ").replace(f"{path.parent}{os.sep}", "").rstrip(".")
    unnamed = sum(map(is_unnamed, labels.structures))
    if unnamed > _MOST_UNNAMED:
        return [], f"{unnamed:,} of its numbers have no name"
    return label_layers(labels, name), None


def _image(frames: tuple[Volume, ...], name: str) -> LayerData:
    from genesis_core.volumes.modality import guess_modality

    middle = frames[len(frames) // 2]
    modality = guess_modality(middle).modality
    if len(frames) == 1:
        array, meta = shown(middle)
    else:
        array, meta = _stacked(frames)
    limits, reach = first_contrast(middle.array, modality)
    look = {"name": name, "colormap": "gray", "contrast_limits": limits}
    return array, {**meta, **look, "metadata": {**meta["metadata"], REACH_KEY: reach}}, "image"


def _stacked(frames: tuple[Volume, ...]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return frames of one grid as (t, z, y, x); their notes are told once, those that count the frames not at all."""
    places = [shown(frame) for frame in frames]
    notes = tuple(dict.fromkeys(note for frame in frames for note in frame.notes if not note.startswith("Frame ")))
    _, meta = shown(Volume(frames[0].array, frames[0].geometry, frames[0].modality, None, notes))
    more = {
        "scale": (1.0, *meta["scale"]),
        "translate": (0.0, *meta["translate"]),
        "units": ("pixel", *UNITS),
        "axis_labels": ("t", *AXIS_LABELS),
    }
    return np.stack([array for array, _ in places]), {**meta, **more}
