"""MetaImage headers (.mha with the voxels behind the header, .mhd with the voxels in a file beside it).

Source: the MetaIO documentation (Insight Software Consortium); positions are LPS millimetres, as SimpleITK reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import Encoding, Stored, checked_sizes, open_file, read_bytes

# MET_LONG has four bytes in files, whatever the machine.
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_TRUE = ("true", "1", "t")
# Headers carry tags of the scanner, but not megabytes of them.
_LONGEST_HEADER = 1 << 20


def parse_metaimage(path: Path) -> Stored:
    """Read the header of a MetaImage file.

    Raises VolumeError if it is damaged, its data file is missing, or it uses a variant that is not supported (said
    which).
    """
    keys, header_bytes = _keys(path)
    axes = _integers(path, keys, "NDims", 1)[0]
    if not 2 <= axes <= 4:
        raise VolumeError(f"{path}: has {axes} axes; a scan has two to four")
    sizes = _integers(path, keys, "DimSize", axes)
    checked_sizes(path, sizes)
    if keys.get("BinaryData", "True").lower() not in _TRUE:
        raise VolumeError(f"{path}: its voxels are written as text (BinaryData = False). Save it in binary form")
    _refuse_intensity_function(path, keys)
    kind = keys.get("ElementType", "")
    if kind.removesuffix("_ARRAY") not in _TYPES:
        raise VolumeError(
            f"{path}: unknown ElementType '{kind[:40]}'. The header is damaged, or the voxels are not numbers"
        )
    big = _first(keys, "BinaryDataByteOrderMSB", "ElementByteOrderMSB", default="False").lower() in _TRUE
    data_path, offset, encoding = _data(path, keys, header_bytes)
    unit = {"um": 0.001, "cm": 10.0}.get(keys.get("DistanceUnits", "mm").lower(), 1.0)
    spacing = _reals(path, keys, ("ElementSpacing", "ElementSize"), axes, np.ones(axes))
    origin = _reals(path, keys, ("Offset", "Position", "Origin"), axes, np.zeros(axes))
    matrix = _reals(path, keys, ("TransformMatrix", "Rotation", "Orientation"), axes * axes, np.eye(axes).ravel())
    columns, offset_mm = _three(path, matrix.reshape(axes, axes).T * np.abs(spacing), origin)
    return Stored(
        path=path,
        data_path=data_path,
        offset=offset,
        encoding=encoding,
        wrapped=False,
        dtype=np.dtype((">" if big else "<") + _TYPES[kind.removesuffix("_ARRAY")]),
        size=(sizes[0], sizes[1], sizes[2] if axes > 2 else 1),
        columns=columns * unit,
        origin=offset_mm * unit,
        frames=sizes[3] if axes > 3 else 1,
        components=_integers(path, keys, "ElementNumberOfChannels", 1)[0] if "ElementNumberOfChannels" in keys else 1,
        notes=() if unit == 1.0 else (f"The header gives lengths in units of {unit:g} mm; converted to mm.",),
    )


def _keys(path: Path) -> tuple[dict[str, str], int]:
    """Return the header's `key = value` lines and its length in bytes; it ends with the line ElementDataFile."""
    keys: dict[str, str] = {}
    with open_file(path) as file:
        head = read_bytes(file, _LONGEST_HEADER, path)
    position = 0
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end
        line = head[position:end]
        position = end + 1
        if not line.strip():
            continue
        key, separator, value = line.decode("latin-1").partition("=")
        if not separator or not re.fullmatch(r"[\w .|-]{1,80}", key.strip()):
            break
        keys[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return keys, position
    raise VolumeError(
        f"{path}: not a whole MetaImage header (no line 'ElementDataFile = ...'). The file is damaged or of another "
        "kind"
    )


def _data(path: Path, keys: Mapping[str, str], header_bytes: int) -> tuple[Path, int, Encoding]:
    name = keys["ElementDataFile"]
    encoding: Encoding = "zlib" if keys.get("CompressedData", "False").lower() in _TRUE else "raw"
    skip = _integers(path, keys, "HeaderSize", 1)[0] if "HeaderSize" in keys else 0
    if skip < -1 or (skip == -1 and encoding != "raw"):
        raise VolumeError(f"{path}: HeaderSize = {skip} makes no sense here; the header is damaged")
    if name.upper() == "LOCAL":
        return path, -1 if skip == -1 else header_bytes + skip, encoding
    if not name or name.upper().startswith("LIST") or "%" in name:
        raise VolumeError(
            f"{path}: its voxels lie in several files (ElementDataFile = {name[:60]}). Save it as one .mha or "
            ".nii.gz file"
        )
    return companion(path, name), skip, encoding


def companion(path: Path, name: str) -> Path:
    """Return the file `name` that the header `path` points to; raises VolumeError if it is not there."""
    data = path.parent / name.replace("\\", "/")
    try:
        found = data.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise VolumeError(
            f"{path}: its voxels should lie in '{name[:100]}' beside it, which is missing. Copy both files together"
        )
    return data


def _refuse_intensity_function(path: Path, keys: Mapping[str, str]) -> None:
    for key, plain in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if key in keys and _reals(path, keys, (key,), 1, np.ones(1))[0] != plain:
            raise VolumeError(
                f"{path}: {key} = {keys[key][:20]} is not applied by common readers; save the scan with its real "
                "intensities"
            )


def _three(
    path: Path, columns: NDArray[np.float64], origin: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bring two to four axes to three: a missing one is 1 mm thick, a fourth must not mix with the others."""
    axes = len(origin)
    if axes == 4 and (np.any(columns[:3, 3] != 0) or np.any(columns[3, :3] != 0)):
        raise VolumeError(f"{path}: its TransformMatrix mixes space and time; the header is damaged")
    full, offset = np.eye(3), np.zeros(3)
    kept = min(axes, 3)
    full[:kept, :kept] = columns[:kept, :kept]
    offset[:kept] = origin[:kept]
    return full, offset


def _first(keys: Mapping[str, str], *names: str, default: str) -> str:
    return next((keys[name] for name in names if name in keys), default)


def _integers(path: Path, keys: Mapping[str, str], key: str, count: int) -> tuple[int, ...]:
    words = keys.get(key, "").split()
    if len(words) != count or not all(re.fullmatch(r"-?\d{1,15}", word) for word in words):
        raise VolumeError(
            f"{path}: '{key}' should be {count} whole number(s), not '{keys.get(key, '')[:40]}'. The header is damaged"
        )
    return tuple(int(word) for word in words)


def _reals(
    path: Path, keys: Mapping[str, str], names: tuple[str, ...], count: int, default: NDArray[np.float64]
) -> NDArray[np.float64]:
    for name in names:
        if name in keys:
            try:
                values = np.array([float(word) for word in keys[name].split()])
            except ValueError:
                values = np.zeros(0)
            if len(values) != count or not np.isfinite(values).all():
                raise VolumeError(
                    f"{path}: '{name}' should be {count} finite numbers, not '{keys[name][:60]}'. The header is damaged"
                )
            return values
    return default
