"""Trees and tubes: a tree reaches every target, a tube fills what its radius says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.phantom.canvas import Grid
from genesis_core.phantom.texture import blur3, smooth_field, white_noise
from genesis_core.phantom.tree import grow_tree
from genesis_core.phantom.tubes import Tubes, distance, fine_coverage, polyline
from genesis_core.randomness import uniforms

AXIS = np.arange(-20, 21, dtype=np.float32)
GRID = Grid(AXIS, AXIS, AXIS)


@given(seed=st.integers(0, 2**63), depth=st.integers(0, 7))
@settings(deadline=None, max_examples=30)
def test_a_tree_reaches_every_target_and_thins_toward_its_tips(seed: int, depth: int) -> None:
    targets = uniforms(seed, 3 * 2**depth).reshape(-1, 3) * 100
    generations = grow_tree(np.zeros(3), targets, 0.5, seed)
    assert len(generations) == depth + 1
    tips = generations[-1].ends[-len(targets) :]
    assert np.allclose(np.sort(tips, axis=0), np.sort(targets, axis=0))
    radii = [float(part.last.min()) for part in generations]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == pytest.approx(0.5)


def test_every_branch_begins_where_its_parent_ends() -> None:
    generations = grow_tree(np.zeros(3), uniforms(1, 48).reshape(-1, 3) * 50, 0.5, 1)
    for parent, child in itertools.pairwise(generations):
        ends = parent.ends[len(parent.ends) // 2 :]
        begins = child.starts[: len(child.starts) // 2]
        assert np.allclose(np.repeat(ends, 2, axis=0), begins)


def test_a_tree_serves_a_power_of_two_of_targets() -> None:
    with pytest.raises(ValueError, match="power of two"):
        grow_tree(np.zeros(3), np.zeros((3, 3)), 0.5, 1)


@given(radius=st.floats(2, 6), slant=st.floats(-8, 8))
@settings(deadline=None, max_examples=20)
def test_the_distance_to_a_tube_is_that_to_its_axis_less_the_radius(radius: float, slant: float) -> None:
    tube = Tubes(np.array([[-30.0, 0, -slant]]), np.array([[30.0, 0, slant]]), np.array([radius]), np.array([radius]))
    z, y, x = GRID.z[:, None, None], GRID.y[None, :, None], GRID.x[None, None, :]
    direction = np.array([60, 0, 2 * slant]) / np.hypot(60, 2 * slant)
    along = x * direction[0] + z * direction[2]
    expected = np.sqrt(np.maximum(x**2 + y**2 + z**2 - along**2, 0)) - radius
    found = distance(GRID, tube, 10)
    near = (found < 900) & (np.abs(along) < 25)
    assert near.any()
    assert np.allclose(found[near], np.broadcast_to(expected, near.shape)[near], atol=1e-2)


@pytest.mark.parametrize("radius", [0.2, 0.5, 1.0, 3.0])
def test_a_tube_fills_about_its_volume_even_if_thinner_than_a_voxel(radius: float) -> None:
    tube = polyline([(-12, 0.3, 0.2), (12, 0.3, 0.2)], radius)
    assert fine_coverage(GRID, tube).sum() == pytest.approx(np.pi * radius**2 * 24, rel=0.5)


def test_tubes_outside_the_grid_leave_nothing() -> None:
    away = polyline([(500, 0, 0), (600, 0, 0)], 3.0)
    assert fine_coverage(GRID, away).max() == 0
    assert distance(GRID, away, 5).min() == 1000


@given(key=st.integers(0, 2**64 - 1), pitch=st.floats(1, 9))
@settings(deadline=None, max_examples=20)
def test_a_smooth_field_has_mean_zero_and_changes_slowly(key: int, pitch: float) -> None:
    field = smooth_field(key, (20, 24, 28), (pitch, pitch, pitch))
    assert field.shape == (20, 24, 28)
    assert np.abs(field).max() < 6
    if pitch > 4:
        assert np.abs(np.diff(field, axis=2)).max() < 1.5


def test_white_noise_has_deviation_one_and_the_blur_keeps_its_mean() -> None:
    noise = white_noise(7, (30, 30, 30))
    assert noise.std() == pytest.approx(1, abs=0.01)
    blurred = blur3(noise, (0.1, 0.2, 0.2))
    assert blurred.mean() == pytest.approx(noise.mean(), abs=1e-3)
    assert blurred.std() < 0.6
