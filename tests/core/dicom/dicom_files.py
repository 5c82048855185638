"""Small DICOM files made by hand, so that any tag can be missing or wrong."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CT, MR, RTSTRUCT, SEG = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "4", "481.3", "66.4"))
OTHER_TYPES = {0x00181210: "SH", 0x00200052: "UI", 0x00280120: "SS", 0x00282110: "CS", 0x00283000: "SQ"}
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def element(tag: int, vr: str, value: object, implicit: bool = False) -> bytes:
    if isinstance(value, str):
        data = value.encode("latin-1")
        data += (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
    else:
        data = value if isinstance(value, bytes) else struct.pack("<H", value)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", len(data)) + data
    if vr in ("OW", "OB", "SQ", "UN"):
        return head + vr.encode() + bytes(2) + struct.pack("<I", len(data)) + data
    return head + vr.encode() + struct.pack("<H", len(data)) + data


def dicom_bytes(
    array: np.ndarray | None, *, position: Sequence[float], uid: str, series: str, number: int, **change: object
) -> bytes:
    """One slice (y, x) of int16. change: tag (as "x00280030") -> text, or None to leave it out; sop_class, syntax."""
    sop_class, syntax = str(change.pop("sop_class", CT)), str(change.pop("syntax", EXPLICIT))
    tags: dict[int, tuple[str, object]] = {
        0x00080016: ("UI", sop_class),
        0x00080018: ("UI", uid),
        0x00080060: ("CS", "CT"),
        0x00080008: ("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x0008103E: ("LO", f"series {series}"),
        0x00081140: ("SQ", bytes.fromhex("feff00e0ffffffff") + bytes.fromhex("feff0de000000000")),
        0x00180050: ("DS", "2.5"),
        0x0020000D: ("UI", "1.2.3"),
        0x0020000E: ("UI", series),
        0x00200013: ("IS", str(number)),
        0x00200032: ("DS", "\\".join(f"{v:.6g}" for v in position)),
        0x00200037: ("DS", "1\\0\\0\\0\\1\\0"),
        0x00280002: ("US", 1),
        0x00280004: ("CS", "MONOCHROME2"),
        0x00280010: ("US", array.shape[0] if array is not None else 0),
        0x00280011: ("US", array.shape[1] if array is not None else 0),
        0x00280030: ("DS", "0.8\\0.7"),
        0x00280100: ("US", 16),
        0x00280101: ("US", 16),
        0x00280102: ("US", 15),
        0x00280103: ("US", 1),
        0x00281052: ("DS", "-1000"),
        0x00281053: ("DS", "1"),
    }
    for key, value in change.items():
        tag = int(key[1:], 16)
        if value is None:
            tags.pop(tag, None)
        else:
            tags[tag] = (tags[tag][0] if tag in tags else OTHER_TYPES.get(tag, "IS"), value)
    if array is not None:
        tags[0x7FE00010] = ("OW", array.astype("<i2").tobytes())
    meta = element(0x00020002, "UI", sop_class) + element(0x00020003, "UI", uid) + element(0x00020010, "UI", syntax)
    meta = element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    body = b"".join(element(tag, *tags[tag], implicit=syntax == IMPLICIT) for tag in sorted(tags))
    return bytes(128) + b"DICM" + meta + body


def write_series(
    folder: Path,
    array: np.ndarray,
    *,
    series: str = "1.2.3.4",
    name: str = "{:03d}.dcm",
    step: Sequence[float] = (0.0, 0.0, 2.5),
    **change: object,
) -> list[Path]:
    """Write (z, y, x) stored values (HU + 1000) as one slice a file.

    In an order of names that is not that of places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for z, values in enumerate(array):
        number = (z * 7 + 3) % len(array) if len(array) % 7 else z
        path = folder / name.format(number)
        position = np.array([-10.0, 20.0, -30.0]) + z * np.asarray(step)
        path.write_bytes(dicom_bytes(values, position=position, uid=f"{series}.{z}", series=series, number=z, **change))
        paths.append(path)
    return paths


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Change, insert or drop a few bytes, more often near the start, where the tags are."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(132, min(len(changed), chance.choice([900, len(data)])))
        kind = chance.choice(["flip", "byte", "insert", "drop"])
        if kind == "flip":
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            changed[at] = chance.choice([0, 255, 32, 45, 57, chance.randrange(256)])
        elif kind == "insert":
            changed[at:at] = chance.randbytes(chance.randint(1, 20))
        else:
            del changed[at : at + chance.randint(1, 20)]
    return bytes(changed)
