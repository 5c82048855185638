"""What a scan is, without its voxels: which format a file has, and one `Header` whatever the format.

A file's content must be what its ending says; a git-LFS pointer, a renamed file and an unknown ending
are named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.metaimage import parse_metaimage
from genesis_core.volumes.formats.mgz import parse_mgh
from genesis_core.volumes.formats.nifti import parse_nifti
from genesis_core.volumes.formats.nrrd import parse_nrrd
from genesis_core.volumes.formats.stored import Stored, read_start
from genesis_core.volumes.grid import straightened
from genesis_core.volumes.volume import Geometry, Modality

# Ending -> what its content must be, and who reads its header. The longest ending that fits counts.
_FORMATS: dict[str, tuple[str, Callable[[Path], Stored]]] = {
    ".nii.gz": ("gzip", parse_nifti),
    ".nii": ("NIfTI", parse_nifti),
    ".hdr": ("NIfTI", parse_nifti),
    ".mha": ("MetaImage", parse_metaimage),
    ".mhd": ("MetaImage", parse_metaimage),
    ".nrrd": ("NRRD", parse_nrrd),
    ".nhdr": ("NRRD", parse_nrrd),
    ".mgz": ("gzip", parse_mgh),
    ".mgh": ("MGH", parse_mgh),
}
FILE_ENDINGS = tuple(_FORMATS)
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
# What to call a file of each kind, for a file whose ending lies.
_USUAL_ENDING = {"gzip": ".nii.gz", "NIfTI": ".nii", "MetaImage": ".mha", "NRRD": ".nrrd", "DICOM": ".dcm"}


@dataclass(frozen=True)
class Header:
    """A scan without its voxels.

    geometry: of one frame, axes at right angles. moved: how far in mm that moves a voxel from where the file says it
    is (more than rounding: the axes are sheared). dtype: of the array that reading gives. frames: time points.
    components: values per voxel. modality: what the file says, unchecked. notes: what a reader should know.
    """

    path: Path
    geometry: Geometry
    dtype: np.dtype[np.generic]
    frames: int = 1
    components: int = 1
    modality: Modality | None = None
    moved: float = 0.0
    notes: tuple[str, ...] = ()


def file_ending(path: str | os.PathLike[str]) -> str | None:
    """Return the scan ending of a file's name (".nii.gz"; lower case), or None if it has none of `FILE_ENDINGS`."""
    name = Path(path).name.lower()
    return next((ending for ending in FILE_ENDINGS if name.endswith(ending)), None)


def may_be_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a name may be a DICOM file's: a DICOM ending, no ending, or the tail of a UID ("CT.1.2.840.113")."""
    suffix = Path(path).suffix.lower()
    return suffix in ("", *DICOM_ENDINGS) or bool(re.fullmatch(r"\.\d+", suffix))


def parse_file(path: Path) -> Stored:
    """Return what a NIfTI, MetaImage, NRRD or MGH file says about itself.

    Raises VolumeError if it is none of them or damaged.
    """
    ending = file_ending(path)
    if ending is None:
        raise VolumeError(
            f"{path}: not a known scan file. Known endings: {', '.join(FILE_ENDINGS)}, and DICOM files or folders"
        )
    head = read_start(path, 1024)
    if not head:
        raise VolumeError(f"{path}: the file is empty. Copy it again from where it came")
    wanted, parse = _FORMATS[ending]
    found = content_kind(head)
    if found is not None and found != wanted:
        usual = ".mgz" if (found, wanted) == ("gzip", "MGH") else _USUAL_ENDING.get(found)
        advice = f"Rename it to *{usual}" if usual is not None else "Fetch the real file with 'git lfs pull'"
        raise VolumeError(f"{path}: ends in {ending}, but its content is {found}. {advice}")
    if found is None and wanted in ("gzip", "NRRD"):
        raise VolumeError(
            f"{path}: ends in {ending}, but its content is not {wanted}: damaged, or not a scan. Copy it again from "
            "its source"
        )
    return parse(path)


def content_kind(head: bytes) -> str | None:
    """Name what a file's first 1,024 bytes show it to be, or None if they show nothing known."""
    if head.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, a text that stands for a file"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"NRRD000"):
        return "NRRD"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        return "NIfTI"
    return "MetaImage" if re.match(rb"\s*(ObjectType|NDims|Comment)\s*=", head) else None


def file_header(stored: Stored) -> Header:
    """Return the `Header` of a parsed file."""
    geometry, moved = straightened(stored.path, stored.size, stored.columns, stored.origin)
    return Header(
        path=stored.path,
        geometry=geometry,
        dtype=stored.array_dtype,
        frames=stored.frames,
        components=stored.components,
        moved=moved,
        notes=stored.notes,
    )
