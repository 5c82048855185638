"""A whole scan corrupted box by box, as training corrupts it: a tiling by the patch size, every box with its own draw.

Box number n of the scan, counted z slowest and x fastest, is drawn from `tile_seed(seed, n)` and nothing else; so any
part of a scan can be corrupted alone, and comes out as it would in the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.corruption import Shape3
from genesis_core.errors import SettingsError
from genesis_core.parallel import available_cores, for_each
from genesis_core.randomness import stream

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Recipe

Array = NDArray[np.float32]
Region = tuple[Shape3, Shape3]


def tile_starts(shape: Shape3, size: Shape3) -> list[Shape3]:
    """Return where every box of `size` begins in a scan of `shape`, (z, y, x) in voxels, in the order of their numbers.

    The first begins at (0, 0, 0); the last along an axis may stick out. Raises SettingsError for a size below 1.
    """
    return [(z, y, x) for z, y, x in itertools.product(*_axis_starts(shape, size))]


def tile_seed(seed: int, number: int) -> int:
    """Return the seed that box `number` of a scan is drawn from, 64 bits."""
    return stream(seed, "corrupt", number)


def cut(unit: Array, start: Shape3, size: Shape3) -> Array:
    """Return the sub-volume of `size` that begins at `start`, padded with 0 (air) beyond the scan, as its own array.

    unit: (z, y, x) in [0, 1]. Raises SettingsError if it begins outside the scan.
    """
    if any(not 0 <= s < n for s, n in zip(start, unit.shape, strict=True)):
        raise SettingsError(f"at = {start}: the scan has {unit.shape} voxels (z, y, x); choose a place inside it")
    part = unit[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))]
    result = np.zeros(size, np.float32)
    result[tuple(slice(0, n) for n in part.shape)] = part
    return result


def corrupt_tiles(
    unit: Array,
    recipe: Recipe,
    seed: int,
    size: Shape3,
    region: Region | None = None,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Array:
    """Return a scan, or a region of it, with every box of `size` corrupted by a draw of its own; a pure function.

    unit: the scan in [0, 1], (z, y, x), not changed. Boxes that stick out are padded with air and cut again. The rest
    is as in `corrupt_region`; without a region the whole scan is corrupted.
    """
    shape = (unit.shape[0], unit.shape[1], unit.shape[2])

    def read(start: Shape3, size: Shape3) -> Array:
        return cut(unit, start, size)

    region = region if region is not None else ((0, 0, 0), shape)
    return corrupt_region(read, shape, recipe, seed, size, region, threads=threads, progress=progress)


def corrupt_region(
    read: Callable[[Shape3, Shape3], Array],
    shape: Shape3,
    recipe: Recipe,
    seed: int,
    size: Shape3,
    region: Region,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Array:
    """Return a region of a scan of `shape` that is brought to [0, 1] box by box, corrupted as `corrupt_tiles` does it.

    read(start, size): the voxels of one box, in [0, 1], padded with 0 beyond the scan; called from several threads.
    region: first voxel and size, (z, y, x), inside the scan; only the boxes that meet it are read and corrupted, and
    its voxels are those of the whole. threads: None takes every core of this process. progress: called as (done, all)
    boxes from the caller's thread. Returns float32 in [0, 1], of the region's size.
    Raises SettingsError for a region that is empty or leaves the scan, RecipeError for values outside [0, 1].
    """
    first, extent = region
    if any(f < 0 or n < 1 or f + n > whole for f, n, whole in zip(first, extent, shape, strict=True)):
        raise SettingsError(f"region of {extent} voxels from {first} on: it must lie inside the scan of {shape}")
    result = np.empty(extent, np.float32)
    chosen = _tiles_that_meet(first, extent, shape, size)

    def work(tile: tuple[int, Shape3]) -> None:
        number, start = tile
        corrupted = recipe.apply(read(start, size), recipe.draw(size, tile_seed(seed, number)))
        low = [max(s, f) for s, f in zip(start, first, strict=True)]
        high = [min(s + n, f + e) for s, n, f, e in zip(start, size, first, extent, strict=True)]
        there = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))
        result[there] = corrupted[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))]

    # Boxes by themselves, not the recipe's batches, which copy every box once more: on two cores 80 boxes of
    # 32 x 64 x 64 took 28 ms in a pool of two threads, 34 ms as batches of 16, 43 ms in one thread.
    for _, problem in for_each(chosen, work, threads=min(threads or available_cores(), len(chosen)), progress=progress):
        if problem is not None:
            raise problem
    return result


def _tiles_that_meet(first: Shape3, extent: Shape3, shape: Shape3, size: Shape3) -> list[tuple[int, Shape3]]:
    """Return number and start of the boxes that share a voxel with the region from `first` on."""
    starts = _axis_starts(shape, size)
    rows, columns = len(starts[1]), len(starts[2])
    met = [
        [(index, begin) for index, begin in enumerate(own) if begin < f + e and f < begin + n]
        for own, f, e, n in zip(starts, first, extent, size, strict=True)
    ]
    return [((k * rows + j) * columns + i, (z, y, x)) for (k, z), (j, y), (i, x) in itertools.product(*met)]


def _axis_starts(shape: Shape3, size: Shape3) -> list[range]:
    if min(size) < 1:
        raise SettingsError(f"boxes of {size} voxels (z, y, x): each axis needs at least one")
    return [range(0, n, step) for n, step in zip(shape, size, strict=True)]
