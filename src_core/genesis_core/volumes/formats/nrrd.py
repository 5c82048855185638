"""NRRD headers (.nrrd with the voxels behind the header, .nhdr with the voxels in a file beside it).

Source: "Definition of NRRD File Format", teem.sourceforge.net. Positions become LPS; spaces without anatomical names
are taken as LPS, as SimpleITK does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.metaimage import companion
from genesis_core.volumes.formats.stored import Encoding, Stored, checked_sizes, open_file, read_bytes

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"), "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"), "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",), "f8": ("double",),
}  # fmt: skip
_ENCODINGS: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
# Signs that turn a space's axes into L, P, S.
_SPACES = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "scanner-xyz": (1, 1, 1), "3d-right-handed": (1, 1, 1), "3d-left-handed": (1, 1, 1),
}  # fmt: skip
# Kinds of an axis whose entries are whole images, not parts of one voxel's value.
_FRAME_KINDS = ("time", "list")
_SPATIAL_KINDS = ("domain", "space", "", "???", "none")
_LONGEST_HEADER = 1 << 20
# All fields there are: an unknown one is a damaged one, and leaving it out may lose the orientation.
_FIELDS = {
    "content", "number", "type", "block size", "blocksize", "dimension", "space", "space dimension", "sizes",
    "spacings", "thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "space directions", "centers",
    "centerings", "kinds", "labels", "units", "min", "max", "old min", "oldmin", "old max", "oldmax", "endian",
    "encoding", "line skip", "lineskip", "byte skip", "byteskip", "sample units", "sampleunits", "space units",
    "space origin", "measurement frame", "data file", "datafile",
}  # fmt: skip


def parse_nrrd(path: Path) -> Stored:
    """Read the header of a NRRD file.

    Raises VolumeError if it is damaged, its data file is missing, or it uses a variant that is not supported (said
    which).
    """
    keys, header_bytes = _keys(path)
    sizes = _sizes(path, keys)
    kind = " ".join(keys.get("type", "").lower().split())
    dtype = next((code for code, names in _TYPES.items() if kind in names), None)
    if dtype is None:
        raise VolumeError(
            f"{path}: its voxel type '{kind[:40]}' is not a number type. The header is damaged, or this is no scan"
        )
    endian = keys.get("endian", "little").lower()
    if endian not in ("little", "big"):
        raise VolumeError(f"{path}: 'endian' must be little or big, not '{endian[:20]}'. The header is damaged")
    directions = _directions(path, keys, len(sizes))
    extra = _extra_axis(path, keys, sizes, directions)
    spatial = [axis for axis in range(len(sizes)) if axis != extra]
    columns, origin, notes = _orientation(
        path, keys, [directions[axis] for axis in spatial] if directions else None, spatial
    )
    count = 1 if extra is None else sizes[extra]
    is_frames = extra is not None and _kind(keys, extra) in (*_FRAME_KINDS, *_SPATIAL_KINDS)
    data_path, offset, encoding = _data(path, keys, header_bytes)
    size = [sizes[axis] for axis in spatial] + [1] * (3 - len(spatial))
    return Stored(
        path=path,
        data_path=data_path,
        offset=offset,
        encoding=encoding,
        wrapped=False,
        dtype=np.dtype((">" if endian == "big" else "<") + dtype),
        size=(size[0], size[1], size[2]),
        columns=columns,
        origin=origin,
        frames=count if is_frames else 1,
        components=1 if is_frames else count,
        frames_fastest=extra == 0,
        notes=notes,
    )


def read_remarks(path: Path) -> dict[str, str]:
    """Return the free remarks of a NRRD header, its lines "key:=value"; \\n and \\\\ in a value are undone."""
    with open_file(path) as file:
        head = read_bytes(file, _LONGEST_HEADER, path)
    end = re.search(rb"\r?\n\r?\n", head)
    remarks: dict[str, str] = {}
    for line in head[: end.start() if end else len(head)].split(b"\n"):
        key, separator, value = line.rstrip(b"\r").decode("utf-8", "replace").partition(":=")
        if separator and not key.startswith("#"):
            remarks[key.strip()] = re.sub(r"\\([n\\])", lambda m: "\n" if m[1] == "n" else "\\", value)
    return remarks


def _keys(path: Path) -> tuple[dict[str, str], int]:
    """Return the header's fields, and the byte behind the empty line that ends it (the file's length in a .nhdr)."""
    with open_file(path) as file:
        head = read_bytes(file, _LONGEST_HEADER, path)
    if not re.match(rb"NRRD000[1-5]\r?\n", head):
        raise VolumeError(f"{path}: not a NRRD file. It is damaged, or its ending is wrong")
    end = re.search(rb"\r?\n\r?\n", head)
    text = head[: end.start() if end else len(head)]
    keys: dict[str, str] = {}
    # Not splitlines: it also breaks at bytes that are part of letters in UTF-8, as of "Å".
    for line in text.decode("latin-1").replace("\r\n", "\n").split("\n")[1:]:
        # "key:=value" are free remarks, "#" are comments.
        if line.startswith("#") or ":=" in line or not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or key.strip().lower() not in _FIELDS:
            raise VolumeError(f"{path}: '{line[:40]}' is not a header line; the header is damaged")
        keys[key.strip().lower()] = value.strip()
    if end is None and not _detached(keys):
        raise VolumeError(f"{path}: truncated: the header has no end. Copy it again from where it came")
    return keys, end.end() if end else len(head)


def _detached(keys: Mapping[str, str]) -> str:
    return keys.get("data file", keys.get("datafile", ""))


def _sizes(path: Path, keys: Mapping[str, str]) -> tuple[int, ...]:
    words = keys.get("sizes", "").split()
    if not re.fullmatch(r"\d{1,2}", keys.get("dimension", "")) or not all(
        re.fullmatch(r"\d{1,15}", word) for word in words
    ):
        raise VolumeError(f"{path}: 'dimension' and 'sizes' should be whole numbers. The header is damaged")
    sizes = tuple(int(word) for word in words)
    if len(sizes) != int(keys["dimension"]) or not 2 <= len(sizes) <= 4:
        raise VolumeError(
            f"{path}: has dimension {keys['dimension']} and {len(sizes)} sizes; a scan has two to four axes"
        )
    checked_sizes(path, sizes)
    return sizes


def _directions(path: Path, keys: Mapping[str, str], axes: int) -> list[NDArray[np.float64] | None] | None:
    """Return one step per axis in the header's own space (None for an axis without one), or None without directions."""
    if "space directions" not in keys:
        return None
    parts = re.findall(r"\([^()]*\)|none", keys["space directions"])
    if len(parts) != axes:
        raise VolumeError(f"{path}: 'space directions' should be {axes} vectors. The header is damaged")
    steps = [None if part == "none" else _vector(path, part, "space directions") for part in parts]
    if all(step is not None and len(step) == 4 for step in steps):
        # Space and time in one: the last axis is time if the two do not mix.
        whole = np.array(steps)
        if np.any(whole[:3, 3] != 0) or np.any(whole[3, :3] != 0):
            raise VolumeError(f"{path}: 'space directions' mixes space and time; the header is damaged")
        return [*whole[:3, :3], None]
    if any(step is not None and len(step) == 4 for step in steps):
        raise VolumeError(f"{path}: 'space directions' mixes vectors of several lengths; the header is damaged")
    return steps


