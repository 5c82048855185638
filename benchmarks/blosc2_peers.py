"""How nnU-Net and nnssl store preprocessed scans with blosc2: the settings of their versions, and the sizes of blocks.

Own code of the rules read in `training/dataloading/nnunet_dataset.py` of the packages nnunetv2 2.6.0, 2.6.4, 2.7.0,
2.8.0 and 2.8.1, and in `training/dataloading/dataset.py` of MIC-DKFZ/nnssl (688424e). All store float32, open the file
again for every sub-volume, decompress in one thread, and map the file into memory (nnU-Net not on Windows).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

Shape = tuple[int, ...]
ITEM = np.dtype(np.float32).itemsize
MAPPED = {} if os.name == "nt" else {"mmap_mode": "r"}


def shapes_until_2_7(shape: Shape, patch: int) -> tuple[Shape, Shape]:
    """Return the shapes of blocks and chunks for cubic sub-volumes of `patch` voxels from a larger scan of `shape`.

    A block fits 80 % of a level 1 cache of 32 KiB; blocks are added to a chunk until it fills 80 % of 1,408 KiB of
    level 3. nnssl's rule has no bound by the patch, but gives the same shapes for 96^3.
    """
    block = _halved(patch, int(0.8 * 32_768) // ITEM)
    return tuple(block), tuple(_grown_beyond(block, shape, 1.5 * patch, 0.8 * 1_441_792 / ITEM))


def shapes_since_2_8(shape: Shape, patch: int) -> tuple[Shape, Shape]:
    """Return the same by the later rule: blocks of 128 KiB, chunks of 6 MiB and one and a half patches, at most."""
    block = _halved(patch, 128 * 1024 // ITEM)
    return tuple(block), tuple(_grown_within(block, shape, 3 * patch // 2, 6 * 2**20 // ITEM))


def _halved(patch: int, most: int) -> list[int]:
    """Return a block of `most` voxels or fewer: the next power of two, its longest side halved, the last of equal."""
    block = [2 ** math.ceil(math.log2(patch))] * 3
    while math.prod(block) > most:
        axis = max(range(3), key=lambda axis: (block[axis], axis))
        block[axis] //= 2
    return block


def _grown_beyond(block: list[int], shape: Shape, longest: float, enough: float) -> list[int]:
    """Add blocks to the side that has fewest, until a chunk holds `enough` voxels or is `longest` in the mean."""
    chunk = list(block)
    while math.prod(chunk) < enough and chunk != list(shape):
        axis = min((axis for axis in range(3) if chunk[axis] < shape[axis]), key=lambda axis: chunk[axis] / block[axis])
        before = chunk[axis]
        chunk[axis] = min(before + block[axis], shape[axis])
        if sum(chunk) / 3 > longest:
            chunk[axis] -= block[axis]
            break
    return chunk


def _grown_within(block: list[int], shape: Shape, longest: int, most: int) -> list[int]:
    """Add blocks to the side that covers least of what it may, and of equal ones to the scan's longest."""
    limits = [min(length, longest) for length in shape]
    chunk = list(block)
    while True:
        found = []
        for axis in range(3):
            grown = list(chunk)
            grown[axis] = min(chunk[axis] + block[axis], limits[axis])
            if chunk[axis] < limits[axis] and math.prod(grown) <= most:
                found.append((chunk[axis] / limits[axis], -shape[axis], axis, grown))
        if not found:
            return chunk
        chunk = min(found)[3]


@dataclass(frozen=True)
class Peer:
    """A package's choice: codec and level, the shapes of blocks and chunks, whether the filter is found by trial."""

    codec: str
    level: int
    shapes: Callable[[Shape, int], tuple[Shape, Shape]]
    tries_filters: bool


PEERS = {
    "nnU-Net 2.8": Peer("LZ4HC", 5, shapes_since_2_8, tries_filters=True),
    "nnU-Net 2.6 and 2.7, nnssl": Peer("ZSTD", 8, shapes_until_2_7, tries_filters=False),
}


def write(peer: Peer, array: Any, patch: int, path: Path) -> str:
    """Write `array` (z, y, x) as the package writes a scan of one channel, and return the name of the filter used."""
    blocks, chunks = peer.shapes(array.shape, patch)
    settings = {"codec": blosc2.Codec[peer.codec], "clevel": peer.level, "nthreads": 1}
    # Byte shuffling is blosc2's own choice, which nnU-Net 2.6 and nnssl leave in place.
    kind = _smaller_filter(array, blocks, chunks, settings) if peer.tries_filters else blosc2.Filter.SHUFFLE
    blosc2.asarray(
        np.ascontiguousarray(array[None]),
        urlpath=str(path),
        mode="w",
        chunks=(1, *chunks),
        blocks=(1, *blocks),
        cparams={**settings, "filters": [kind]},
    )
    return kind.name


def _smaller_filter(array: Any, blocks: Shape, chunks: Shape, settings: Any) -> blosc2.Filter:
    """Return the filter, none or byte shuffling, that makes a chunk in the scan's middle smaller."""
    starts = [(length - size) // 2 for length, size in zip(array.shape, chunks, strict=True)]
    middle = np.ascontiguousarray(array[tuple(slice(s, s + size) for s, size in zip(starts, chunks, strict=True))])

    def size_with(kind: blosc2.Filter) -> int:
        stored = blosc2.asarray(middle, chunks=chunks, blocks=blocks, cparams={**settings, "filters": [kind]})
        return int(stored.schunk.cbytes)

    return min((blosc2.Filter.NOFILTER, blosc2.Filter.SHUFFLE), key=size_with)


def read(path: Path, window: tuple[slice, ...]) -> Any:
    """Return a sub-volume (z, y, x) float32, the file opened for it as the packages do."""
    opened = blosc2.open(str(path), mode="r", dparams={"nthreads": 1}, **MAPPED)
    return opened[(slice(None), *window)][0]
