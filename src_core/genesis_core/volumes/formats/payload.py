"""The voxel bytes of a file, decoded and proven complete: every checksum is checked, nothing missing is filled in.

A compressed stream is read to its end (all members, CRC-32 or Adler-32), whatever part of it is wanted: a damaged or
cut file is refused. SimpleITK is used for large .nii.gz files, because it decodes some of them three times faster than
Python's zlib; what it returns counts only if the checksum in the file proves it right.
"""

from __future__ import annotations

import bz2
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import Stored, open_file, read_bytes

# One compressed byte can stand for at most this many (deflate's limit; bzip2 has no such limit).
_DEFLATE_RATIO = 1032
_CHUNK = 1 << 16
# Below this size the import of SimpleITK costs more than it saves.
_FAST_FROM = 32 << 20
_REPAIR = "Copy or download it again from where it came"


def read_array(stored: Stored, frame: int = 0) -> NDArray[Any]:
    """Return one frame as an array (z, y, x) that owns its memory.

    In `stored.array_dtype` (slope and intercept applied).

    Raises VolumeError if bytes are missing, left over or damaged, or if the frame does not fit into memory.
    """
    check_size(stored)
    shape = (stored.size[2], stored.size[1], stored.size[0])
    try:
        array = _fast(stored, shape)
        if array is None:
            values = _decoded(stored, frame, 1)
            array = np.ascontiguousarray(values[0]).reshape(shape)
        return _in_units(array, stored)
    except MemoryError:
        raise _too_large(stored, stored.frame_bytes) from None


def read_arrays(stored: Stored) -> tuple[NDArray[Any], ...]:
    """Return all frames, each as `read_array` returns one, from a single pass over the file; they may share memory."""
    if stored.frames == 1:
        return (read_array(stored),)
    check_size(stored)
    shape = (stored.size[2], stored.size[1], stored.size[0])
    try:
        return tuple(
            _in_units(np.ascontiguousarray(values).reshape(shape), stored)
            for values in _decoded(stored, 0, stored.frames)
        )
    except MemoryError:
        raise _too_large(stored, stored.total_bytes) from None


def _in_units(array: NDArray[Any], stored: Stored) -> NDArray[Any]:
    return _scaled(array, stored) if stored.scaled else array.astype(stored.array_dtype, copy=False)


def _too_large(stored: Stored, size: int) -> VolumeError:
    return VolumeError(
        f"{stored.path}: its {size / 2**30:.1f} GiB of voxels do not fit into memory; crop it or use a larger machine"
    )


def check_size(stored: Stored) -> None:
    """Refuse a file that cannot hold the voxels its header asks for, without decoding or allocating anything."""
    with open_file(stored.data_path) as file:
        size = os.fstat(file.fileno()).st_size
        if stored.encoding == "raw":
            offset = size - stored.total_bytes if stored.offset < 0 else stored.offset
            _compare(stored, size - offset if offset >= 0 else size)
        elif stored.encoding != "bzip2" and stored.total_bytes > _DEFLATE_RATIO * size:
            raise VolumeError(
                f"{stored.path}: the header asks for {stored.total_bytes:,} bytes of voxels, more than {size:,} "
                f"compressed bytes can hold: the file is cut or its header is damaged. {_REPAIR}"
            )


def _compare(stored: Stored, found: int) -> None:
    missing = stored.total_bytes - found
    if missing > 0:
        raise VolumeError(
            f"{stored.path}: truncated: {missing:,} of {stored.total_bytes:,} bytes of voxels are missing. {_REPAIR}"
        )
    if -missing > stored.footer:
        raise VolumeError(
            f"{stored.path}: {-missing:,} bytes more than the {stored.total_bytes:,} its header asks for: the "
            f"header or the file is damaged. {_REPAIR}"
        )


def _decoded(stored: Stored, frame: int, count: int) -> NDArray[Any]:
    """Return `count` frames from `frame` on as rows; only the bytes they lie in are kept."""
    first = stored.frame_bytes * (0 if stored.frames_fastest else frame)
    length = stored.frame_bytes * (stored.frames if stored.frames_fastest else count)
    buffer = np.empty(length, np.uint8)
    with open_file(stored.data_path) as file:
        if stored.encoding == "raw":
            start = os.fstat(file.fileno()).st_size - stored.total_bytes if stored.offset < 0 else stored.offset
            file.seek(start + first)
            _compare_read(stored, _read_into(file, buffer, stored), length)
        else:
            _collect(stored, _members(stored, file), buffer, first)
    values = buffer.view(stored.dtype)
    if stored.frames_fastest:
        return values.reshape(-1, stored.frames)[:, frame : frame + count].T
    return values.reshape(count, -1)


