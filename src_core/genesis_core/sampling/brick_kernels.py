"""Compiled parts of the cache: the checksum of a brick, and copying bricks into a sub-volume, mapped or as they are.

All run without the GIL. Import this module only where it is about to be used: it loads numba.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_PRIME = np.uint64(0x9E3779B185EBCA87)
_LEFT = np.uint64(29)
_RIGHT = np.uint64(35)
_LANES = 8


@njit(inline="always")
def _absorb(state: Any, word: Any) -> Any:
    # Bijective in the word and in the state: a change of any one word always changes the result.
    mixed = state ^ word
    return ((mixed << _LEFT) | (mixed >> _RIGHT)) * _PRIME


@njit(nogil=True, cache=True)
def checksum(buffer: Any, start: int, size: int) -> Any:
    """Return a 64-bit checksum of `size` bytes of `buffer` (uint8) from `start`; `size` is a multiple of 8.

    Words go through eight chains, each a sequence of bijections, so that a core hashes many bytes a cycle.
    """
    words = buffer[start : start + size].view(np.uint64)
    chains = np.arange(_LANES).astype(np.uint64)
    rounds = words.size // _LANES
    for i in range(rounds):
        row = words[_LANES * i : _LANES * (i + 1)]
        for lane in range(_LANES):
            chains[lane] = _absorb(chains[lane], row[lane])
    total = np.uint64(size)
    for i in range(rounds * _LANES, words.size):
        total = _absorb(total, words[i])
    for lane in range(_LANES):
        total = _absorb(total, chains[lane])
    return total ^ (total >> np.uint64(32))


@njit(nogil=True, cache=True)
def first_damaged(buffer: Any, sizes: Any, checksums: Any) -> int:
    """Return which of the bricks that lie one after the other in `buffer` fails its checksum, or -1."""
    start = 0
    for i in range(sizes.size):
        if checksum(buffer, start, sizes[i]) != checksums[i]:
            return i
        start += sizes[i]
    return -1


@njit(nogil=True, cache=True)
def place_bricks(
    source: Any,
    shape: tuple[int, int, int],
    width: int,
    corner: tuple[int, int, int],
    out: Any,
    low: Any,
    scale: Any,
) -> None:
    """Copy what overlaps of a row of bricks into `out` (float32, z, y, x), as clip((value - low) * scale, 0, 1).

    source: the bricks one after the other along x, each C-ordered. shape: (z, y, x) of the whole row; width: x extent
    of every brick but the last, which has what is left. corner: where the row begins in `out`, may be negative.
    """
    depth, height, total = shape
    z_low, z_high = max(0, -corner[0]), min(depth, out.shape[0] - corner[0])
    y_low, y_high = max(0, -corner[1]), min(height, out.shape[1] - corner[1])
    zero, one = np.float32(0), np.float32(1)
    begin = 0
    for left in range(0, total, width):
        wide = min(width, total - left)
        x = corner[2] + left
        x_low, x_high = max(0, -x), min(wide, out.shape[2] - x)
        if x_low < x_high:
            for k in range(z_low, z_high):
                for j in range(y_low, y_high):
                    first = begin + (k * height + j) * wide
                    # Slices, not indices: the loop over them is what the compiler turns into vector instructions.
                    row = source[first + x_low : first + x_high]
                    target = out[corner[0] + k, corner[1] + j, x + x_low : x + x_high]
                    for i in range(row.size):
                        value = (np.float32(row[i]) - low) * scale
                        target[i] = min(max(value, zero), one)
        begin += depth * height * wide


@njit(nogil=True, cache=True)
def copy_bricks(source: Any, shape: tuple[int, int, int], width: int, corner: tuple[int, int, int], out: Any) -> None:
    """Copy what overlaps of a row of bricks into `out` (z, y, x) as it is; arguments as `place_bricks` has them."""
    depth, height, total = shape
    z_low, z_high = max(0, -corner[0]), min(depth, out.shape[0] - corner[0])
    y_low, y_high = max(0, -corner[1]), min(height, out.shape[1] - corner[1])
    begin = 0
    for left in range(0, total, width):
        wide = min(width, total - left)
        x = corner[2] + left
        x_low, x_high = max(0, -x), min(wide, out.shape[2] - x)
        if x_low < x_high:
            for k in range(z_low, z_high):
                for j in range(y_low, y_high):
                    first = begin + (k * height + j) * wide
                    row = source[first + x_low : first + x_high]
                    target = out[corner[0] + k, corner[1] + j, x + x_low : x + x_high]
                    for i in range(row.size):
                        target[i] = row[i]
        begin += depth * height * wide
