"""MGH headers (.mgh, and .mgz in gzip), FreeSurfer's format.

The fields are laid out as nibabel lays them out; the geometry follows FreeSurfer's rule: the direction cosines of the
axes, and the RAS place of the volume's centre, which lies at half the number of voxels along each axis. RAS becomes
LPS.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.nifti import read_possibly_wrapped
from genesis_core.volumes.formats.stored import Stored, checked_sizes, open_file, read_bytes

_TYPES = {0: "u1", 1: "i4", 3: "f4", 4: "i2", 10: "u2"}
_VOXELS_AT = 284
# Scan parameters (five numbers) and tags follow the voxels; a tag is a command line, a colour table, a transform.
_PARAMETERS = 20
_LONGEST_FOOTER = 1 << 20
_MOST_TAG = 1000
_LPS = np.diag([-1.0, -1.0, 1.0])
# Without a valid orientation FreeSurfer takes coronal slices of a cube: right to left, head to foot, back to front.
_CORONAL = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def parse_mgh(path: Path) -> Stored:
    """Read the header of a .mgh or .mgz file.

    Raises VolumeError if it is not one, is damaged, or holds voxels that are not intensities.
    """
    wrapped = path.name.lower().endswith(".mgz")
    head = read_possibly_wrapped(path, _VOXELS_AT, wrapped)
    if len(head) < _VOXELS_AT or head[:4] != b"\0\0\0\1":
        raise VolumeError(
            f"{path}: not a FreeSurfer header (of {len(head)} bytes read). The file is damaged, or its ending is wrong"
        )
    fields = _fields(head)
    sizes = tuple(int(n) for n in fields["dims"])
    checked_sizes(path, sizes)
    kind = int(fields["type"])
    if kind not in _TYPES:
        raise VolumeError(
            f"{path}: its voxel type {kind} is not a number type of this format (bits, tensors or colours), or the "
            "header is damaged. Convert it with mri_convert"
        )
    # Absurd numbers of a damaged header may overflow here; they are refused where the grid is made.
    with np.errstate(all="ignore"):
        columns, origin, notes = _orientation(fields, np.array(sizes[:3], dtype=float))
    stored = Stored(
        path=path,
        data_path=path,
        offset=_VOXELS_AT,
        encoding="gzip" if wrapped else "raw",
        wrapped=wrapped,
        dtype=np.dtype(">" + _TYPES[kind]),
        size=(sizes[0], sizes[1], sizes[2]),
        columns=columns,
        origin=origin,
        frames=sizes[3],
        footer=_LONGEST_FOOTER,
        notes=notes,
    )
    # The checksum of a .mgz shows damage; without one, what follows the voxels must look like what may follow.
    if not wrapped:
        _check_footer(stored)
    return stored


def _fields(head: bytes) -> Any:
    from nibabel.freesurfer.mghformat import header_dtype

    return np.frombuffer(head, dtype=header_dtype, count=1)[0]


def _orientation(
    fields: Any, size: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if int(fields["goodRASFlag"]) > 0:
        columns = fields["Mdc"].astype(float).T * fields["delta"].astype(float)
        centre = fields["Pxyz_c"].astype(float)
    else:
        columns, centre = _CORONAL, np.zeros(3)
        notes = (
            "The header gives no orientation: coronal slices of 1 mm voxels are assumed, as FreeSurfer does; check "
            "left and right before using it.",
        )
    return _LPS @ columns, _LPS @ (centre - columns @ size / 2), notes


def _check_footer(stored: Stored) -> None:
    """Refuse a file whose bytes behind the voxels are neither nothing, nor parameters, nor parameters and tags."""
    with open_file(stored.path) as file:
        file.seek(_VOXELS_AT + stored.total_bytes)
        rest = read_bytes(file, _LONGEST_FOOTER, stored.path)
    tags = rest[_PARAMETERS:]
    fits = True
    if len(tags) >= 12:
        tag, length = struct.unpack(">iq", tags[:12])
        fits = 0 <= tag <= _MOST_TAG and (tag == 0 or 0 <= length <= len(tags))
    if not fits:
        raise VolumeError(
            f"{stored.path}: {len(rest):,} bytes more than the {stored.total_bytes:,} its header asks for, and they "
            "are no FreeSurfer tags: the header or the file is damaged. Copy or download it again from where it came"
        )
