"""The file of one cached scan: voxels in small compressed bricks, each with a checksum, read by sub-volume.

Why not blosc2's own array file: it reads under the GIL, and trusts its bytes (a flipped bit gives other voxels, a
damaged header can crash the interpreter). Here every brick is one blosc2 chunk whose compressed bytes are checked
before blosc2 sees them, at every read (about a tenth of the reading time). No file stays open between reads, so
thousands of scans cost nothing, an entry may be replaced at any time, and nothing is mapped into memory.

Layout: bricks in (z, y, x) order, each padded to 8 bytes; their sizes (int64) and checksums (uint64); a JSON header; a
footer with where sizes and header begin, BLAKE2b of all that follows the bricks, and a mark. The footer comes last: a
file cut short has none.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from io import FileIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.atomic import replacing
from genesis_core.errors import CacheError

# Of the sizes tried on chest CT none was faster for 96^3; a row of bricks stays in the second-level cache.
BRICK = (24, 24, 48)
_LEVEL = 5
Block = tuple[int, int, int]
# Copies (voxels of a row of bricks, its shape, its corner in the sub-volume) into the sub-volume.
Place = Callable[[NDArray[Any], Block, Block, NDArray[Any]], None]
_MARK = b"GENBRICK"
_PLACES = struct.Struct("<qq")
_FOOTER = struct.Struct("<16s32s8s")
# Entries whose sizes and checksums are kept in memory: about 20 MB for scans of 512x512x400.
_KEPT = 256


class DamagedEntryError(CacheError):
    """A cache entry is missing, cut short, or fails a checksum."""


@dataclass(frozen=True, eq=False)
class _Index:
    """What must be known to read a file of bricks, and the identity of the file it was read from."""

    identity: tuple[int, int, int]
    header: dict[str, Any]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    starts: list[int]
    sizes: NDArray[np.int64]
    checksums: NDArray[np.uint64]


_indices: OrderedDict[str, _Index] = OrderedDict()
_indices_lock = threading.Lock()
_scratch = threading.local()


def write_bricks(path: Path, array: NDArray[Any], header: dict[str, Any]) -> None:
    """Write `array` (z, y, x; int16 or float32) and a JSON-serialisable `header` to `path`, atomically.

    Raises OSError as the file system does; the folder must exist.
    """
    blosc2 = _blosc2()
    from genesis_core.sampling.brick_kernels import checksum

    sizes, checksums = [], []
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for corner in product(*(range(0, length, edge) for length, edge in zip(array.shape, BRICK, strict=True))):
            place = tuple(slice(start, start + edge) for start, edge in zip(corner, BRICK, strict=True))
            brick = np.ascontiguousarray(array[place])
            packed = blosc2.compress2(
                brick,
                codec=blosc2.Codec.LZ4HC,
                clevel=_LEVEL,
                filters=[blosc2.Filter.SHUFFLE],
                typesize=array.itemsize,
                blocksize=brick.nbytes,
                nthreads=1,
            )
            packed += b"\0" * (-len(packed) % 8)
            sizes.append(len(packed))
            checksums.append(checksum(np.frombuffer(packed, np.uint8), 0, len(packed)))
            file.write(packed)
        tail = np.array(sizes, np.int64).tobytes() + np.array(checksums, np.uint64).tobytes()
        text = json.dumps({**header, "shape": list(array.shape), "dtype": array.dtype.name}).encode()
        places = _PLACES.pack(sum(sizes), sum(sizes) + len(tail))
        digest = blake2b(tail + text + places, digest_size=32).digest()
        file.write(tail + text + _FOOTER.pack(places, digest, _MARK))


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file of bricks, checked; raise DamagedEntryError if it is not whole."""
    with _opened(path) as file:
        return _index(path, file).header


def read_bricks(
    path: Path, start: tuple[int, int, int], size: tuple[int, int, int], low: float, scale: float
) -> NDArray[np.float32]:
    """Read a sub-volume as clip((value - low) * scale, 0, 1), float32 (z, y, x); outside of the scan it is 0.

    start: first voxel (z, y, x), may be negative. Safe from any number of threads; the GIL is held only between bricks.
    Raises DamagedEntryError if the file, or a brick that is needed, is missing or fails its checksum.
    """
    from genesis_core.sampling.brick_kernels import place_bricks

    def place(voxels: NDArray[Any], block: Block, corner: Block, out: NDArray[Any]) -> None:
        place_bricks(voxels, block, BRICK[2], corner, out, np.float32(low), np.float32(scale))

    return _assemble(path, start, size, np.dtype(np.float32), 0, place)


def read_numbers(
    path: Path, start: tuple[int, int, int], size: tuple[int, int, int], outside: int
) -> NDArray[np.int16]:
    """Read a sub-volume of whole numbers as they were stored, int16 (z, y, x); outside of the array it is `outside`.

    Otherwise as `read_bricks`. The array must have been stored as int16.
    """
    from genesis_core.sampling.brick_kernels import copy_bricks

    def place(voxels: NDArray[Any], block: Block, corner: Block, out: NDArray[Any]) -> None:
        copy_bricks(voxels, block, BRICK[2], corner, out)

    return _assemble(path, start, size, np.dtype(np.int16), outside, place)


