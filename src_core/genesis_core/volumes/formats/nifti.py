"""NIfTI-1 and NIfTI-2 headers (.nii, .nii.gz, and .hdr with its .img).

Source: the published headers nifti1.h and nifti2.h (NIfTI Data Format Working Group). The sform is preferred, then the
qform, as the format recommends; both give RAS, which becomes LPS here.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import Stored, checked_sizes, open_file, read_bytes
from genesis_core.volumes.grid import corner_distance

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLOURS = {128: 3, 2304: 4}
_REFUSED = {
    1: "single bits",
    32: "complex numbers",
    1536: "128-bit numbers",
    1792: "complex numbers",
    2048: "complex numbers",
}
# Millimetres in one unit of xyzt_units' lowest three bits.
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class _Fields:
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    slope: float
    intercept: float
    units: int
    qform: int
    sform: int
    quaternion: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]
    pair: bool


def parse_nifti(path: Path) -> Stored:
    """Read the header of a NIfTI file.

    Raises VolumeError if it is not NIfTI, is damaged, or holds voxels that are not intensities.
    """
    wrapped = path.name.lower().endswith(".gz")
    head = read_possibly_wrapped(path, 540, wrapped)
    fields, order = _unpack(path, head)
    axes = fields.dim[1 : fields.dim[0] + 1]
    if len(axes) < 2:
        raise VolumeError(f"{path}: has {len(axes)} axis; a scan has two at least")
    checked_sizes(path, axes)
    size, frames, components = _axes(axes)
    if fields.datatype in _REFUSED:
        raise VolumeError(
            f"{path}: its voxels are {_REFUSED[fields.datatype]}, not intensities. Convert it to real numbers first"
        )
    if fields.datatype not in _TYPES and fields.datatype not in _COLOURS:
        raise VolumeError(
            f"{path}: unknown voxel type {fields.datatype} in the header; it is damaged. Export the scan again"
        )
    # Absurd numbers of a damaged header may overflow here; they are refused below.
    with np.errstate(all="ignore"):
        columns, origin, notes = _orientation(path, fields, size)
    # A slope of zero or not-a-number means "not scaled".
    scaled = np.isfinite(fields.slope) and fields.slope != 0
    intercept = fields.intercept if scaled else 0.0
    if not np.isfinite(intercept):
        intercept = 0.0
        notes = (*notes, "The header's intercept is no number; 0 is assumed, as SimpleITK does: check the intensities.")
    colours = _COLOURS.get(fields.datatype, 1)
    return Stored(
        path=path,
        data_path=_companion(path) if fields.pair else path,
        offset=_offset(path, fields, 540 if order[1] == 2 else 348),
        encoding="gzip" if wrapped else "raw",
        wrapped=wrapped,
        dtype=np.dtype(order[0] + _TYPES.get(fields.datatype, "u1")),
        size=size,
        columns=columns,
        origin=origin,
        frames=frames,
        components=components * colours,
        slope=fields.slope if scaled else 1.0,
        intercept=intercept,
        notes=notes,
    )


def read_possibly_wrapped(path: Path, size: int, wrapped: bool) -> bytes:
    """Return up to the first `size` bytes of a file, or of the gzip stream it is if `wrapped`."""
    with open_file(path) as file:
        try:
            if not wrapped:
                return read_bytes(file, size, path)
            with gzip.GzipFile(fileobj=file) as stream:
                return stream.read(size)
        except (EOFError, zlib.error) as problem:
            raise VolumeError(
                f"{path}: truncated or damaged inside its header ({problem}). Copy it again from where it came"
            ) from None
        except OSError as problem:
            raise VolumeError(f"{path}: cannot be read as gzip ({problem}). Copy it again from where it came") from None


def _unpack(path: Path, head: bytes) -> tuple[_Fields, tuple[str, int]]:
    for order in "<>":
        if len(head) >= 348 and struct.unpack_from(order + "i", head)[0] == 348:
            magic = head[344:348]
            if magic not in (b"n+1\0", b"ni1\0"):
                raise VolumeError(
                    f"{path}: an Analyze 7.5 header, which does not say which side is left. Convert the scan to "
                    "NIfTI with the tool that made it"
                )
            return _first_version(order, head, magic == b"ni1\0"), (order, 1)
        if len(head) >= 540 and struct.unpack_from(order + "i", head)[0] == 540 and head[4:7] in (b"n+2", b"ni2"):
            return _second_version(order, head, head[4:7] == b"ni2"), (order, 2)
    raise VolumeError(
        f"{path}: not a NIfTI header (of {len(head)} bytes read). The file is damaged, or its ending is wrong"
    )


def _first_version(order: str, head: bytes, pair: bool) -> _Fields:
    def get(code: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + code, head, at)

    return _Fields(
        dim=get("8h", 40), datatype=get("h", 70)[0], pixdim=get("8f", 76), vox_offset=get("f", 108)[0],
        slope=get("f", 112)[0], intercept=get("f", 116)[0], units=head[123], qform=get("h", 252)[0], sform=get("h",
        254)[0], quaternion=get("3f", 256), qoffset=get("3f", 268), srow=get("12f", 280), pair=pair,
    )  # fmt: skip


def _second_version(order: str, head: bytes, pair: bool) -> _Fields:
    def get(code: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + code, head, at)

    return _Fields(
        dim=get("8q", 16), datatype=get("h", 12)[0], pixdim=get("8d", 104), vox_offset=float(get("q", 168)[0]),
        slope=get("d", 176)[0], intercept=get("d", 184)[0], units=get("i", 500)[0] & 0xFF, qform=get("i", 344)[0],
        sform=get("i", 348)[0], quaternion=get("3d", 352), qoffset=get("3d", 376), srow=get("12d", 400), pair=pair,
    )  # fmt: skip


def _axes(axes: tuple[int, ...]) -> tuple[tuple[int, int, int], int, int]:
    """Return size (x, y, z), frames (axis 4), components (axes 5 to 7)."""
    padded = axes + (1,) * (7 - len(axes))
    return (padded[0], padded[1], padded[2]), padded[3], padded[4] * padded[5] * padded[6]


def _offset(path: Path, fields: _Fields, header: int) -> int:
    if fields.pair and fields.vox_offset == 0:
        return 0
    lowest = 0 if fields.pair else header
    if not np.isfinite(fields.vox_offset) or not lowest <= fields.vox_offset < 2**31 or fields.vox_offset % 1:
        raise VolumeError(
            f"{path}: the header puts the voxels at byte {fields.vox_offset:g}, which cannot be; it is damaged"
        )
    return int(fields.vox_offset)


def _companion(path: Path) -> Path:
    for ending in (".img", ".IMG"):
        if path.with_suffix(ending).exists():
            return path.with_suffix(ending)
    raise VolumeError(
        f"{path}: its voxels should lie in {path.with_suffix('.img').name} beside it, which is missing. Copy both files"
    )


def _orientation(
    path: Path, fields: _Fields, size: tuple[int, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    unit = _UNITS.get(fields.units & 7, 1.0)
    notes: list[str] = [] if unit == 1.0 else [f"The header gives lengths in units of {unit:g} mm; converted to mm."]
    spacing = np.abs(fields.pixdim[1:4]) if len(fields.pixdim) > 3 else np.ones(3)
    if fields.dim[0] == 2 and not spacing[2] > 0:
        spacing[2] = 1.0
    quaternion = _rotation(fields) * spacing
    if fields.sform > 0:
        srow = np.reshape(np.asarray(fields.srow, dtype=float), (3, 4))
        columns, offset = srow[:, :3], srow[:, 3]
        if np.isfinite(columns).all() and np.isfinite(quaternion).all():
            lengths = np.linalg.norm(columns, axis=0)
            if np.abs(lengths - spacing).max() > 1e-3 * max(spacing.max(), 1e-9):
                notes.append(
                    f"The header contradicts itself: spacing {_mm(lengths)} by its sform, which is used, "
                    f"{_mm(spacing)} by its pixdim."
                )
            elif fields.qform > 0 and (apart := _apart(fields, size, columns, quaternion, srow[:, 3])) > 1.0:
                notes.append(f"Its sform, which is used, and its qform place the scan up to {apart:.0f} mm apart.")
    elif fields.qform > 0:
        columns, offset = quaternion, np.asarray(fields.qoffset, dtype=float)
    else:
        notes.append(
            "The header gives no orientation: LPS is assumed, as SimpleITK does; check left and right before using it."
        )
        columns, offset = _LPS * spacing, np.zeros(3)
    if not np.isfinite(columns).all() or not np.isfinite(offset).all():
        raise VolumeError(
            f"{path}: the orientation in the header holds numbers that are not finite. Export the scan again"
        )
    return unit * _LPS @ columns, unit * _LPS @ offset, tuple(notes)


def _apart(
    fields: _Fields, size: tuple[int, int, int], columns: NDArray[Any], quaternion: NDArray[Any], offset: NDArray[Any]
) -> float:
    shift = np.linalg.norm(offset - np.asarray(fields.qoffset, dtype=float))
    return corner_distance(size, columns, quaternion) + float(shift) if np.isfinite(shift) else 0.0


def _rotation(fields: _Fields) -> NDArray[np.float64]:
    """Return the rotation of the unit quaternion (a, b, c, d) with a >= 0; pixdim[0] < 0 mirrors the third axis."""
    b, c, d = (float(v) for v in fields.quaternion)
    if not np.isfinite([b, c, d]).all():
        return np.full((3, 3), np.nan)
    rest = 1.0 - (b * b + c * c + d * d)
    if not rest > 1e-7:
        # Rounding left no room for the first component: a half turn.
        norm = np.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / norm, c / norm, d / norm
    else:
        a = float(np.sqrt(rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    if fields.pixdim[0] < 0:
        rotation[:, 2] = -rotation[:, 2]
    return rotation


def _mm(values: NDArray[Any]) -> str:
    return " x ".join(f"{v:.4g}" for v in values) + " mm"
