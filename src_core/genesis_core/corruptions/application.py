"""Applying draws to arrays: what comes in is checked, samples share the cores, and nothing that came in is changed."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genesis_core.corruptions.corruption import Planes
from genesis_core.corruptions.draw import Draw
from genesis_core.corruptions.kernels.checking import largest_bits
from genesis_core.errors import RecipeError
from genesis_core.parallel import available_cores

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Recipe

Voxels = NDArray[np.float32]
Item = TypeVar("Item")
# The bits of 1.0, the largest value allowed, and of -0.0, which is allowed too.
_ONE, _MINUS_ZERO = 0x3F800000, 0x80000000
# Bytes of a sample that two threads always share by halves: two whole ones do not fit the cache that both have, and
# wait for memory (two threads are 1.5 times as fast as one on whole samples of 128^3, 1.9 times on halves).
_LARGE = 4 << 20
# Halves cost a twentieth more. Of a batch of samples of this size, only the last few are shared, lest a thread have
# nothing left to do while another works on a long one (96^3: 1.71 times on whole samples, 1.75 on halves, 1.78 so).
_MIDDLING = 2 << 20


def apply_one(x: ArrayLike, draw: Draw) -> Voxels:
    """Apply one draw to one sub-volume."""
    source = _floats(x)
    _match(source.shape, draw)
    out = np.empty(source.shape, np.float32)
    _corrupt(source[None], out[None], draw)
    return out


def apply_batch(x: ArrayLike, draws: Sequence[Draw], threads: int | None) -> Voxels:
    """Apply one draw to each sample of a batch."""
    source = _matched(x, draws)
    return _each(source, lambda index: draws[index], threads)


def check_batch(x: ArrayLike, draws: Sequence[Draw]) -> Voxels:
    """Return a batch as contiguous float32. Raises RecipeError unless it fits its draws and lies in [0, 1]."""
    source = _matched(x, draws)
    _check_range(source)
    return source


def corrupt_one(recipe: Recipe, x: ArrayLike, seed: int) -> Voxels:
    """Draw for one sub-volume, and apply it."""
    source = _floats(x)
    if source.ndim not in (2, 3):
        raise RecipeError(
            f"array of shape {source.shape}: with one seed a recipe takes (z, y, x) or (y, x); "
            "a batch (batch, channel, ...) takes a list of seeds, one for each sample"
        )
    return apply_one(source, recipe.draw(source.shape, seed))


def corrupt_batch(recipe: Recipe, x: ArrayLike, seeds: Sequence[int], threads: int | None) -> Voxels:
    """Draw for each sample of a batch, and apply it."""
    source = _batch(x, len(seeds), "seeds")
    return _each(source, lambda index: recipe.draw(source.shape[2:], seeds[index]), threads)


def _each(source: Voxels, drawn: Callable[[int], Draw], threads: int | None) -> Voxels:
    out = np.empty(source.shape, np.float32)
    threads = min(len(source), available_cores() if threads is None else threads)
    whole = _count_whole(len(source), source[0].nbytes, threads)
    draws: dict[int, Draw] = {}

    def corrupt(part: tuple[int, int | None]) -> None:
        index, number = part
        if number is None:
            _corrupt(source[index], out[index], drawn(index))
            return
        # Both threads may draw it at once: it is the same draw.
        draw = draws[index] if index in draws else draws.setdefault(index, drawn(index))
        for planes in _halves(draw)[number : number + 1]:
            _check_planes(source[index], draw, planes)
            _apply_steps(source[index], out[index], draw, planes)

    # The halves of a sample follow each other, so that threads share what is in the cache.
    halves = itertools.product(range(whole, len(source)), (0, 1))
    _share([*((index, None) for index in range(whole)), *halves], corrupt, threads)
    return out


def _count_whole(samples: int, size: int, threads: int) -> int:
    """Return how many samples of so many bytes one thread each works on; the others are shared by halves."""
    if threads > 1 and size >= _LARGE:
        return 0
    return max(0, samples - 2 * threads) if threads > 1 and size >= _MIDDLING else samples


def _share(items: Iterable[Item], work: Callable[[Item], None], threads: int) -> None:
    """Do `work` on all items in so many threads; items differ up to tenfold in cost, so whoever is free takes one."""
    waiting = deque(items)

    def take() -> None:
        while True:
            try:
                item = waiting.popleft()
            except IndexError:
                return
            work(item)

    others = [_pool().submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        # Whoever has not begun by now has nothing left to do.
        begun = [other for other in others if not other.cancel()]
        wait(begun)
    for other in begun:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that help with batches, which are kept: each new one would begin with memory of its own."""
    return ThreadPoolExecutor(max(1, available_cores() - 1), "corruptions")


