"""A folder of DICOM slices as one volume: which series it holds, whether its slices are all there, and reading them.

SimpleITK would stack whatever it is given; here a missing slice, slices shifted against each other (a tilted gantry),
two images at one place and a damaged file are refused by name. Segmentations, structure sets and other objects in the
folder are left alone, and said.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.tags import DicomFile, is_dicom, read_dicom_tags
from genesis_core.volumes.formats.headers import DICOM_ENDINGS, Header, may_be_dicom
from genesis_core.volumes.grid import ROUNDING_SHARE, straightened
from genesis_core.volumes.volume import Geometry, Modality

_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}
# A slice this share of the distance between slices off its place is not where the header says; less is rounding.
_UNEVEN_SHARE = 0.05


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
    files: tuple[DicomFile, ...]
    geometry: Geometry
    notes: tuple[str, ...]

    @property
    def modality(self) -> Modality | None:
        """What the tag says, which may be wrong."""
        return _MODALITIES.get(self.files[0].modality)


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
        notes.append("One file of a DICOM series; give its folder to read all slices.")
    _check_each(files)
    geometry, ordered = _place(path, files)
    return DicomSeries(path, ordered, geometry, tuple(notes))


def series_header(found: DicomSeries) -> Header:
    """Return the `Header` of a series.

    Its dtype is a guess (int16, or float32 where scaled by fractions) until the voxels are read.
    """
    whole = all(file.slope % 1 == 0 and file.intercept % 1 == 0 for file in found.files)
    dtype = np.dtype(np.int16 if whole else np.float32)
    return Header(found.path, found.geometry, dtype, modality=found.modality, notes=found.notes)


def read_voxels(found: DicomSeries) -> NDArray[Any]:
    """Decode all slices with GDCM; returns an array (z, y, x) in the scan's units.

    Raises VolumeError if a slice does not decode.
    """
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(file.path.absolute()) for file in found.files])
    reader.MetaDataDictionaryArrayUpdateOff()
    if len({(file.slope, file.intercept) for file in found.files}) > 1:
        # The type is taken from the first slice otherwise, which would cut the others' fractions off.
        reader.SetOutputPixelType(SimpleITK.sitkFloat32)
    try:
        array: NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as problem:
        raise VolumeError(
            f"{found.path}: its slices cannot be decoded ({_last_line(problem)}). Copy them again from their source"
        ) from None
    if array.shape != found.geometry.shape:
        raise VolumeError(
            f"{found.path}: its slices decode to shape {array.shape}, not {found.geometry.shape} as their tags say"
        )
    return array


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
        for uid, files in series.items()
    )


def _check_each(files: Sequence[DicomFile]) -> None:
    first = files[0]
    for file in files:
        if file.problem:
            raise VolumeError(f"{file.path}: damaged DICOM: {file.problem}. Copy it again from where it came")
        if file.frames > 1:
            raise VolumeError(
                f"{file.path}: {file.frames} frames in one DICOM file are not supported. Convert it to NIfTI, for "
                "instance with dcm2niix"
            )
        if file.samples > 1:
            raise VolumeError(
                f"{file.path}: {file.samples} values per voxel (colour), not one intensity. It cannot be used as a scan"
            )
        if len(file.position) != 3 or len(file.orientation) != 6 or len(file.spacing) != 2 or min(file.spacing) <= 0:
            raise VolumeError(
                f"{file.path}: its position, orientation or pixel spacing is missing, so it is no slice of a volume"
            )
        if (file.rows, file.columns) != (first.rows, first.columns):
            raise VolumeError(
                f"{file.path}: {file.columns} x {file.rows} pixels, but {first.path.name} has {first.columns} x "
                f"{first.rows}: slices of one series must agree. Move the ones that do not belong (scouts) elsewhere"
            )
        if not np.allclose(file.orientation, first.orientation, atol=1e-4) or not np.allclose(
            file.spacing, first.spacing, rtol=1e-4
        ):
            raise VolumeError(
                f"{file.path}: its orientation or pixel spacing differs from {first.path.name}: slices of one "
                "series must agree. Move the ones that do not belong (scouts) elsewhere"
            )


def _place(path: Path, files: Sequence[DicomFile]) -> tuple[Geometry, tuple[DicomFile, ...]]:
    """Order the slices along their normal and return the grid, refusing gaps, doubles and shifts."""
    first = files[0]
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(row, column)
    if not np.isfinite(normal).all() or np.linalg.norm(normal) < 0.5:
        raise VolumeError(
            f"{path}: the orientation of its slices is not two directions at right angles; the tags are damaged"
        )
    normal /= np.linalg.norm(normal)
    positions = np.array([file.position for file in files])
    if not np.isfinite(positions).all():
        raise VolumeError(f"{path}: the positions of its slices are not finite numbers; the tags are damaged")
    order = np.argsort(positions @ normal, kind="stable")
    ordered = tuple(files[int(index)] for index in order)
    positions = positions[order]
    if len(ordered) == 1:
        thickness = first.thickness or 0.0
        step = normal * (thickness if np.isfinite(thickness) and thickness > 0 else 1.0)
    else:
        step = _step(path, ordered, positions, normal)
    columns = np.column_stack([row * first.spacing[1], column * first.spacing[0], step])
    size = (first.columns, first.rows, len(ordered))
    geometry, moved = straightened(path, size, columns, positions[0])
    if moved > ROUNDING_SHARE * min(geometry.spacing):
        raise VolumeError(
            f"{path}: its slices are shifted against each other by up to {moved:.1f} mm (a tilted gantry): its axes "
            "are not at right angles. Export it as NIfTI and read that with resampling"
        )
    return geometry, ordered


def _step(
    path: Path, files: Sequence[DicomFile], positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    heights = positions @ normal
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if gaps.min() < 1e-3 * max(usual, 1e-3) or usual < 1e-3:
        at = int(np.argmin(gaps))
        raise VolumeError(
            f"{path}: {files[at].path.name} and {files[at + 1].path.name} lie at the same place: several time "
            "points, echoes or copies in one series. Keep one of each slice"
        )
    worst = int(np.argmax(np.abs(gaps - usual)))
    if abs(gaps[worst] - usual) > _UNEVEN_SHARE * usual:
        missing = round(gaps[worst] / usual) - 1
        guess = f": {missing} slice(s) missing" if missing > 0 else ""
        raise VolumeError(
            f"{path}: {gaps[worst]:.3f} mm between {files[worst].path.name} and {files[worst + 1].path.name}, where "
            f"slices lie {usual:.3f} mm apart{guess}. Copy the series again, complete"
        )
    mean = (positions[-1] - positions[0]) / (len(files) - 1)
    off = np.linalg.norm(positions - (positions[0] + np.arange(len(files))[:, None] * mean), axis=1)
    if off.max() > max(_UNEVEN_SHARE * usual, 0.01):
        at = int(np.argmax(off))
        raise VolumeError(
            f"{path}: {files[at].path.name} lies {off[at]:.3f} mm off the even grid of the others. Copy the series "
            "again, complete"
        )
    return np.asarray(mean)


def _last_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1][-200:] if lines else type(problem).__name__
