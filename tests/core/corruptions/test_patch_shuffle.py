"""Patch shuffling: a permutation by swaps of patches that do not overlap, of the sizes that are set."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.corruptions.patch_shuffle import PatchShuffle, Swaps
from genesis_core.corruptions.recipe import Draw, Recipe, Step

RECIPE = Recipe.read("patch_shuffling")
shapes = st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)


def swaps_of(draw: Draw) -> Swaps:
    decided = draw.steps[0].decided
    assert isinstance(decided, Swaps)
    return decided


@settings(deadline=None, max_examples=100)
@given(shapes, seeds)
def test_every_voxel_is_kept_and_moves_with_its_patch(shape: tuple[int, ...], seed: int) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / np.float32(np.prod(shape))
    draw = RECIPE.draw(shape, seed)
    y = RECIPE.apply(x, draw)
    assert np.array_equal(np.sort(x, axis=None), np.sort(y, axis=None))
    expected = x.reshape(draw.shape3).copy()
    for swap in swaps_of(draw).swaps:
        before = expected.copy()
        places = [tuple(map(slice, box.start, np.add(box.start, box.size))) for box in (swap.first, swap.second)]
        expected[places[0]], expected[places[1]] = before[places[1]], before[places[0]]
        touched = np.zeros(draw.shape3, int)
        for place in places:
            touched[place] += 1
        assert touched.max() == 1
    assert np.array_equal(y, expected.reshape(shape))


def test_sizes_and_places_reach_what_is_set_and_no_further() -> None:
    shape = (32, 64, 48)
    boxes = [
        box
        for seed in range(200)
        for swap in swaps_of(RECIPE.draw(shape, seed)).swaps
        for box in (swap.first, swap.second)
    ]
    assert len(boxes) == 200 * 10 * 2
    for axis, length in enumerate(shape):
        sizes = {box.size[axis] for box in boxes}
        assert sizes == set(range(length // 4, length // 2 + 1))
        assert min(box.start[axis] for box in boxes) == 0
        assert max(box.start[axis] + box.size[axis] for box in boxes) == length


def test_where_two_patches_find_no_room_nothing_is_swapped() -> None:
    x = np.full((1, 1, 1), 0.25, np.float32)
    draw = RECIPE.draw(x.shape, 0)
    assert swaps_of(draw).swaps == ()
    assert np.array_equal(RECIPE.apply(x, draw), x)
    assert draw.describe() == "patch shuffling: 0 swaps of two patches"


def test_channels_move_together() -> None:
    x = np.random.default_rng(0).random((1, 1, 8, 9, 10), np.float32)
    y = RECIPE(np.concatenate((x, x), 1), [5])
    assert np.array_equal(y[0, 0], y[0, 1])
    assert not np.array_equal(y[0, 0], x[0, 0])


def test_as_many_swaps_as_are_set() -> None:
    recipe = Recipe(steps=(Step(corruption=PatchShuffle(swaps=3, min_size=0.1, max_size=0.2)),))
    assert len(swaps_of(recipe.draw((20, 20, 20), 1)).swaps) == 3
