"""Reading a scan: a file or a DICOM folder becomes a complete, finite `Volume`, or a `VolumeError` that says why not.

Nothing is repaired in silence: what was changed stands in the volume's notes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.reading import read_dicom
from genesis_core.volumes.dicom.series import find_series, series_header
from genesis_core.volumes.formats.headers import Header, file_ending, file_header, may_be_dicom, parse_file
from genesis_core.volumes.formats.payload import check_size, read_array, read_arrays
from genesis_core.volumes.formats.stored import Stored, refuse_foreign_name
from genesis_core.volumes.grid import is_sheared
from genesis_core.volumes.resampling import straighten
from genesis_core.volumes.volume import Volume


def read_header(path: str | os.PathLike[str], *, series: str | None = None) -> Header:
    """Return what a scan says about itself without decoding its voxels (a cut file may still be refused by its size).

    path: a .nii, .nii.gz, .hdr, .mha, .mhd, .nrrd, .nhdr, .mgz or .mgh file, a DICOM file, or a folder of DICOM slices.
    Raises VolumeError if it is not a scan, or damaged as far as the header shows. Frames and colours are told, not
    refused.
    """
    path = Path(path)
    if _is_dicom(path):
        return series_header(find_series(path, series))
    stored = parse_file(path)
    check_size(stored)
    return file_header(stored)


def read_volume(
    path: str | os.PathLike[str], *, frame: int | None = None, series: str | None = None, resample_shear: bool = False
) -> Volume:
    """Read a whole scan.

    path: a .nii, .nii.gz, .hdr, .mha, .mhd, .nrrd, .nhdr, .mgz or .mgh file, a DICOM file, or a folder of DICOM slices.
    frame: which one of a 4D file, from 0; required if it has several. series: which series UID of a DICOM folder with
    several.
    resample_shear: resample axes that are not at right angles linearly onto axes that are, instead of refusing.
    Returns the array (z, y, x) in the scan's units, in its stored type (float32 or float64 where slope and intercept
    apply, or where resampled), all finite: voxels that were not are the smallest finite value, and `notes` says how
    many. Raises VolumeError if it is missing, unreadable, truncated, damaged, not an intensity volume, or needs one of
    the settings.
    """
    path = Path(path)
    if _is_dicom(path):
        if frame is not None:
            raise VolumeError(f"{path}: frame={frame} was given, but a DICOM series has no frames; leave it out")
        return read_dicom(path, series=series, resample_shear=resample_shear)
    stored = parse_file(path)
    if series is not None:
        raise VolumeError(f"{path}: series={series} was given, but this is a file, not a DICOM folder; leave it out")
    return _read_stored(stored, frame, resample_shear)


def read_frames(path: str | os.PathLike[str], *, resample_shear: bool = False) -> tuple[Volume, ...]:
    """Read all frames of a 4D file as channels: one volume each, all on one grid; any other scan is one channel.

    path, resample_shear, and what is raised: as in `read_volume`. The file is decoded once. Each volume's notes name
    its frame.
    """
    path = Path(path)
    if _is_dicom(path):
        return (read_volume(path, resample_shear=resample_shear),)
    stored = parse_file(path)
    refuse_colours(stored)
    _check_angles(stored, resample_shear)
    return tuple(_as_volume(stored, array, index) for index, array in enumerate(read_arrays(stored)))


def _is_dicom(path: Path) -> bool:
    # Also of a folder, whose slices would be called damaged one by one.
    refuse_foreign_name(path)
    return os.path.isdir(path) or (file_ending(path) is None and may_be_dicom(path))


def _read_stored(stored: Stored, frame: int | None, resample_shear: bool) -> Volume:
    refuse_colours(stored)
    index = _frame_index(stored, frame)
    _check_angles(stored, resample_shear)
    return _as_volume(stored, read_array(stored, index), index)


def refuse_colours(stored: Stored) -> None:
    """Raise VolumeError if a file holds several values per voxel."""
    if stored.components > 1:
        raise VolumeError(
            f"{stored.path}: {stored.components} values per voxel (colours or vectors), not one intensity; it cannot "
            "be used as a scan. Export the scan itself, or one component of it"
        )


def _check_angles(stored: Stored, resample_shear: bool) -> None:
    header = file_header(stored)
    if is_sheared(header.geometry, header.moved) and not resample_shear:
        raise VolumeError(
            f"{stored.path}: its axes are not at right angles (sheared, as by a tilted gantry): a straight grid would "
            f"misplace voxels by up to {header.moved:.1f} mm. Straighten it with the tool that made it; in Python, "
            "read_volume(..., resample_shear=True) resamples it"
        )


def _as_volume(stored: Stored, voxels: NDArray[Any], index: int) -> Volume:
    """Return one frame as a volume: finite, on axes at right angles, with what was done to it in its notes."""
    header = file_header(stored)
    array, notes = _finite(voxels, str(stored.path))
    geometry = header.geometry
    told = [
        *stored.notes,
        *([f"Frame {index} of {stored.frames} (0 to {stored.frames - 1})."] if stored.frames > 1 else []),
        *notes,
    ]
    if is_sheared(geometry, header.moved):
        before = array.shape
        array, geometry = straighten(array, stored.columns, stored.origin)
        told.append(
            f"Its axes were not at right angles (up to {header.moved:.1f} mm off): resampled linearly from shape "
            f"{before} to {array.shape}."
        )
    return Volume(array, geometry, None, str(stored.path), (*told, *_thin(array)))


def _frame_index(stored: Stored, frame: int | None) -> int:
    if frame is None:
        if stored.frames > 1:
            raise VolumeError(
                f"{stored.path}: holds {stored.frames} frames (time points or repetitions), where one scan is needed. "
                f"Save one as a file of its own; in Python, choose one: frame=0 to {stored.frames - 1}, or take all of "
                "them as channels of one scan (read_frames)"
            )
        return 0
    if not 0 <= frame < stored.frames:
        raise VolumeError(
            f"{stored.path}: frame={frame} does not exist; it holds {stored.frames} (0 to {stored.frames - 1})"
        )
    return frame


def _finite(array: NDArray[Any], name: str) -> tuple[NDArray[Any], list[str]]:
    """Replace what is not a finite number by the smallest finite value, and say so."""
    if array.dtype.kind != "f":
        return array, []
    finite = np.isfinite(array)
    bad = array.size - int(np.count_nonzero(finite))
    if bad == 0:
        return array, []
    if bad == array.size:
        raise VolumeError(f"{name}: no voxel holds a finite number. Export the scan again")
    infinite = int(np.count_nonzero(np.isinf(array)))
    lowest = array.min(where=finite, initial=np.inf)
    kinds = [f"{count:,} {kind}" for count, kind in ((bad - infinite, "not-a-number"), (infinite, "infinite")) if count]
    return np.where(finite, array, lowest), [
        f"{' and '.join(kinds)} voxels were replaced by the smallest finite value, {lowest:g}."
    ]


def _thin(array: NDArray[Any]) -> list[str]:
    if array.shape[0] == 1:
        return ["One slice only: too thin for 3D work."]
    return ["One voxel thick along an axis: too thin for 3D work."] if min(array.shape) == 1 else []