def _read_into(file: BinaryIO, buffer: NDArray[np.uint8], stored: Stored) -> int:
    view, filled = buffer.data, 0
    try:
        while filled < len(view) and (count := file.readinto(view[filled:])):  # type: ignore[attr-defined]
            filled += count
    except OSError as problem:
        raise VolumeError(
            f"{stored.data_path}: reading stopped ({problem.strerror or problem}); is the disk still there?"
        ) from None
    return filled


def _compare_read(stored: Stored, found: int, wanted: int) -> None:
    if found != wanted:
        raise VolumeError(
            f"{stored.path}: the file became shorter while it was read; wait until it is written, then try again"
        )


def _collect(stored: Stored, pieces: Iterator[bytes], buffer: NDArray[np.uint8], first: int) -> None:
    """Copy the wanted bytes out of the decoded stream, and count all of it."""
    skip = stored.offset if stored.wrapped else 0
    begin, end, position = skip + first, skip + first + len(buffer), 0
    view = buffer.data
    for piece in pieces:
        low, high = max(begin, position), min(end, position + len(piece))
        if low < high:
            view[low - begin : high - begin] = memoryview(piece)[low - position : high - position]
        position += len(piece)
        if position > skip + stored.total_bytes + stored.footer:
            _compare(stored, position - skip)
    _compare(stored, max(position - skip, 0))


def _members(stored: Stored, file: BinaryIO) -> Iterator[bytes]:
    """Yield the decoded stream piece by piece; gzip and bzip2 files may hold several members one after the other."""
    file.seek(0 if stored.wrapped else stored.offset)
    data = read_bytes(file, _CHUNK, stored.data_path)
    while True:
        decoder = _decoder(stored)
        while not decoder.eof:
            if not data:
                raise VolumeError(f"{stored.path}: truncated: the {stored.encoding} stream ends too early. {_REPAIR}")
            try:
                piece = decoder.decompress(data)
            except (zlib.error, OSError, ValueError) as problem:
                raise VolumeError(
                    f"{stored.path}: the {stored.encoding} stream is damaged ({problem}). {_REPAIR}"
                ) from None
            if piece:
                yield piece
            if not decoder.eof:
                data = read_bytes(file, _CHUNK, stored.data_path)
        data = decoder.unused_data or read_bytes(file, _CHUNK, stored.data_path)
        # Zeros after the end are padding of tapes and block devices.
        while data and not data.strip(b"\0"):
            data = read_bytes(file, _CHUNK, stored.data_path)
        if not data:
            return
        if stored.encoding == "zlib" or not data.startswith((b"\x1f\x8b", b"BZh")):
            raise VolumeError(
                f"{stored.path}: unknown bytes follow the compressed voxels: the file is damaged. {_REPAIR}"
            )


def _decoder(stored: Stored) -> Any:
    if stored.encoding == "bzip2":
        return bz2.BZ2Decompressor()
    # 31: gzip with its CRC-32 and length checked; 47: gzip or zlib, by the first bytes, as MetaImage allows both.
    return zlib.decompressobj(31 if stored.encoding == "gzip" else 47)


def _scaled(array: NDArray[Any], stored: Stored) -> NDArray[Any]:
    result = np.empty(array.shape, stored.array_dtype)
    # Slice by slice: the products are formed in double precision without a second whole array.
    for target, source in zip(result, array, strict=True):
        target[...] = source.astype(np.float64) * stored.slope + stored.intercept
    return result


def _fast(stored: Stored, shape: tuple[int, int, int]) -> NDArray[Any] | None:
    """Return what SimpleITK decodes if the file's CRC-32 proves every byte of it right, else None."""
    usable = stored.wrapped and stored.dtype.isnative and not stored.scaled and stored.frames * stored.components == 1
    if not usable or stored.footer or stored.frame_bytes < _FAST_FROM:
        return None
    with open_file(stored.data_path) as file:
        head = zlib.decompressobj(31).decompress(read_bytes(file, _CHUNK, stored.data_path), stored.offset)
        file.seek(-8, os.SEEK_END)
        checksum, length = struct.unpack("<II", read_bytes(file, 8, stored.data_path))
    if len(head) != stored.offset or length != (stored.offset + stored.frame_bytes) % 2**32:
        return None
    import SimpleITK

    try:
        array: NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(stored.path), imageIO="NiftiImageIO"))
    except RuntimeError:
        # SimpleITK refuses what Python's decoder may still read, or name better.
        return None
    if array.dtype != stored.dtype or array.size * array.itemsize != stored.frame_bytes:
        return None
    return array.reshape(shape) if zlib.crc32(array.data, zlib.crc32(head)) == checksum else None