def _vector(path: Path, text: str, key: str) -> NDArray[np.float64]:
    try:
        values = np.array([float(word) for word in text.strip().strip("()").split(",")])
    except ValueError:
        values = np.zeros(0)
    if len(values) not in (2, 3, 4) or not np.isfinite(values).all():
        raise VolumeError(f"{path}: '{text[:60]}' in '{key}' is not a vector of finite numbers. The header is damaged")
    return np.append(values, 0.0) if len(values) == 2 else values


def _kind(keys: Mapping[str, str], axis: int) -> str:
    kinds = keys.get("kinds", "").lower().split()
    return kinds[axis] if axis < len(kinds) else ""


def _extra_axis(
    path: Path, keys: Mapping[str, str], sizes: Sequence[int], directions: Sequence[NDArray[np.float64] | None] | None
) -> int | None:
    """Return the axis that is not spatial (frames or components), or None; raises VolumeError if there are several."""
    if directions:
        extra = [axis for axis, step in enumerate(directions) if step is None]
    else:
        extra = [axis for axis in range(len(sizes)) if _kind(keys, axis) not in _SPATIAL_KINDS]
    if not extra and len(sizes) == 4:
        extra = [3]
    if len(extra) > 1 or len(sizes) - len(extra) > 3 or len(sizes) - len(extra) < 2:
        raise VolumeError(
            f"{path}: {len(sizes) - len(extra)} axes in space and {len(extra)} others cannot be a scan. Save single "
            "volumes"
        )
    if extra and extra[0] not in (0, len(sizes) - 1):
        raise VolumeError(
            f"{path}: its axis {extra[0]}, which is not in space, lies between the others. Save single volumes"
        )
    return extra[0] if extra else None


