"""Walking through the elements of a DICOM file: the wanted values up to the voxels, whose length is checked.

A small reader of our own, since listing folders must not take a millisecond a file, and since a cut file must be told
from an object without an image.
Source: DICOM PS3.5, sections 7 and 10 (elements, sequences, transfer syntaxes).
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO

DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_SYNTAX = 0x00020010
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT_VRS = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
# More than any deflated slice or enhanced object holds; a file that swells further is damage or malice.
_MOST_INFLATED = 1 << 31


class DamagedError(Exception):
    """The bytes do not follow DICOM's rules."""


class ElementReader:
    """Walks through the elements of one file, keeping the values of the wanted top-level tags.

    found: raw values by the names in `wanted`; a wanted sequence is kept as b"". order: "<" or ">", the byte order of
    numbers. pixel_length: bytes of uncompressed voxels, or None. The file stands after its mark 'DICM'.
    """

    def __init__(self, file: BinaryIO, size: int, wanted: Mapping[int, str]) -> None:
        self.file, self.size, self.wanted = file, size, wanted
        self.found: dict[str, bytes] = {}
        self.syntax = ""
        self.has_pixels = False
        self.order, self.implicit = "<", False
        self.pixel_length: int | None = None

    def read(self) -> None:
        """Read up to the voxels; raises DamagedError or struct.error where the bytes make no sense."""
        self._read_meta()
        if self.syntax == DEFLATED:
            self._inflate()
        self.implicit, self.order = self.syntax == _IMPLICIT, ">" if self.syntax == _BIG else "<"
        while self.file.tell() < self.size:
            tag, vr, length = self._element()
            if tag in _PIXELS:
                self.has_pixels = True
                self._check_pixels(length)
                return
            self._take(tag, vr, length)

    def _inflate(self) -> None:
        """Go on in the decompressed rest of the file (PS3.5, A.5: a raw deflate stream)."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(self.file.read(), _MOST_INFLATED)
        except zlib.error as problem:
            raise DamagedError(f"its deflated content cannot be decompressed ({problem})") from None
        if not inflater.eof:
            raise DamagedError("truncated: its deflated content has no end")
        self.file, self.size = io.BytesIO(data), len(data)

    def _read_meta(self) -> None:
        """Read group 2, which is always explicit and little endian, and tells how the rest is written."""
        while self.file.tell() < self.size:
            start = self.file.tell()
            group = self._bytes(2)
            self.file.seek(start)
            if group != b"\x02\x00":
                return
            tag, vr, length = self._element()
            if tag == _SYNTAX:
                self.syntax = self._bytes(length).decode("latin-1").strip(" \0")
            else:
                self._take(tag, vr, length)

    def _take(self, tag: int, vr: bytes, length: int) -> None:
        name = self.wanted.get(tag)
        if length == _UNDEFINED or (name and (vr == b"SQ" or length > 1 << 16)):
            if name:
                self.found.setdefault(name, b"")
            if length == _UNDEFINED:
                self._skip_sequence(vr, 0)
            else:
                self._skip(length)
        elif name:
            self.found.setdefault(name, self._bytes(length))
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
            raise DamagedError(f"tag ({group:04X},{element:04X}) has the unknown type {vr!r}")
        return tag, vr, struct.unpack_from(self.order + "H", head, 6)[0]

    def _skip_sequence(self, vr: bytes, depth: int) -> None:
        if depth > _DEEPEST:
            raise DamagedError("its sequences lie too deep in each other")
        while True:
            tag, _, length = self._element(implicit=True)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise DamagedError("a sequence has no end")
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
                raise DamagedError(f"truncated: {missing:,} of {length:,} bytes of voxels are missing")
            return
        while True:
            tag, _, length = self._element(implicit=True)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise DamagedError("its compressed voxels are damaged")
            self._skip(length)

    def _bytes(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise DamagedError("truncated: it ends in the middle of a tag")
        return data

    def _skip(self, count: int) -> None:
        if self.file.tell() + count > self.size:
            raise DamagedError("truncated: it ends in the middle of a tag")
        self.file.seek(count, os.SEEK_CUR)
