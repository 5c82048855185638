"""The genesis preset against what was measured on the published code: 2,000 draws each at 64x64x32 voxels (x, y, z).

Tolerances are a few standard errors of the number of draws made here.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_volumes import ct_like, smooth

from genesis_core.corruptions.boxes import Boxes, covered_fraction
from genesis_core.corruptions.nonlinear import Curve
from genesis_core.corruptions.recipe import Recipe

SHAPE = (32, 64, 64)
GENESIS = Recipe.genesis()
VOLUMES = 40


@cache
def volumes(name: str) -> list[NDArray[np.float32]]:
    return [(smooth if name == "smooth" else ct_like)(seed) for seed in range(VOLUMES)]


def errors(name: str, count: int, apply: tuple[str, ...] | None) -> NDArray[np.float64]:
    """The mean squared change of `count` draws."""
    found = []
    for seed in range(count):
        x = volumes(name)[seed % VOLUMES]
        y = GENESIS.apply(x, GENESIS.draw(SHAPE, seed, apply))
        found.append(np.square(y - x).mean(dtype=np.float64))
    return np.array(found)


def test_the_input_is_the_published_one() -> None:
    # Check values of the formula, in its own order (x, y, z).
    assert smooth(0).shape == SHAPE
    assert smooth(0).min() == 0
    assert smooth(0).max() == 1
    assert ct_like(0).min() >= 0.06
    assert ct_like(0).max() <= 0.61


@pytest.mark.parametrize(
    ("kind", "name", "count", "expected", "tolerance"),
    [
        ("local_shuffle", "smooth", 40, 0.0074, 0.0007),
        ("local_shuffle", "ct", 40, 0.0042, 0.0009),
        ("nonlinear", "smooth", 500, 0.068, 0.009),
        ("nonlinear", "ct", 500, 0.280, 0.045),
        ("inner_cutout", "smooth", 400, 0.0057, 0.0005),
        ("inner_cutout", "ct", 400, 0.0126, 0.0010),
        ("outer_cutout", "smooth", 300, 0.0701, 0.0020),
        ("outer_cutout", "ct", 300, 0.156, 0.004),
        (None, "smooth", 500, 0.082, 0.006),
        (None, "ct", 500, 0.239, 0.025),
    ],
)
def test_mean_squared_change(kind: str | None, name: str, count: int, expected: float, tolerance: float) -> None:
    assert errors(name, count, (kind,) if kind else None).mean() == pytest.approx(expected, abs=tolerance)


def test_intensity_curves() -> None:
    grid = np.linspace(0, 1, 1001, dtype=np.float32)
    t = np.linspace(0, 1, 4001)
    rising, falling, at_half, at_tenth, slopes = [], [], [], [], []
    for seed in range(2000):
        curve = GENESIS.draw(SHAPE, seed, apply=("nonlinear",)).steps[0].decided
        assert isinstance(curve, Curve)
        mapped = curve(grid).astype(np.float64)
        if curve.decreasing:
            falling.append((np.abs(mapped - (1 - grid)).mean(), np.abs(mapped - grid).mean()))
            continue
        rising.append(np.abs(mapped - grid).mean())
        at_half.append(mapped[500])
        at_tenth.append(mapped[100])
        speed = [
            3 * (a * (1 - t) ** 2 + 2 * (b - a) * t * (1 - t) + (1 - b) * t**2)
            for a, b in ((curve.first.x, curve.second.x), (curve.first.y, curve.second.y))
        ]
        slopes.append((speed[1] / np.maximum(speed[0], 1e-12)).max())
    assert len(falling) / 2000 == pytest.approx(0.5, abs=0.04)
    assert np.mean(rising) == pytest.approx(0.119, abs=0.010)
    assert np.std(rising) == pytest.approx(0.074, abs=0.008)
    assert np.mean(at_half) == pytest.approx(0.501, abs=0.025)
    assert np.std(at_half) == pytest.approx(0.203, abs=0.02)
    assert np.mean(at_tenth) == pytest.approx(0.132, abs=0.015)
    assert np.median(slopes) == pytest.approx(2.55, abs=0.25)
    assert np.percentile(slopes, 95) == pytest.approx(16.7, rel=0.35)
    assert np.mean(falling, axis=0) == pytest.approx([0.118, 0.498], abs=0.010)


def test_local_shuffling_moves_voxels_as_far_and_as_often() -> None:
    count = int(np.prod(SHAPE))
    # 17 bits number the voxels exactly in float32.
    numbers = (np.arange(count) / count).astype(np.float32).reshape(SHAPE)
    place = np.indices(SHAPE)
    figures = []
    for seed in range(25):
        moved = GENESIS.apply(numbers, GENESIS.draw(SHAPE, seed, apply=("local_shuffle",)))
        origin = np.rint(moved.astype(np.float64) * count).astype(np.int64)
        jump = np.abs(np.stack(np.unravel_index(origin, SHAPE)) - place)
        changed = origin != np.arange(count).reshape(SHAPE)
        shell = np.ones(SHAPE, bool)
        shell[1:-1, 1:-1, 1:-1] = False
        # Away from the faces by the largest window, where coverage no longer depends on the place.
        interior = np.zeros(SHAPE, bool)
        interior[3:-3, 6:-6, 6:-6] = True
        jumps = jump[:, changed]
        assert (jumps.max(axis=1) == [2, 5, 5]).all()
        share = np.bincount(jumps[2], minlength=6) / jumps.shape[1]
        figures.append(
            [
                changed.mean(),
                changed[shell].mean(),
                changed[interior].mean(),
                1 - len(np.unique(origin)) / count,
                np.sqrt(np.square(jumps).sum(axis=0)).mean(),
                jumps[2].mean(),
                jumps[0].mean(),
                *share,
            ]
        )
    mean = np.mean(figures, axis=0)
    assert mean[0] == pytest.approx(0.7851, abs=0.003)
    assert mean[1] == pytest.approx(0.4986, abs=0.005)
    assert mean[2] == pytest.approx(0.8516, abs=0.006)
    assert mean[3] == pytest.approx(0.2126, abs=0.0015)
    assert mean[4:7] == pytest.approx([2.535, 1.404, 0.635], abs=0.01)
    assert mean[7:] == pytest.approx([0.257, 0.352, 0.208, 0.114, 0.053, 0.017], abs=0.003)


def test_windows_cover_the_published_share_of_voxels() -> None:
    covered = []
    for seed in range(10):
        seen = np.zeros(SHAPE, bool)
        for start, size in GENESIS.draw(SHAPE, seed, apply=("local_shuffle",)).windows():
            seen[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
        covered.append(seen.mean())
    assert np.mean(covered) == pytest.approx(0.8191, abs=0.003)


@pytest.mark.parametrize(
    ("kind", "mean", "spread"), [("inner_cutout", 0.0553, 0.0207), ("outer_cutout", 0.3170, 0.0611)]
)
def test_painted_and_kept_shares(kind: str, mean: float, spread: float) -> None:
    shares = []
    for seed in range(2000):
        boxes = GENESIS.draw(SHAPE, seed, apply=(kind,)).steps[0].decided
        assert isinstance(boxes, Boxes)
        shares.append(covered_fraction(boxes.boxes, SHAPE))
    assert np.mean(shares) == pytest.approx(mean, abs=4.5 * spread / 2000**0.5)
    assert np.std(shares) == pytest.approx(spread, rel=0.06)


def test_one_draw_in_two_hundred_changes_nothing() -> None:
    x = np.random.default_rng(0).random((24, 24, 24), dtype=np.float32)
    same = 0
    draws = 6000
    for seed in range(draws):
        draw = GENESIS.draw(x.shape, seed)
        # A shuffling changes voxels at this size, and so does a curve; only cut-outs may turn out empty.
        if not {"local_shuffle", "nonlinear"} & set(draw.applied) and not draw.mask().any():
            same += 1
    # Not counting volumes that are only shuffled without effect, 0.05 * (0.1 + 0.9 * 0.2 * 0.05).
    assert same / draws == pytest.approx(0.00545, abs=0.0035)


def test_coverage_falls_with_the_size_because_the_number_of_windows_is_fixed() -> None:
    shares = []
    for length in (32, 64, 96):
        shape = (length,) * 3
        seen = np.zeros(shape, bool)
        for start, size in GENESIS.draw(shape, 1, apply=("local_shuffle",)).windows():
            seen[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
        shares.append(seen.mean())
    assert shares == pytest.approx([0.894, 0.777, 0.727], abs=0.01)
    assert all(a > b for a, b in pairwise(shares))
