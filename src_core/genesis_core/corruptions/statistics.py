"""How hard a recipe makes it: what each of many draws does to one sub-volume, and how fast this machine draws them.

The two baselines are those of the proxy task: the error of returning the corrupted input, and of returning the mean. A
restoration that is no better than the smaller one has learnt nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genesis_core.parallel import available_cores
from genesis_core.randomness import uniforms

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Recipe

# A voxel counts as changed if it moved by more than this share of the range [0, 1]: 100 HU in the CT window of 2,000,
# what fat differs from water, so that the voxel looks like another tissue; scanner noise is a few times less. Under a
# threshold near 0 nearly every draw of the preset "genesis" changes all voxels, since nine in ten map intensities.
CHANGED = 0.05


@dataclass(frozen=True)
class DrawStatistics:
    """What one draw does to a sub-volume.

    seed: of the draw. applied: kinds of corruption, in their order. changed: fraction of voxels that differ by more
    than `CHANGED`. replaced: fraction whose content a cut-out threw away. return_input, return_mean: mean squared error
    of returning the corrupted input, and of returning the original's own mean, which no draw changes.
    """

    seed: int
    applied: tuple[str, ...]
    changed: float
    replaced: float
    return_input: float
    return_mean: float


@dataclass(frozen=True)
class Throughput:
    """Sub-volumes a second that this process corrupts: in one thread, and in as many `threads` as it may use cores."""

    one_thread: float
    all_threads: float
    threads: int


def draw_statistics(recipe: Recipe, sub_volume: NDArray[np.float32], seeds: Iterable[int]) -> Iterator[DrawStatistics]:
    """Yield what the draw of each seed does to a sub-volume, one after the other, so that a caller may stop any time.

    sub_volume: (z, y, x) or (y, x) in [0, 1], not changed. Raises RecipeError, at the first seed, for anything else.
    """
    return_mean = float(np.var(sub_volume, dtype=np.float64))
    for seed in seeds:
        draw = recipe.draw(sub_volume.shape, seed)
        difference = recipe.apply(sub_volume, draw)
        difference -= sub_volume
        np.abs(difference, out=difference)
        yield DrawStatistics(
            seed=seed,
            applied=draw.applied,
            changed=float(np.mean(difference > CHANGED)),
            replaced=float(np.mean(draw.mask())),
            return_input=float(np.mean(np.square(difference, out=difference), dtype=np.float64)),
            return_mean=return_mean,
        )


def sub_volumes_per_second(recipe: Recipe, shape: Sequence[int], seconds: float = 0.3) -> Throughput:
    """Measure how many sub-volumes a second a recipe corrupts here, in one thread and in all this process may use.

    shape: (z, y, x) or (y, x). seconds: how long each of the two is measured, at least one sub-volume a thread;
    compiling is not counted. Other programs at work make the figures smaller. Raises RecipeError for another shape.
    """
    from genesis_core.corruptions import warm

    recipe.draw(shape, 0)
    # Hashed noise: every value occurs, and none of the corruptions has an easy case.
    sub_volume = uniforms(1, int(np.prod(shape))).astype(np.float32).reshape(shape)
    warm()
    recipe(sub_volume, seed=0)

    def count(first: int, step: int, until: float) -> int:
        done = 0
        while done == 0 or time.perf_counter() < until:
            recipe(sub_volume, first + done * step)
            done += 1
        return done

    def rate(threads: int) -> float:
        with ThreadPoolExecutor(threads, "throughput") as pool:
            began = time.perf_counter()
            parts = [pool.submit(count, first, threads, began + seconds) for first in range(threads)]
            done = sum(part.result() for part in parts)
            return done / (time.perf_counter() - began)

    threads = available_cores()
    alone = rate(1)
    return Throughput(alone, rate(threads) if threads > 1 else alone, threads)
