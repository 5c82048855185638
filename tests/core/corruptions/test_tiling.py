"""Tilings: every voxel in one box, a region as in the whole, and the voxels `corrupt --out` has always written."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.tiling import corrupt_region, corrupt_tiles, cut, tile_seed, tile_starts
from genesis_core.errors import RecipeError, SettingsError
from genesis_core.randomness import stream

GENESIS, PAPER = Recipe.genesis(), Recipe.paper()
shapes = st.tuples(*[st.integers(1, 26)] * 3)
sizes = st.tuples(*[st.integers(1, 14)] * 3)


def scan(shape: tuple[int, int, int]) -> Any:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def one_after_another(unit: Any, recipe: Recipe, seed: int, size: tuple[int, int, int]) -> Any:
    """The tiling as it is defined: a loop over the boxes, each padded with air, drawn, and cut again."""
    result = np.full_like(unit, -1)
    starts = itertools.product(*(range(0, n, step) for n, step in zip(unit.shape, size, strict=True)))
    for number, (z, y, x) in enumerate(starts):
        part = unit[z : z + size[0], y : y + size[1], x : x + size[2]]
        box = np.zeros(size, np.float32)
        box[: part.shape[0], : part.shape[1], : part.shape[2]] = part
        done = recipe(box, seed=stream(seed, "corrupt", number))
        result[z : z + size[0], y : y + size[1], x : x + size[2]] = done[tuple(slice(0, n) for n in part.shape)]
    return result


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([GENESIS, PAPER]), shapes, sizes, st.integers(0, 2**40), st.sampled_from([1, 2, 5]))
def test_the_whole_scan_is_the_loop_over_its_boxes_on_any_number_of_threads(
    recipe: Recipe, shape: tuple[int, int, int], size: tuple[int, int, int], seed: int, threads: int
) -> None:
    unit = scan(shape)
    before = unit.copy()
    unit.setflags(write=False)
    done = corrupt_tiles(unit, recipe, seed, size, threads=threads)
    assert np.array_equal(unit, before)
    assert done.dtype == np.float32
    assert np.array_equal(done, one_after_another(unit, recipe, seed, size))


@settings(deadline=None, max_examples=60)
@given(shapes, sizes, st.data())
def test_a_region_holds_the_voxels_of_the_whole(
    shape: tuple[int, int, int], size: tuple[int, int, int], data: st.DataObject
) -> None:
    first = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    extent = tuple(data.draw(st.integers(1, n - f)) for n, f in zip(shape, first, strict=True))
    unit = scan(shape)
    whole = corrupt_tiles(unit, GENESIS, 5, size, threads=1)
    part = corrupt_tiles(unit, GENESIS, 5, size, (first, extent))
    assert np.array_equal(part, whole[tuple(slice(f, f + n) for f, n in zip(first, extent, strict=True))])


def test_only_the_boxes_that_meet_a_region_are_read_and_progress_counts_them() -> None:
    unit = scan((20, 20, 20))
    read: list[tuple[int, int, int]] = []
    told: list[tuple[int, int]] = []

    def remember(start: tuple[int, int, int], size: tuple[int, int, int]) -> Any:
        read.append(start)
        return cut(unit, start, size)

    corrupt_region(
        remember,
        (20, 20, 20),
        GENESIS,
        1,
        (8, 8, 8),
        ((7, 0, 8), (2, 8, 1)),
        progress=lambda done, total: told.append((done, total)),
    )
    assert sorted(read) == [(0, 0, 8), (8, 0, 8)]
    assert told == [(1, 2), (2, 2)]


@given(shapes, sizes)
def test_every_voxel_lies_in_exactly_one_box(shape: tuple[int, int, int], size: tuple[int, int, int]) -> None:
    seen = np.zeros(shape, np.int64)
    starts = tile_starts(shape, size)
    for z, y, x in starts:
        seen[z : z + size[0], y : y + size[1], x : x + size[2]] += 1
    assert (seen == 1).all()
    assert starts == sorted(starts)


def test_boxes_have_draws_of_their_own_that_depend_on_the_seed() -> None:
    seeds = {tile_seed(seed, number) for seed in range(5) for number in range(50)}
    assert len(seeds) == 250
    same = np.full((16, 16, 32), 0.5, np.float32)
    done = corrupt_tiles(same, GENESIS, 2, (16, 16, 16))
    assert not np.array_equal(done[:, :, :16], done[:, :, 16:])


@pytest.mark.parametrize(
    "region", [((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (0, 2, 2)), ((0, 3, 0), (4, 2, 4)), ((4, 0, 0), (1, 1, 1))]
)
def test_a_region_that_leaves_the_scan_is_refused(region: Any) -> None:
    with pytest.raises(SettingsError, match="inside the scan"):
        corrupt_tiles(scan((4, 4, 4)), GENESIS, 0, (2, 2, 2), region)


def test_what_a_recipe_refuses_is_refused_from_the_threads_too() -> None:
    unit = scan((8, 8, 8))
    unit[7, 7, 7] = 1.5
    with pytest.raises(RecipeError, match=r"\[0, 1\]"):
        corrupt_tiles(unit, GENESIS, 0, (4, 4, 4), threads=2)
    with pytest.raises(SettingsError, match="at least one"):
        corrupt_tiles(unit, GENESIS, 0, (4, 0, 4))
