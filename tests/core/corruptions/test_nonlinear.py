"""The intensity curve: its ends, its direction, and how close the table is to the curve it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.corruptions.nonlinear import Curve, Nonlinear, Point
from genesis_core.corruptions.recipe import Recipe, Step

unit = st.floats(0.0, 1.0)


def intensities() -> NDArray[np.float32]:
    """Values over all of [0, 1], most of them where curves can be vertical, neighbouring floats among them, sorted."""
    rng = np.random.default_rng(0)
    near_zero, near_one = 10 ** rng.uniform(-12, 0, 3000), 1 - 10 ** rng.uniform(-7, 0, 3000)
    centre = 0.5 + rng.uniform(-1, 1, 3000) * 10 ** rng.uniform(-6, 0, 3000) / 2
    values = np.concatenate([np.linspace(0, 1, 4097), near_zero, near_one, centre]).astype(np.float32)
    return np.unique(np.clip(np.concatenate([values, np.nextafter(values, np.float32(0))]), 0, 1))


VALUES = intensities()


def sampled(curve: Curve, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The published way: 100,000 points along the curve, and straight lines between them."""
    t = np.linspace(0.0, 1.0, 100_000)
    ends = (1.0, 0.0) if curve.decreasing else (0.0, 1.0)

    def bernstein(first: float, a: float, b: float, last: float) -> NDArray[np.float64]:
        return first * (1 - t) ** 3 + 3 * a * t * (1 - t) ** 2 + 3 * b * t**2 * (1 - t) + last * t**3

    x = bernstein(0.0, curve.first.x, curve.second.x, 1.0)
    y = bernstein(ends[0], curve.first.y, curve.second.y, ends[1])
    return np.interp(values.astype(np.float64), x, y)


@settings(deadline=None, max_examples=150)
@given(unit, unit, unit, unit, st.booleans())
@example(0.0, 1.0, 0.0, 1.0, False)
@example(1.0, 0.0, 0.0, 1.0, True)
@example(1.0, 1.0, 0.0, 0.0, False)
@example(0.0, 0.0, 1.0, 1.0, True)
@example(1e-4, 1.0, 0.9999, 0.0, False)
@example(0.99609375, 0.0, 0.9971083315759239, 0.998046875, False)
def test_every_curve_is_monotone_and_within_1e_4_of_the_published_sampling(
    x1: float, y1: float, x2: float, y2: float, decreasing: bool
) -> None:
    curve = Curve(first=Point(x=x1, y=y1), second=Point(x=x2, y=y2), decreasing=decreasing)
    mapped = curve(VALUES)
    steps = np.diff(mapped)
    assert (steps <= 0).all() if decreasing else (steps >= 0).all()
    assert (mapped[0], mapped[-1]) == ((1.0, 0.0) if decreasing else (0.0, 1.0))
    assert np.abs(mapped - sampled(curve, VALUES)).max() <= 1e-4


def test_a_typical_curve_is_within_2e_5() -> None:
    recipe = Recipe(steps=(Step(corruption=Nonlinear()),))
    for seed in range(100):
        curve = recipe.draw((4, 4), seed).steps[0].decided
        assert isinstance(curve, Curve)
        assert np.abs(curve(VALUES) - sampled(curve, VALUES)).max() <= 2e-5


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**63), st.integers(1, 70))
def test_voxels_get_exactly_the_values_of_the_drawn_curve(seed: int, length: int) -> None:
    recipe = Recipe(steps=(Step(corruption=Nonlinear()),))
    x = np.random.default_rng(1).random((3, length), dtype=np.float32)
    curve = recipe.draw(x.shape, seed).steps[0].decided
    assert isinstance(curve, Curve)
    assert np.array_equal(recipe(x, seed), curve(x))


def test_a_mirrored_curve_is_one_minus_the_curve() -> None:
    rising = Curve(first=Point(x=0.2, y=0.7), second=Point(x=0.5, y=0.4), decreasing=False)
    falling = Curve(first=Point(x=0.2, y=1 - 0.7), second=Point(x=0.5, y=1 - 0.4), decreasing=True)
    assert np.allclose(falling(VALUES), 1 - rising(VALUES), atol=1e-6)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, {False}), (1.0, {True})])
def test_the_chance_of_a_falling_curve_is_a_parameter(chance: float, expected: set[bool]) -> None:
    recipe = Recipe(steps=(Step(corruption=Nonlinear(decreasing=chance)),))
    curves = [recipe.draw((4, 4), seed).steps[0].decided for seed in range(50)]
    assert {curve.decreasing for curve in curves if isinstance(curve, Curve)} == expected
