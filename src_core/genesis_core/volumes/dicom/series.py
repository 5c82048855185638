"""A folder of DICOM slices as one volume: which series it holds, and whether its slices are all there.

SimpleITK would stack whatever it is given; here a missing slice, two images at one place and a damaged file are refused
by name. Segmentations, structure sets and other objects in the folder are left alone, and said.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.multiframe import frames_of
from genesis_core.volumes.dicom.placing import Placed, check_slices, place_slices
from genesis_core.volumes.dicom.tags import DicomFile, is_dicom, read_dicom_tags
from genesis_core.volumes.formats.headers import DICOM_ENDINGS, Header, may_be_dicom
from genesis_core.volumes.volume import Geometry, Modality

_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}


@dataclass(frozen=True)
class DicomFolder:
    """The DICOM files directly in one folder.

    series: image slices by series UID. others: objects without an image. left_out: names of files without an ending
    that are not DICOM.
    """

    path: Path
    series: dict[str, tuple[DicomFile, ...]]
    others: tuple[DicomFile, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class DicomSeries:
    """One series in order along its normal, with the grid its slices lie on."""

    path: Path
    placed: Placed
    notes: tuple[str, ...]

    @property
    def slices(self) -> tuple[DicomFile, ...]:
        """The slices in order: files, or frames of files."""
        return self.placed.slices

    @property
    def geometry(self) -> Geometry:
        """The nearest grid with right angles; `placed.moved` says how far that is off."""
        return self.placed.geometry

    @property
    def modality(self) -> Modality | None:
        """What the tag says, which may be wrong."""
        return _MODALITIES.get(self.slices[0].modality)

    @property
    def frame_of_reference(self) -> str:
        """UID of the patient space its positions are in, or "" where its slices name none or several."""
        named = {one.frame_of_reference for one in self.slices}
        return named.pop() if len(named) == 1 else ""


def scan_dicom_folder(folder: Path) -> DicomFolder:
    """Read the tags of every DICOM file directly in a folder; raises VolumeError if the folder cannot be listed.

    A file that is called DICOM but is not counts as damaged: it may be a slice.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as problem:
        raise VolumeError(f"{folder}: the folder cannot be listed ({problem.strerror or problem})") from None
    paths = [folder / name for name in names if may_be_dicom(name) and not name.startswith(".")]
    files, left_out = [], []
    for path in paths:
        if os.path.isfile(path) and is_dicom(path):
            files.append(read_dicom_tags(path))
        elif path.suffix.lower() in DICOM_ENDINGS and not os.path.isdir(path):
            files.append(DicomFile(path, problem="it cannot be read, or its mark 'DICM' is missing"))
        elif not os.path.isdir(path):
            left_out.append(path.name)
    return replace(group_files(folder, files), left_out=tuple(left_out))


def group_files(folder: Path, files: Sequence[DicomFile]) -> DicomFolder:
    """Sort DICOM files into image series and other objects; files that name no series are together under ""."""
    images = {file.series for file in files if file.kind is None}
    series: dict[str, list[DicomFile]] = {}
    others = []
    for file in files:
        if file.kind is None:
            series.setdefault(file.series, []).append(file)
        elif file.series and file.series in images:
            # Other objects have a series of their own, so this is a slice that lost its image.
            series.setdefault(file.series, []).append(
                replace(file, kind=None, problem=f"it belongs to the slices but is a {file.kind}")
            )
        else:
            others.append(file)
    return DicomFolder(folder, {uid: tuple(members) for uid, members in sorted(series.items())}, tuple(others))


