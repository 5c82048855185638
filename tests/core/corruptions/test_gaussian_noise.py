"""Gaussian noise: as strong as drawn, normal, each voxel its own, clipped to the range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import kstest

from genesis_core.corruptions.gaussian_noise import GaussianNoise, NoiseLevel
from genesis_core.corruptions.kernels.gaussian import normal_quantiles
from genesis_core.corruptions.recipe import Draw, Recipe, Step
from genesis_core.randomness import bits, stream

RECIPE = Recipe.read("denoising")
shapes = st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)


def sigma_of(draw: Draw) -> float:
    decided = draw.steps[0].decided
    assert isinstance(decided, NoiseLevel)
    return decided.sigma


def test_noise_is_normal_of_the_strength_that_was_drawn() -> None:
    x = np.full((64, 64, 32), 0.5, np.float32)
    # Strong enough to be measured, weak enough never to be clipped.
    recipe = Recipe(steps=(Step(corruption=GaussianNoise(max_sigma=0.1)),))
    draw = next(one for seed in range(100) if sigma_of(one := recipe.draw(x.shape, seed)) > 0.05)
    noise = recipe.apply(x, draw) - x
    sigma = sigma_of(draw)
    assert noise.mean() == pytest.approx(0, abs=4 * sigma / noise.size**0.5)
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert kstest(noise.ravel()[::7] / sigma, "norm").pvalue > 0.001
    for axis in range(3):
        ahead, behind = np.moveaxis(noise, axis, 0)[1:], np.moveaxis(noise, axis, 0)[:-1]
        assert abs(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) < 0.02


def test_strengths_are_uniform_up_to_the_largest() -> None:
    recipe = Recipe(steps=(Step(corruption=GaussianNoise(max_sigma=0.3)),))
    found = [sigma_of(recipe.draw((4, 4), seed)) for seed in range(2000)]
    assert kstest(np.array(found) / 0.3, "uniform").pvalue > 0.001


@settings(deadline=None, max_examples=60)
@given(shapes, seeds, st.floats(0, 1, width=32))
def test_noise_is_the_documented_hash_of_each_voxel_and_stays_in_range(
    shape: tuple[int, ...], seed: int, level: float
) -> None:
    x = np.full(shape, level, np.float32)
    draw = RECIPE.draw(shape, seed)
    y = RECIPE.apply(x, draw).ravel()
    steps = normal_quantiles() * np.float32(sigma_of(draw))
    key = stream(draw.steps[0].key, "noise", 0)
    for voxel in range(0, y.size, 1 + y.size // 100):
        part = bits(key, voxel // 4) >> (16 * (voxel % 4)) & 0xFFFF
        assert y[voxel] == np.clip(np.float32(level) + steps[part], np.float32(0), np.float32(1))


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    table = normal_quantiles()
    assert np.array_equal(table, -table[::-1])
    assert np.all(np.diff(table) > 0)
    assert np.mean(table.astype(np.float64) ** 2) == pytest.approx(1, abs=1e-6)
    assert table[40_000] == pytest.approx(ndtri(40_000.5 / 65_536), rel=1e-3)


def test_channels_have_noise_of_their_own() -> None:
    x = np.full((1, 2, 8, 9, 10), 0.5, np.float32)
    y = RECIPE(x, [3])
    assert not np.array_equal(y[0, 0], y[0, 1])
