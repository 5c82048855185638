"""The few facts of a DICOM file that decide what it is and where its slice lies; patient tags are not read at all.

A small reader of our own, since listing folders must not take a millisecond a file, and since a cut file must be told
from an object without an image. Voxels are decoded elsewhere, by GDCM through SimpleITK.
Source: DICOM PS3.5, sections 7 and 10 (elements, sequences, transfer syntaxes) and PS3.3 (tags).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import open_file, read_bytes

Values = tuple[float, ...]

_WANTED = {
    0x00020002: "sop_class", 0x00020010: "syntax", 0x00080060: "modality", 0x0008103E: "description",
    0x00180050: "thickness", 0x0020000E: "series", 0x00200032: "position", 0x00200037: "orientation",
    0x00280002: "samples", 0x00280008: "frames", 0x00280010: "rows", 0x00280011: "columns", 0x00280030: "spacing",
    0x00280100: "bits", 0x00281052: "intercept", 0x00281053: "slope",
}  # fmt: skip
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT_VRS = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
# Objects that may share a folder with the slices but are no scan, by the start of their SOP class.
_OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.481.3": "RT structure set", "1.2.840.10008.5.1.4.1.1.481.2": "RT dose",
    "1.2.840.10008.5.1.4.1.1.481.": "RT object", "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66": "registration or other object", "1.2.840.10008.5.1.4.1.1.88.": "structured report",
    "1.2.840.10008.5.1.4.1.1.11.": "presentation state", "1.2.840.10008.5.1.4.1.1.104.": "document",
    "1.2.840.10008.1.3.10": "DICOMDIR",
}  # fmt: skip


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file.

    problem: why its image cannot be used, or None. kind: what it is, if it is no image ("RT structure set").
    position, orientation, spacing (row, column): as in the file, mm, or empty. series: its UID, or "" where unknown.
    """

    path: Path
    series: str = ""
    modality: str = ""
    description: str = ""
    kind: str | None = None
    problem: str | None = None
    rows: int = 0
    columns: int = 0
    samples: int = 1
    frames: int = 1
    position: Values = ()
    orientation: Values = ()
    spacing: Values = ()
    thickness: float | None = None
    slope: float = 1.0
    intercept: float = 0.0


