"""Local shuffling: what each window may do, and which one wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.recipe import Draw, Recipe, Step
from genesis_core.randomness import bits, stream

shapes = st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)


def numbered(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Every voxel its own value: its number, scaled into [0, 1)."""
    count = int(np.prod(shape))
    return (np.arange(count) / 2.0 ** np.ceil(np.log2(count + 1))).astype(np.float32).reshape(shape)


def shuffled(
    shape: tuple[int, ...], seed: int, **parameters: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], Draw]:
    recipe = Recipe(steps=(Step(corruption=LocalShuffle(**parameters)),))
    x = numbered(shape)
    draw = recipe.draw(shape, seed)
    return x, recipe.apply(x, draw), draw


def as_slices(window: NDArray[np.int64]) -> tuple[slice, ...]:
    return tuple(slice(int(start), int(start + size)) for start, size in zip(window[0], window[1], strict=True))


@settings(deadline=None, max_examples=60)
@given(shapes, seeds, st.floats(0.01, 1.0))
def test_one_window_permutes_exactly_its_own_voxels(shape: tuple[int, ...], seed: int, largest: float) -> None:
    x, y, draw = shuffled(shape, seed, windows=1, max_window=largest)
    (window,) = draw.windows()
    x, y = x.reshape(draw.shape3), y.reshape(draw.shape3)
    inside = np.zeros(x.shape, bool)
    inside[as_slices(window)] = True
    assert np.array_equal(np.sort(x[inside]), np.sort(y[inside]))
    assert np.array_equal(x[~inside], y[~inside])


@settings(deadline=None, max_examples=40)
@given(shapes, seeds, st.integers(0, 60), st.floats(0.05, 0.6))
def test_a_covered_voxel_holds_an_original_value_of_its_last_window_and_no_other_voxel_changes(
    shape: tuple[int, ...], seed: int, count: int, largest: float
) -> None:
    x, y, draw = shuffled(shape, seed, windows=count, max_window=largest)
    x, y = x.reshape(draw.shape3), y.reshape(draw.shape3)
    last = np.full(x.shape, -1)
    windows = draw.windows()
    assert windows.shape == (count, 2, 3)
    for index, window in enumerate(windows):
        last[as_slices(window)] = index
    for index, window in enumerate(windows):
        mine = y[last == index]
        assert np.isin(mine, x[as_slices(window)]).all()
        assert len(np.unique(mine)) == len(mine)
    assert np.array_equal(x[last < 0], y[last < 0])


@settings(deadline=None, max_examples=40)
@given(shapes, seeds, st.floats(0.01, 1.0))
def test_windows_lie_inside_and_have_the_sizes_asked_for(shape: tuple[int, ...], seed: int, largest: float) -> None:
    draw = shuffled(shape, seed, windows=200, max_window=largest)[2]
    start, size = draw.windows()[:, 0], draw.windows()[:, 1]
    most = [max(1, int(np.floor(length * largest + 1e-9))) for length in draw.shape3]
    assert (start >= 0).all()
    assert (size >= 1).all()
    assert (size <= most).all()
    assert (start + size <= draw.shape3).all()


def test_window_sizes_and_places_are_uniform() -> None:
    draw = shuffled((20, 40, 64), 5, windows=60_000)[2]
    start, size = draw.windows()[:, 0], draw.windows()[:, 1]
    for axis, (length, most) in enumerate(((20, 2), (40, 4), (64, 6))):
        counts = np.bincount(size[:, axis], minlength=most + 1)[1:]
        assert np.allclose(counts / 60_000, 1 / most, atol=0.008)
        places = start[size[:, axis] == most, axis]
        counts = np.bincount(places, minlength=length - most + 1)
        assert np.allclose(counts / len(places), 1 / (length - most + 1), rtol=0.25)


def test_every_order_of_a_window_is_equally_likely() -> None:
    orders: dict[bytes, int] = {}
    recipe = Recipe(steps=(Step(corruption=LocalShuffle(windows=1, max_window=1.0)),))
    x = np.array([[0.0, 0.25, 0.5]], np.float32)
    total = 0
    for seed in range(20_000):
        draw = recipe.draw(x.shape, seed)
        if draw.windows()[0, 1, 2] == 3:
            total += 1
            key = recipe.apply(x, draw).tobytes()
            orders[key] = orders.get(key, 0) + 1
    assert len(orders) == 6
    assert np.allclose(np.array(list(orders.values())) / total, 1 / 6, atol=0.015)


@pytest.mark.parametrize("shape", [(5, 9, 13), (12, 31), (3, 40, 7)])
def test_the_result_is_that_of_the_plain_algorithm_with_the_documented_hashes(shape: tuple[int, ...]) -> None:
    parameters = {"windows": 300, "max_window": 0.4}
    x, y, draw = shuffled(shape, 11, **parameters)
    source = x.reshape(draw.shape3)
    expected = source.copy()
    windows, order, counter = stream(draw.steps[0].key, "windows"), stream(draw.steps[0].key, "order"), 0
    largest = LocalShuffle(**parameters).largest(draw.shape3)
    for index in range(300):
        place = []
        for axis in range(3):
            word = bits(windows, 3 * index + axis)
            size = 1 + ((word >> 32) * largest[axis] >> 32)
            start = (word & 0xFFFFFFFF) * (draw.shape3[axis] - size + 1) >> 32
            place.append(slice(start, start + size))
        values = source[tuple(place)].ravel().copy()
        for item in range(len(values)):
            half = bits(order, counter // 2) >> (32 if counter % 2 else 0) & 0xFFFFFFFF
            other = half * (item + 1) >> 32
            values[item], values[other] = values[other], values[item]
            counter += 1
        expected[tuple(place)] = values.reshape(expected[tuple(place)].shape)
    assert np.array_equal(y.reshape(draw.shape3), expected)


def test_channels_share_windows_and_orders() -> None:
    x = numbered((12, 20, 20))
    recipe = Recipe(steps=(Step(corruption=LocalShuffle()),))
    y = recipe(np.stack([x, x])[None], seed=[3])
    assert np.array_equal(y[0, 0], y[0, 1])


def test_a_second_shuffling_starts_from_the_result_of_the_first() -> None:
    step = Step(corruption=LocalShuffle(windows=500))
    x = numbered((16, 24, 24))
    recipe = Recipe(steps=(step, step))
    draw = recipe.draw(x.shape, 8)
    first = recipe.apply(x, Draw(draw.shape, draw.seed, draw.steps[:1]))
    second = recipe.apply(first, Draw(draw.shape, draw.seed, draw.steps[1:]))
    assert np.array_equal(recipe.apply(x, draw), second)
    assert draw.windows().shape == (1000, 2, 3)