def _orientation(
    path: Path, keys: Mapping[str, str], steps: list[NDArray[np.float64] | None] | None, spatial: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    space = keys.get("space", "").lower().removesuffix("-time")
    if space and space not in _SPACES:
        raise VolumeError(
            f"{path}: unknown space '{space[:40]}'; known are {', '.join(sorted(_SPACES))}. Save it in one of them"
        )
    units = re.findall(r'"([^"]*)"', keys.get("space units", ""))
    if any(unit.lower() not in ("mm", "millimeter", "millimeters", "millimetre", "") for unit in units[:3]):
        raise VolumeError(f"{path}: its lengths are in {units[0][:20]}, not mm. Save it in mm")
    if steps is None:
        columns = np.diag([*_spacings(path, keys, spatial), *([1.0] * (3 - len(spatial)))])
        return (
            columns,
            np.zeros(3),
            ("The header gives no orientation: LPS is assumed; check left and right before using it.",),
        )
    vectors = [step for step in steps if step is not None]
    if len(vectors) == 2:
        normal = np.cross(vectors[0], vectors[1])
        vectors.append(normal / max(float(np.linalg.norm(normal)), 1e-30))
    signs = np.array(_SPACES.get(space, (1, 1, 1)), dtype=float)
    origin = _vector(path, keys["space origin"], "space origin") if "space origin" in keys else np.zeros(3)
    return signs[:, None] * np.column_stack(vectors), signs * origin[:3], ()


def _spacings(path: Path, keys: Mapping[str, str], spatial: Sequence[int]) -> list[float]:
    if "spacings" not in keys:
        return [1.0] * len(spatial)
    words = keys["spacings"].split()
    try:
        return [abs(float(words[axis])) for axis in spatial]
    except (ValueError, IndexError):
        raise VolumeError(f"{path}: 'spacings' should be one number per axis. The header is damaged") from None


def _data(path: Path, keys: Mapping[str, str], header_bytes: int) -> tuple[Path, int, Encoding]:
    encoding = _ENCODINGS.get(keys.get("encoding", "").lower())
    if encoding is None:
        raise VolumeError(
            f"{path}: its encoding '{keys.get('encoding', '')[:20]}' is not supported. Save it as raw or gzip"
        )
    name = _detached(keys)
    if name.upper().startswith("LIST") or "%" in name:
        raise VolumeError(
            f"{path}: its voxels lie in several files (data file: {name[:60]}). Save it as one .nrrd file"
        )
    skip = keys.get("byte skip", keys.get("byteskip", "0"))
    if not re.fullmatch(r"-1|\d{1,12}", skip) or keys.get("line skip", keys.get("lineskip", "0")) != "0":
        raise VolumeError(
            f"{path}: lines or bytes to skip before the voxels are not supported here. Save it as one .nrrd file"
        )
    if skip != "0" and encoding != "raw":
        raise VolumeError(
            f"{path}: bytes to skip inside compressed voxels are not supported. Save it as one .nrrd file"
        )
    offset = -1 if skip == "-1" else int(skip)
    if name:
        return companion(path, name), offset, encoding
    return path, offset if offset < 0 else offset + header_bytes, encoding
