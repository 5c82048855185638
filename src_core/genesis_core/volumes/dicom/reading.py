"""Reading a DICOM series as a `Volume`: ordered, in its units, with what a reader should know in its notes.

A tag may lie about the modality; the voxels decide whether it is believed.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.decoding import read_voxels
from genesis_core.volumes.dicom.series import DicomSeries, find_series
from genesis_core.volumes.grid import is_sheared
from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.resampling import straighten
from genesis_core.volumes.volume import Volume

# The lowest value of the Hounsfield scale as scanners store it; what is below marks places outside the field of view.
_LOWEST_HU = -1024


def read_dicom(path: str | os.PathLike[str], *, series: str | None = None, resample_shear: bool = False) -> Volume:
    """Read one DICOM series: a folder of slices, one slice, or a file of many frames.

    series: which series UID of a folder with several. resample_shear: resample slices that are shifted against each
    other (a tilted gantry) linearly onto axes at right angles, instead of refusing.
    Returns the array (z, y, x) in the scan's units (HU for CT), in whole numbers or float32 (float64 for more than
    16 bits); notes say what was found or changed. Raises VolumeError if slices are missing, doubled, uneven, damaged
    or shifted, or if it is no intensity volume.
    """
    found = find_series(Path(path), series)
    sheared = is_sheared(found.geometry, found.placed.moved)
    if sheared and not resample_shear:
        raise VolumeError(
            f"{found.path}: its slices are shifted against each other (a tilted gantry, {_tilt(found):.1f} degrees): "
            f"a straight grid would misplace voxels by up to {found.placed.moved:.1f} mm. Export the "
            "series straightened; in Python, read_volume(..., resample_shear=True) resamples it"
        )
    array, geometry = read_voxels(found), found.geometry
    notes = [*found.notes, *_padding_notes(found, array)]
    if sheared:
        before = array.shape
        array, geometry = straighten(array, found.placed.columns, found.placed.origin)
        notes.append(
            f"Its slices were shifted against each other (a tilted gantry, up to {found.placed.moved:.1f} mm off): "
            f"resampled linearly from shape {before} to {array.shape}."
        )
    if min(array.shape) == 1:
        thin = "One slice only" if array.shape[0] == 1 else "One voxel thick along an axis"
        notes.append(f"{thin}: too thin for 3D work.")
    return _judged(Volume(array, geometry, found.modality, str(found.path), tuple(notes)))


def _judged(volume: Volume) -> Volume:
    """Drop a modality that the voxels contradict: it must not choose the intensity window."""
    if volume.modality is None:
        return volume
    guess = guess_modality(volume)
    if guess.modality == volume.modality:
        return volume
    said = volume.modality.upper()
    return replace(volume, modality=None).with_array(
        volume.array, f"Its tag says {said}, but that is doubted: {guess.reason.partition(': ')[2]}."
    )


def _padding_notes(found: DicomSeries, array: NDArray[Any]) -> list[str]:
    """Say how many voxels mark places outside the field of view: by their tag, or below the Hounsfield scale."""
    notes, padded = [], 0
    scales = {(one.padding, one.slope, one.intercept) for one in found.slices}
    padding, slope, intercept = next(iter(scales))
    if len(scales) == 1 and padding is not None:
        low, high = sorted(end * slope + intercept for end in padding)
        # Half a stored step on each side, as fractions are rounded.
        margin = abs(slope) / 2
        padded = int(np.count_nonzero((array > low - margin) & (array < high + margin)))
        if padded:
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            scale = f" (below {_LOWEST_HU} HU)" if found.modality == "ct" and high < _LOWEST_HU else ""
            notes.append(
                f"{padded:,} voxels hold the padding value of its tag, {span}{scale}: outside the field of view."
            )
    if found.modality == "ct" and (below := int(np.count_nonzero(array < _LOWEST_HU))) > padded:
        notes.append(
            f"{below:,} voxels lie below {_LOWEST_HU} HU (lowest {array.min():g}): padding outside the field of view."
        )
    return notes


def _tilt(found: DicomSeries) -> float:
    """Return the angle in degrees between the way from slice to slice and the slices' normal."""
    columns = found.placed.columns
    normal = np.cross(columns[:, 0], columns[:, 1])
    step = columns[:, 2]
    cosine = float(step @ normal / np.linalg.norm(normal) / np.linalg.norm(step))
    return math.degrees(math.acos(min(1.0, abs(cosine))))
