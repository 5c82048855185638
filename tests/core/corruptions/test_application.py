"""Applying recipes to arrays: what is accepted, what is refused, and that nothing but (x, seed) matters."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.corruptions import application
from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import RecipeError

GENESIS, PAPER = Recipe.genesis(), Recipe.paper()
EVERY_KIND = Recipe.from_dict(
    {
        "steps": [
            {"kind": "gaussian_noise", "probability": 0.3},
            {"kind": "local_shuffle", "probability": 0.5, "windows": 300},
            {"kind": "nonlinear", "probability": 0.5},
            {"kind": "patch_shuffle", "probability": 0.2},
            {"kind": "inner_cutout", "probability": 0.5, "margin": 0, "fill": "constant"},
            {"kind": "outer_cutout", "probability": 0.3, "margin": 0},
        ]
    }
)
recipes = st.sampled_from([GENESIS, PAPER])
shapes = st.lists(st.integers(1, 24), min_size=2, max_size=3).map(tuple)
seeds = st.integers(-(2**70), 2**70)


def volume(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@settings(deadline=None, max_examples=60)
@given(recipes, shapes, seeds)
def test_any_shape_gives_a_new_float32_array_in_the_unit_interval_and_the_input_stays(
    recipe: Recipe, shape: tuple[int, ...], seed: int
) -> None:
    x = volume(shape)
    before = x.copy()
    x.setflags(write=False)
    y = recipe(x, seed)
    assert np.array_equal(x, before)
    assert y.shape == shape
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert not np.shares_memory(x, y)
    assert y.min() >= 0
    assert y.max() <= 1
    assert np.array_equal(y, recipe(x, seed))
    assert np.array_equal(y, recipe.apply(x, recipe.draw(shape, seed)))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([GENESIS, PAPER, EVERY_KIND]),
    shapes,
    st.lists(seeds, min_size=1, max_size=5),
    st.integers(1, 3),
    st.sampled_from([1, 2, 5]),
    st.sampled_from(["_LARGE", "_MIDDLING", None]),
)
def test_a_sample_is_the_same_alone_in_a_batch_and_on_any_number_of_threads(
    recipe: Recipe, shape: tuple[int, ...], many: list[int], channels: int, threads: int, taken_as: str | None
) -> None:
    x = volume((len(many), channels, *shape))
    taken = patch.object(application, taken_as, 0) if taken_as else nullcontext()
    with taken:
        y = recipe(x, many, threads=threads)
    assert y.shape == x.shape
    for index, seed in enumerate(many):
        assert np.array_equal(y[index, 0], recipe(x[index, 0], seed))
        assert np.array_equal(y[index], recipe(x[index : index + 1], [seed])[0])
    draws = [recipe.draw(shape, seed) for seed in many]
    assert np.array_equal(y, recipe.apply(x, draws))


def test_seeds_may_be_an_array_of_whole_numbers() -> None:
    x = volume((3, 1, 8, 16, 16))
    assert np.array_equal(GENESIS(x, np.arange(3)), GENESIS(x, [0, 1, 2]))
    assert np.array_equal(GENESIS(x[0, 0], np.int64(2)), GENESIS(x[0, 0], 2))


@pytest.mark.parametrize("shape", [(32, 64, 64), (64, 96, 96)])
def test_a_published_size_is_the_same_on_one_and_two_threads(shape: tuple[int, ...]) -> None:
    x = volume((6, 1, *shape))
    one = GENESIS(x, range(6), threads=1)
    assert np.array_equal(one, GENESIS(x, range(6), threads=2))
    assert np.array_equal(one, GENESIS(x, range(6)))


@pytest.mark.parametrize(
    ("shape", "samples", "halved"),
    [((112, 112, 112), 5, 5), ((64, 96, 96), 6, 4), ((64, 96, 96), 2, 2), ((32, 64, 64), 6, 0)],
)
def test_large_samples_are_shared_by_halves_and_the_last_of_middling_ones(
    shape: tuple[int, ...], samples: int, halved: int
) -> None:
    x = volume((samples, 1, *shape))
    with patch.object(application, "_apply_steps", wraps=application._apply_steps) as applied:
        GENESIS(x, range(samples), threads=2)
    depth = shape[0]
    planes = Counter(call.args[3] for call in applied.call_args_list)
    expected = {(0, depth): samples - halved, (0, depth // 2): halved, (depth // 2, depth): halved}
    assert planes == {part: count for part, count in expected.items() if count}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_does_the_same_although_it_has_none_of_the_threads() -> None:
    x = volume((6, 1, 12, 12, 12))
    one = GENESIS(x, range(6), threads=2)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(one, GENESIS(x, range(6), threads=2)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_image_is_a_volume_of_one_slice() -> None:
    x = volume((40, 50))
    for seed in range(10):
        assert np.array_equal(GENESIS(x, seed), GENESIS(x[None], seed)[0])
        assert GENESIS.draw(x.shape, seed).mask().shape == (40, 50)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 200, 7), (7, 7, 7), (2, 3), (1, 1), (13, 13, 13), (1, 500)])
def test_small_and_flat_shapes_work(shape: tuple[int, ...]) -> None:
    x = volume(shape)
    for recipe in (GENESIS, PAPER):
        for seed in range(40):
            y = recipe(x, seed)
            unpainted = ~recipe.draw(shape, seed).mask()
            assert y.shape == shape
            assert unpainted.shape == shape


def test_what_is_drawn_does_not_depend_on_the_voxels_or_on_earlier_calls() -> None:
    draw = GENESIS.draw((8, 16, 16), 4)
    for seed in range(20):
        GENESIS(volume((8, 16, 16), seed), seed)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert GENESIS.draw((8, 16, 16), 4) == draw
    GENESIS(volume((8, 16, 16)), 4)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_different_seeds_give_different_results() -> None:
    x = volume((16, 32, 32))
    assert len({GENESIS(x, seed).tobytes() for seed in range(100)}) > 95


@pytest.mark.parametrize("kind", [np.float64, np.float16, ">f4"])
def test_other_floats_are_converted(kind: Any) -> None:
    x = volume((8, 16, 16)).astype(kind)
    assert np.array_equal(GENESIS(x, 2), GENESIS(x.astype(np.float32), 2))


def test_strided_input_and_lists_of_floats_work() -> None:
    x = volume((16, 32, 32))
    for view in (x[::2, ::-1, 3:], x.T, np.asfortranarray(x)):
        assert np.array_equal(GENESIS(view, 2), GENESIS(np.ascontiguousarray(view), 2))
    assert GENESIS([[0.0, 1.0], [0.5, 0.25]], 1).shape == (2, 2)


def test_the_ends_of_the_interval_and_minus_zero_are_inside() -> None:
    x = np.array([[0.0, -0.0, 1.0, 0.5] * 20], np.float32)
    for seed in range(30):
        y = GENESIS(x, seed)
        assert y.min() >= 0
        assert y.max() <= 1


@pytest.mark.parametrize("bad", [-1e-6, np.nextafter(np.float32(1), np.float32(2)), np.nan, np.inf, -np.inf, -1000.0])
@pytest.mark.parametrize("place", [0, 4999, 9999])
def test_one_value_outside_the_unit_interval_is_refused(bad: float, place: int) -> None:
    x = volume((10, 20, 50))
    x.reshape(-1)[place] = bad
    with pytest.raises(RecipeError, match=r"values must lie in \[0, 1\]"):
        GENESIS(x, 1)
    with pytest.raises(RecipeError, match=r"values must lie in \[0, 1\]"):
        GENESIS(np.stack([volume(x.shape), x])[:, None], [1, 2])


def test_the_message_says_what_was_found() -> None:
    with pytest.raises(RecipeError, match=r"found -1000 to 400 and 1 that are not finite"):
        GENESIS(np.array([[-1000.0, 400.0, np.nan]]), 1)
    with pytest.raises(RecipeError, match="no finite value"):
        GENESIS(np.array([[np.nan, np.inf]]), 1)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.bool_, np.complex64, object])
def test_other_kinds_of_array_are_refused_with_advice(kind: Any) -> None:
    with pytest.raises(RecipeError, match=r"floats in \[0, 1\].*intensity window"):
        GENESIS(np.zeros((4, 4, 4), kind), 1)


@pytest.mark.parametrize(
    ("shape", "seed", "words"),
    [
        ((4,), 1, r"\(z, y, x\) or \(y, x\)"),
        ((2, 1, 4, 4), 1, "list of seeds"),
        ((4, 4, 4), [1], "batch, channel"),
        ((2, 1, 4, 4), [1], "1 seeds for a batch of 2"),
        ((2, 1, 4, 4), [1, 2, 3], "3 seeds for a batch of 2"),
        ((0, 4, 4), 1, "no voxel"),
        ((4, 4), 1.5, "whole number"),
        ((4, 4), "7", "whole number"),
    ],
)
def test_shapes_and_seeds_that_do_not_fit_are_refused(shape: tuple[int, ...], seed: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        GENESIS(np.zeros(shape, np.float32), seed)


def test_a_draw_for_another_shape_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"\(4, 4\).*\(4, 5\)"):
        GENESIS.apply(np.zeros((4, 4), np.float32), GENESIS.draw((4, 5), 1))
    with pytest.raises(RecipeError, match="draw was made for"):
        GENESIS.apply(np.zeros((1, 1, 4, 4), np.float32), [GENESIS.draw((4, 5), 1)])


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4), (0, 4), (4, -1), (2.5, 3), 7])
def test_a_draw_needs_two_or_three_axes(shape: Any) -> None:
    with pytest.raises(RecipeError, match="shape"):
        GENESIS.draw(shape, 1)
