"""Statistics of many draws: figures that can be computed by hand, and a speed that is a count over a time."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_volumes import ct_like

from genesis_core.corruptions import statistics
from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.statistics import CHANGED, draw_statistics, sub_volumes_per_second
from genesis_core.errors import RecipeError

GENESIS = Recipe.genesis()
NOTHING = Recipe.from_dict({"steps": []})
CONSTANT = Recipe.from_dict({"steps": [{"kind": "outer_cutout", "fill": "constant"}]})


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([GENESIS, Recipe.paper()]), st.integers(0, 2**40))
def test_every_figure_is_that_of_the_draw(recipe: Recipe, seed: int) -> None:
    x = ct_like(seed % 7)
    before = x.copy()
    (found,) = draw_statistics(recipe, x, [seed])
    assert np.array_equal(x, before)
    y, draw = recipe(x, seed), recipe.draw(x.shape, seed)
    assert found.seed == seed
    assert found.applied == draw.applied
    assert found.changed == (np.abs(y - x) > CHANGED).mean()
    assert found.replaced == draw.mask().mean()
    assert found.return_input == pytest.approx(((y.astype(np.float64) - x) ** 2).mean(), rel=1e-5)
    assert found.return_mean == pytest.approx(((x - x.mean(dtype=np.float64)) ** 2).mean(), rel=1e-6)


def test_a_recipe_that_does_nothing_changes_nothing() -> None:
    for found in draw_statistics(NOTHING, ct_like(1), range(3)):
        assert (found.changed, found.replaced, found.return_input, found.applied) == (0, 0, 0, ())
        assert found.return_mean > 0


def test_a_constant_painted_over_a_constant_counts_where_it_differs() -> None:
    x = np.full((8, 16, 16), 0.25, np.float32)
    for found in draw_statistics(CONSTANT, x, range(20)):
        value = float(CONSTANT(x, found.seed)[0, 0, 0])
        assert found.replaced > 0.2
        assert found.changed == (found.replaced if abs(value - 0.25) > CHANGED else 0)
        assert found.return_input == pytest.approx(found.replaced * (value - 0.25) ** 2, rel=1e-4)
        assert found.return_mean == 0


def test_draws_come_one_after_the_other_so_that_a_window_may_stop() -> None:
    endless = draw_statistics(GENESIS, ct_like(2), itertools.count(7))
    first, second = next(endless), next(endless)
    assert (first.seed, second.seed) == (7, 8)
    endless.close()


def test_values_outside_the_unit_interval_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"\[0, 1\]"):
        next(draw_statistics(GENESIS, ct_like(1) * 4, [1]))


@pytest.mark.parametrize("shape", [(8, 16, 16), (16, 16)])
def test_the_speed_is_measured_for_as_long_as_asked(shape: tuple[int, ...]) -> None:
    began = time.perf_counter()
    speed = sub_volumes_per_second(GENESIS, shape, seconds=0.05)
    assert time.perf_counter() - began >= 0.05 * (2 if speed.threads > 1 else 1)
    assert speed.one_thread > 0
    assert speed.all_threads > 0
    assert speed.threads >= 1


def test_the_speed_of_one_thread_is_a_count_over_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    class Slow:
        def draw(self, shape: tuple[int, ...], seed: int) -> None:
            return None

        def __call__(self, x: object, seed: int) -> None:
            threading.Event().wait(0.01)
            seeds.append(seed)

    monkeypatch.setattr(statistics, "available_cores", lambda: 3)
    speed = sub_volumes_per_second(Slow(), (4, 4, 4), seconds=0.2)  # type: ignore[arg-type]
    # Ten milliseconds each, and never less; three threads that only wait are three times as fast.
    assert 20 < speed.one_thread <= 100
    assert 1.5 * speed.one_thread < speed.all_threads <= 300
    assert speed.threads == 3
    # Draws differ tenfold in cost: a figure from one draw, again and again, would be that of the draw.
    assert len(set(seeds)) > len(seeds) // 2


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="shape"):
        sub_volumes_per_second(GENESIS, (4, 4, 4, 4))