if hasattr(os, "register_at_fork"):
    # A forked child has none of the threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _corrupt(source: Voxels, out: Voxels, draw: Draw) -> None:
    """Corrupt one sample: (channel, z, y, x) or (channel, y, x)."""
    _check_range(source)
    _apply_steps(source, out, draw, (0, draw.shape3[0]))


def _halves(draw: Draw) -> list[Planes]:
    """Return the planes that two threads may write by themselves, or all of them."""
    depth, rows, columns = draw.shape3
    # Kernels write whole vectors of 16, and no other thread's voxels may be among them.
    step = 16 // math.gcd(16, rows * columns)
    middle = round(depth / 2 / step) * step
    kinds = [step.corruption.splits for step in draw.steps]
    if not 0 < middle < depth or "never" in kinds[:1] or set(kinds[1:]) - {"always"}:
        return [(0, depth)]
    return [(0, middle), (middle, depth)]


def _check_planes(source: Voxels, draw: Draw, planes: Planes) -> None:
    """Check the planes that those of the result are made of, which the cache then holds."""
    reach = draw.steps[0].corruption.reach(draw.shape3) if draw.steps else 0
    for channel in source.reshape(len(source), *draw.shape3):
        _check_range(channel[max(0, planes[0] - reach) : planes[1] + reach])


def _apply_steps(source: Voxels, out: Voxels, draw: Draw, planes: Planes) -> None:
    source = source.reshape(len(source), *draw.shape3)
    out = out.reshape(source.shape)
    # The first step reads the input and writes the output; the others work on the output in place.
    current = source
    for step in draw.steps:
        step.corruption.apply(current, out, step.decided, step.key, planes)
        current = out
    if not draw.steps:
        np.copyto(out[:, slice(*planes)], source[:, slice(*planes)])


def _floats(x: ArrayLike) -> Voxels:
    array = np.asarray(x)
    if array.dtype.kind != "f":
        raise RecipeError(
            f"array of {array.dtype}: a recipe takes floats in [0, 1]; bring the scan to [0, 1] first, for instance "
            "with the intensity window of its modality"
        )
    if array.size == 0:
        raise RecipeError(f"array of shape {array.shape}: there is no voxel in it")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def _batch(x: ArrayLike, count: int, what: str) -> Voxels:
    source = _floats(x)
    if source.ndim not in (4, 5):
        raise RecipeError(
            f"array of shape {source.shape}: with several {what} a recipe takes (batch, channel, z, y, x) or "
            "(batch, channel, y, x)"
        )
    if len(source) != count:
        raise RecipeError(f"{count} {what} for a batch of {len(source)}: one is needed for each sample")
    return source


def _matched(x: ArrayLike, draws: Sequence[Draw]) -> Voxels:
    source = _batch(x, len(draws), "draws")
    for draw in draws:
        _match(source.shape[2:], draw)
    return source


def _match(shape: tuple[int, ...], draw: Draw) -> None:
    if shape != draw.shape:
        raise RecipeError(f"array of shape {shape}: the draw was made for {draw.shape}")


def _check_range(source: Voxels) -> None:
    bits = source.reshape(-1).view(np.uint32)
    if largest_bits(bits) <= _ONE:
        return
    if bool(((bits <= _ONE) | (bits == _MINUS_ZERO)).all()):
        return
    finite = source[np.isfinite(source)]
    found = f"found {finite.min():.6g} to {finite.max():.6g}" if finite.size else "found no finite value"
    unusual = "" if finite.size == source.size else f" and {source.size - finite.size} that are not finite"
    raise RecipeError(
        f"values must lie in [0, 1]; {found}{unusual}. Bring the scan to [0, 1] first, for instance with the intensity "
        "window of its modality"
    )