class _DamagedError(Exception):
    """The bytes do not follow DICOM's rules."""


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark; unreadable files and folders do not."""
    try:
        with open_file(path) as file:
            return read_bytes(file, 132, path)[128:] == b"DICM"
    except VolumeError:
        return False


def read_dicom_tags(path: Path) -> DicomFile:
    """Read one file's tags up to its voxels, which are checked for their length but not decoded.

    Damage does not raise but is told in `problem`; raises VolumeError only if the file cannot be opened or is not
    DICOM.
    """
    with open_file(path) as file:
        if read_bytes(file, 132, path)[128:] != b"DICM":
            raise VolumeError(
                f"{path}: not a DICOM file (its mark 'DICM' is missing). Export it again as DICOM Part 10"
            )
        reader = _Reader(file, os.fstat(file.fileno()).st_size)
        problem = None
        try:
            reader.read()
        except (_DamagedError, struct.error) as damage:
            problem = str(damage) or "it ends in the middle of a tag"
        except OSError as failure:
            problem = f"reading stopped ({failure.strerror or failure})"
        return _summary(path, reader, problem)


class _Reader:
    """Walks through the elements of one file, keeping the wanted ones."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.found: dict[str, bytes] = {}
        self.has_pixels = False
        self.order, self.implicit = "<", False
        self.pixel_length: int | None = None

    def read(self) -> None:
        self._read_meta()
        syntax = _text(self.found.get("syntax", b""))
        if syntax == _DEFLATED:
            raise _DamagedError("it is deflated as a whole, which is not supported; convert it with dcmtk's dcmconv")
        self.implicit, self.order = syntax == _IMPLICIT, ">" if syntax == _BIG else "<"
        while self.file.tell() < self.size:
            tag, vr, length = self._element()
            if tag in _PIXELS:
                self.has_pixels = True
                self._check_pixels(length)
                return
            self._take(tag, vr, length)

    def _read_meta(self) -> None:
        """Read group 2, which is always explicit and little endian, and tells how the rest is written."""
        while self.file.tell() < self.size:
            start = self.file.tell()
            group = self._bytes(2)
            self.file.seek(start)
            if group != b"\x02\x00":
                return
            self._take(*self._element())

    def _take(self, tag: int, vr: bytes, length: int) -> None:
        if length == _UNDEFINED:
            self._skip_sequence(vr, 0)
        elif tag in _WANTED and length <= 1 << 16:
            self.found.setdefault(_WANTED[tag], self._bytes(length))
        else:
            self._skip(length)

    def _element(self, implicit: bool | None = None) -> tuple[int, bytes, int]:
        head = self._bytes(8)
        group, element = struct.unpack_from(self.order + "HH", head)
        tag = group << 16 | element
        if (self.implicit if implicit is None else implicit) or group == 0xFFFE:
            return tag, b"", struct.unpack_from(self.order + "I", head, 4)[0]
        vr = head[4:6]
        if vr in _LONG_VRS:
            return tag, vr, struct.unpack(self.order + "I", self._bytes(4))[0]
        if vr not in _SHORT_VRS:
            raise _DamagedError(f"tag ({group:04X},{element:04X}) has the unknown type {vr!r}")
        return tag, vr, struct.unpack_from(self.order + "H", head, 6)[0]

    def _skip_sequence(self, vr: bytes, depth: int) -> None:
        if depth > _DEEPEST:
            raise _DamagedError("its sequences lie too deep in each other")
        while True:
            tag, _, length = self._element(implicit=True)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise _DamagedError("a sequence has no end")
            if length != _UNDEFINED:
                self._skip(length)
                continue
            while True:
                # An unknown element of undefined length holds implicit elements (PS3.5, 6.2.2).
                tag, inner, length = self._element(implicit=True if vr == b"UN" else None)
                if tag == _ITEM_END:
                    break
                if length == _UNDEFINED:
                    self._skip_sequence(b"UN" if vr == b"UN" else inner, depth + 1)
                else:
                    self._skip(length)

    def _check_pixels(self, length: int) -> None:
        if length != _UNDEFINED:
            self.pixel_length = length
            if self.file.tell() + length > self.size:
                missing = self.file.tell() + length - self.size
                raise _DamagedError(f"truncated: {missing:,} of {length:,} bytes of voxels are missing")
            return
        while True:
            tag, _, length = self._element(implicit=True)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise _DamagedError("its compressed voxels are damaged")
            self._skip(length)

    def _bytes(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise _DamagedError("truncated: it ends in the middle of a tag")
        return data

    def _skip(self, count: int) -> None:
        if self.file.tell() + count > self.size:
            raise _DamagedError("truncated: it ends in the middle of a tag")
        self.file.seek(count, os.SEEK_CUR)


def _summary(path: Path, reader: _Reader, problem: str | None) -> DicomFile:
    found, order = reader.found, reader.order
    sop_class = _text(found.get("sop_class", b""))
    kind = next((name for start, name in _OBJECTS.items() if sop_class.startswith(start)), None)
    if kind is None and problem is None and not reader.has_pixels:
        kind = "object without an image"
    numbers = {key: _short(found.get(key, b""), order) for key in ("rows", "columns", "samples", "bits")}
    frames = _numbers(found.get("frames", b""))
    count = int(frames[0]) if frames and 0 < frames[0] < 1 << 24 else 1
    if kind is None and problem is None:
        needed = numbers["rows"] * numbers["columns"] * (numbers["samples"] or 1) * numbers["bits"] * count // 8
        if not needed:
            problem = "its image has no rows, columns or bits"
        elif reader.pixel_length is not None and reader.pixel_length < needed:
            problem = f"truncated: {needed - reader.pixel_length:,} of {needed:,} bytes of voxels are missing"
    return DicomFile(
        path=path,
        series=_text(found.get("series", b"")),
        modality=_text(found.get("modality", b"")).upper(),
        description=_text(found.get("description", b"")),
        kind=kind,
        problem=problem,
        rows=numbers["rows"],
        columns=numbers["columns"],
        samples=numbers["samples"] or 1,
        frames=count,
        position=_numbers(found.get("position", b"")),
        orientation=_numbers(found.get("orientation", b"")),
        spacing=_numbers(found.get("spacing", b"")),
        thickness=next(iter(_numbers(found.get("thickness", b""))), None),
        slope=next(iter(_numbers(found.get("slope", b""))), 1.0),
        intercept=next(iter(_numbers(found.get("intercept", b""))), 0.0),
    )


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _numbers(value: bytes) -> Values:
    try:
        return tuple(float(part) for part in _text(value).split("\\")) if value.strip(b" \0") else ()
    except ValueError:
        return ()


def _short(value: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "H", value)[0]) if len(value) >= 2 else 0
