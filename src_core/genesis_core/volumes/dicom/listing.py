"""The image series of a folder and its subfolders, told by their tags, with what a person needs to choose among them.

Voxels are decoded for thumbnails only. No patient's name, number or date is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.decoding import read_voxels
from genesis_core.volumes.dicom.placing import directions, place_slices
from genesis_core.volumes.dicom.series import DicomSeries, place_files, scan_dicom_folder
from genesis_core.volumes.dicom.tags import DicomFile
from genesis_core.volumes.folder_walk import walk_folders
from genesis_core.volumes.grid import is_sheared
from genesis_core.volumes.volume import Volume

_THUMBNAIL = 96
# Soft tissue in Hounsfield units, the window most CT is read in: level 40, width 400.
_SOFT_TISSUE = (-160.0, 240.0)
# A slice whose normal is this close to an axis of the patient is axial, coronal or sagittal (25 degrees).
_NEAR_AXIS = 0.9


@dataclass(frozen=True)
class SeriesRecord:
    """One image series. path: the folder its files lie in; folder: that path from the listed folder, with "/".

    uid, study: UIDs, "" where unknown. modality: what the tag says ("CT"). slices: images, or frames. size: pixels
    (x, y) of a slice. spacing: (x, y, z) mm, None where the slices make no grid. thickness: mm. orientation: axial,
    coronal, sagittal, oblique, or "" where unknown. image_type: as in the tag, parts joined by " ". problem: what
    reading it would say, without the folder, or None. sheared: it needs resampling (a tilted gantry). middle: its
    middle slice, None where the slices make no grid; of the others nothing is kept, as there may be millions.
    """

    path: Path
    folder: str
    uid: str
    study: str
    description: str
    modality: str
    slices: int
    size: tuple[int, int]
    spacing: tuple[float, float, float] | None
    thickness: float | None
    orientation: str
    kernel: str
    image_type: str
    problem: str | None
    sheared: bool = False
    middle: DicomFile | None = field(default=None, repr=False, compare=False)


def list_series(folder: str | os.PathLike[str]) -> tuple[SeriesRecord, ...]:
    """Return the image series of a folder and its subfolders, sorted by folder and UID; a bad one tells its problem.

    Files whose tags are too damaged to name their series are together a record. Raises VolumeError if the folder does
    not exist or cannot be listed.
    """
    return in_order(each_series(folder, []))


def in_order(records: Iterable[SeriesRecord]) -> tuple[SeriesRecord, ...]:
    """Return records sorted by folder and UID."""
    return tuple(sorted(records, key=lambda record: (record.folder, record.uid)))


def each_series(folder: str | os.PathLike[str], closed: list[str]) -> Iterator[SeriesRecord]:
    """Yield the records of `list_series` as they are found; links to folders are followed, but not in circles.

    closed: gets the subfolders that could not be listed, each with the reason.
    """
    root = Path(folder)
    if not os.path.isdir(root):
        raise VolumeError(f"{root}: no such folder")
    for relative, _ in walk_folders(root, closed):
        path = root / relative
        for uid, files in scan_dicom_folder(path).series.items():
            yield _record(path, relative, uid, files)
    if closed and closed[0].startswith(".: "):
        raise VolumeError(f"{root}: the folder cannot be listed ({closed[0].removeprefix('.: ')})")


def thumbnail(record: SeriesRecord) -> NDArray[np.uint8]:
    """Return the middle slice as greys (y, x), at most 96 pixels wide and high, in the proportions of the patient.

    CT is shown in the soft-tissue window, all else from its 1st to its 99th percentile. Raises VolumeError if the
    series makes no volume, or the slice cannot be decoded.
    """
    from PIL import Image

    if record.middle is None:
        raise VolumeError(f"{record.path}: {record.problem}")
    series = DicomSeries(record.path, place_slices(record.path, [record.middle]), ())
    array = read_voxels(series)
    low, high = _window(Volume(array, series.geometry, series.modality))
    grey = np.clip((array[0].astype(np.float64) - low) / max(high - low, 1e-9) * 255, 0, 255).round().astype(np.uint8)
    height, width = grey.shape[0] * series.geometry.spacing[1], grey.shape[1] * series.geometry.spacing[0]
    scale = min(_THUMBNAIL / max(height, width), 1 / min(series.geometry.spacing[:2]))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = Image.fromarray(grey).resize((min(size[0], _THUMBNAIL), min(size[1], _THUMBNAIL)), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.uint8)


def _window(volume: Volume) -> tuple[float, float]:
    from genesis_core.volumes.modality import guess_modality

    if guess_modality(volume).modality == "ct":
        return _SOFT_TISSUE
    low, high = np.percentile(volume.array, [1, 99])
    return float(low), float(high)


def _record(path: Path, folder: str, uid: str, files: tuple[DicomFile, ...]) -> SeriesRecord:
    first = files[0]
    record = SeriesRecord(
        path=path,
        folder=folder,
        uid=uid,
        study=first.study,
        description=first.description,
        modality=first.modality,
        slices=sum(file.frames for file in files),
        size=(first.columns, first.rows),
        spacing=None,
        thickness=first.thickness,
        orientation=_orientation(first),
        kernel=_told(first, "kernel"),
        image_type=_told(first, "image type"),
        problem=None,
    )
    try:
        placed = place_files(path, files)
    except VolumeError as problem:
        text = str(problem).removeprefix(f"{path}: ").replace(f"{path}{os.sep}", "")
        return replace(record, problem=text)
    shown = placed.slices[0]
    sheared = is_sheared(placed.geometry, placed.moved)
    return replace(
        record,
        spacing=placed.geometry.spacing,
        thickness=shown.thickness,
        orientation=_orientation(shown),
        kernel=record.kernel or _told(shown, "kernel"),
        image_type=record.image_type or _told(shown, "image type"),
        middle=placed.slices[len(placed.slices) // 2],
        sheared=sheared,
        problem=f"its slices are shifted by up to {placed.moved:.1f} mm (a tilted gantry): it needs resampling"
        if sheared
        else None,
    )


def _told(file: DicomFile, key: str) -> str:
    return " ".join(part.strip() for part in dict(file.telling).get(key, "").split("\\")).strip()


def _orientation(file: DicomFile) -> str:
    values: Any = file.orientation
    if len(values) != 6 or not np.isfinite(values).all() or not np.linalg.norm(values[:3]):
        return ""
    normal = np.cross(*directions(file))
    axis = int(np.argmax(np.abs(normal)))
    return ("sagittal", "coronal", "axial")[axis] if abs(normal[axis]) > _NEAR_AXIS else "oblique"