def _assemble(path: Path, start: Block, size: Block, dtype: np.dtype[Any], outside: int, place: Place) -> NDArray[Any]:
    """Read the bricks a sub-volume needs, row by row, and let `place` copy them into it."""
    blosc2 = _blosc2()
    from genesis_core.sampling.brick_kernels import first_damaged

    with _opened(path) as file:
        index = _index(path, file)
        shape = index.shape
        inside = all(first >= 0 and first + n <= length for first, n, length in zip(start, size, shape, strict=True))
        out = np.empty(size, dtype) if inside else np.full(size, outside, dtype)
        z_bricks, y_bricks, x_bricks = (
            range(max(0, first) // edge, max(0, -(-min(first + n, length) // edge)))
            for first, n, length, edge in zip(start, size, shape, BRICK, strict=True)
        )
        if not x_bricks:
            return out
        across, rows = (-(-length // edge) for length, edge in zip(shape[1:][::-1], BRICK[1:][::-1], strict=True))
        lengths = [min(BRICK[2], shape[2] - i * BRICK[2]) for i in x_bricks]
        packed, raw = _buffers(index, len(lengths))
        packed_view, raw_view = packed.data, raw.data
        voxels = raw.view(index.dtype)
        for k, j in product(z_bricks, y_bricks):
            first = (k * rows + j) * across + x_bricks.start
            last = first + len(lengths)
            begin, end = index.starts[first], index.starts[last]
            file.seek(begin)
            _fill(path, file, packed_view[: end - begin])
            if first_damaged(packed, index.sizes[first:last], index.checksums[first:last]) >= 0:
                raise DamagedEntryError(f"{path}: a brick fails its checksum")
            depth, height = min(BRICK[0], shape[0] - k * BRICK[0]), min(BRICK[1], shape[1] - j * BRICK[1])
            at = 0
            for brick, length in enumerate(lengths, first):
                room = depth * height * length * index.dtype.itemsize
                source = packed_view[index.starts[brick] - begin : index.starts[brick + 1] - begin]
                blosc2.decompress2(source, dst=raw_view[at : at + room], nthreads=1)
                at += room
            corner = (k * BRICK[0] - start[0], j * BRICK[1] - start[1], x_bricks.start * BRICK[2] - start[2])
            block = (depth, height, sum(lengths))
            place(voxels, block, corner, out)
    return out


def _blosc2() -> Any:
    import blosc2

    # Off by default in blosc2, where it would cost a little with tiny chunks.
    blosc2.set_releasegil(True)
    return blosc2


def _opened(path: Path) -> FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as problem:
        raise DamagedEntryError(f"{path}: cannot be opened ({problem.strerror})") from None


def _buffers(index: _Index, bricks: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    room = bricks * BRICK[0] * BRICK[1] * BRICK[2] * index.dtype.itemsize
    # A brick that does not compress grows by a header; 4 KiB each is far more.
    if getattr(_scratch, "room", 0) < room:
        _scratch.room = room
        _scratch.buffers = np.empty(room + 4096 * bricks, np.uint8), np.empty(room, np.uint8)
    buffers: tuple[NDArray[np.uint8], NDArray[np.uint8]] = _scratch.buffers
    return buffers


def _index(path: Path, file: FileIO) -> _Index:
    state = os.fstat(file.fileno())
    identity = (state.st_ino, state.st_size, state.st_mtime_ns)
    with _indices_lock:
        known = _indices.get(str(path))
        if known is not None and known.identity == identity:
            _indices.move_to_end(str(path))
            return known
    index = _read_index(path, file, identity)
    with _indices_lock:
        _indices[str(path)] = index
        _indices.move_to_end(str(path))
        while len(_indices) > _KEPT:
            _indices.popitem(last=False)
    return index


def _read_index(path: Path, file: FileIO, identity: tuple[int, int, int]) -> _Index:
    size = identity[1]
    if size < _FOOTER.size:
        raise DamagedEntryError(f"{path}: cut short")
    file.seek(size - _FOOTER.size)
    places, digest, mark = _FOOTER.unpack(_read(path, file, _FOOTER.size))
    tail_start, text_start = _PLACES.unpack(places)
    text_end = size - _FOOTER.size
    if mark != _MARK or not 0 <= tail_start <= text_start <= text_end:
        raise DamagedEntryError(f"{path}: the end of the file is damaged")
    file.seek(tail_start)
    tail = _read(path, file, text_start - tail_start)
    text = _read(path, file, text_end - text_start)
    # Nothing of the header is believed before this check.
    if blake2b(tail + text + places, digest_size=32).digest() != digest:
        raise DamagedEntryError(f"{path}: the header fails its checksum")
    header = json.loads(text)
    z, y, x = header["shape"]
    count = len(tail) // 16
    sizes = np.frombuffer(tail, np.int64, count)
    checksums = np.frombuffer(tail, np.uint64, count, offset=8 * count)
    starts = [0, *np.cumsum(sizes).tolist()]
    return _Index(identity, header, (z, y, x), np.dtype(header["dtype"]), starts, sizes, checksums)


def _read(path: Path, file: FileIO, size: int) -> bytes:
    data = bytearray(size)
    _fill(path, file, memoryview(data))
    return bytes(data)


def _fill(path: Path, file: FileIO, view: memoryview) -> None:
    # A network file system may hand out less than was asked for.
    while view:
        try:
            got = file.readinto(view)
        except OSError as problem:
            raise DamagedEntryError(f"{path}: cannot be read ({problem.strerror})") from None
        if not got:
            raise DamagedEntryError(f"{path}: cut short")
        view = view[got:]