def find_series(path: Path, series: str | None = None) -> DicomSeries:
    """Return the image series of a DICOM folder, or of a single DICOM file, ordered and checked.

    series: UID to take where there are several. Raises VolumeError saying which series there are, or what is wrong
    with it.
    """
    if is_folder := os.path.isdir(path):
        folder = scan_dicom_folder(path)
    else:
        folder = group_files(path, [read_dicom_tags(path)])
    files = _choose(folder, series)
    notes = []
    if folder.others and is_folder:
        kinds = Counter(file.kind for file in folder.others)
        text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=str))
        notes.append(f"Other DICOM objects in the folder were ignored: {text}.")
    if folder.left_out:
        names = ", ".join(folder.left_out[:3]) + (
            f" and {len(folder.left_out) - 3} more" if len(folder.left_out) > 3 else ""
        )
        notes.append(f"Left out, as they are not DICOM: {names}.")
    if not is_folder:
        if folder.others:
            raise VolumeError(
                f"{path}: a DICOM {folder.others[0].kind}, not a scan. Give the folder of the slices it belongs to"
            )
        if files[0].frames == 1:
            notes.append("One file of a DICOM series; give its folder to read all slices.")
    return DicomSeries(path, place_files(path, files), (*notes, *_told(files)))


def place_files(path: Path, files: Sequence[DicomFile]) -> Placed:
    """Check the files of one series, take multi-frame ones apart, and put the slices in order.

    Raises VolumeError saying what is wrong with them.
    """
    slices = [frame for file in files for frame in frames_of(file)]
    check_slices(slices)
    return place_slices(path, slices)


def series_header(found: DicomSeries) -> Header:
    """Return the `Header` of a series.

    Its dtype is a guess (int16, or float32 where scaled by fractions) until the voxels are read.
    """
    whole = all(one.slope % 1 == 0 and one.intercept % 1 == 0 for one in found.slices)
    dtype = np.dtype(np.int16 if whole else np.float32)
    return Header(
        found.path, found.geometry, dtype, modality=found.modality, moved=found.placed.moved, notes=found.notes
    )


def _told(files: Sequence[DicomFile]) -> list[str]:
    notes = []
    if lossy := sum(file.lossy for file in files):
        notes.append(f"Compressed with loss at some time ({lossy} of {len(files)} files): its values are approximate.")
    if len(spaces := {file.frame_of_reference for file in files}) > 1:
        notes.append(f"Its slices name {len(spaces)} frames of reference; their positions were taken as one space.")
    return notes


def _choose(folder: DicomFolder, series: str | None) -> tuple[DicomFile, ...]:
    if not folder.series:
        if folder.others:
            raise VolumeError(f"{folder.path}: holds DICOM objects but no image ({folder.others[0].kind})")
        raise VolumeError(
            f"{folder.path}: holds no DICOM images directly inside; give the folder that holds the slices, or a "
            "scan file"
        )
    # A damaged file that does not tell its series may be a missing slice of any of them.
    for file in folder.series.get("", ()):
        if file.problem:
            raise VolumeError(
                f"{file.path}: damaged DICOM: {file.problem}. Copy it again from where it came, or remove it"
            )
    if series is not None:
        if series not in folder.series:
            raise VolumeError(f"{folder.path}: no series {series} here. There are:\n{_list_series(folder.series)}")
        return folder.series[series]
    if len(folder.series) > 1:
        count = len(folder.series)
        raise VolumeError(
            f"{folder.path}: holds {count} series; choose one by its UID (series=...):\n{_list_series(folder.series)}"
        )
    return next(iter(folder.series.values()))


def _list_series(series: dict[str, tuple[DicomFile, ...]]) -> str:
    return "\n".join(
        f"  {uid or '(no UID)'}: {files[0].modality or 'no modality'}, "
        f"'{files[0].description or 'no description'}', {len(files)} files of {files[0].columns} x {files[0].rows}"
        f"{_list_spacing(files)}"
        for uid, files in series.items()
    )


def _list_spacing(files: Sequence[DicomFile]) -> str:
    """Return the slices' spacing and thickness, as far as their own tags tell."""
    first = files[0]
    if len(first.spacing) != 2:
        return ""
    thickness = f", {first.thickness:g} mm thick" if first.thickness else ""
    return f", {first.spacing[1]:.3g} x {first.spacing[0]:.3g} mm{thickness}"
