"""The Genesis corruptions in the style of the published code: numpy, and a Python loop over ten thousand windows.

Own code, after the paper (Zhou et al. 2021) and the figures of the code since 2020-02-20, those of `Recipe.genesis()`:
sizes, numbers, probabilities; a curve of 100,000 points. Not for use: the compiled corruptions are timed beside it.
Every function takes a sub-volume in [0, 1] and returns another array; random numbers are Python's and numpy's own.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

WINDOWS = 10_000
CURVE_POINTS = 100_000
# Voxels at every face that no box touches, and the chance of one more box, up to five.
MARGIN, ANOTHER, BOXES = 3, 0.95, 5


def local_shuffle(x: Any) -> Any:
    """Permute the voxels of windows of up to a tenth of each side, every window read from the input."""
    out, (depth, height, width) = x.copy(), x.shape
    for _ in range(WINDOWS):
        a, b, c = random.randint(1, depth // 10), random.randint(1, height // 10), random.randint(1, width // 10)
        z, y, x0 = random.randint(0, depth - a), random.randint(0, height - b), random.randint(0, width - c)
        voxels = x[z : z + a, y : y + b, x0 : x0 + c].flatten()
        np.random.shuffle(voxels)  # noqa: NPY002
        out[z : z + a, y : y + b, x0 : x0 + c] = voxels.reshape(a, b, c)
    return out


def nonlinear(x: Any) -> Any:
    """Map intensities by a monotonic cubic Bezier curve, one in two decreasing, through a table."""
    t = np.linspace(0.0, 1.0, CURVE_POINTS)
    first, second = 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t)
    inputs, outputs = (random.random() * first + random.random() * second + t**3 for _ in range(2))
    if random.random() < 0.5:
        outputs = outputs[::-1]
    return np.interp(x, inputs, outputs)


def inner_cutout(x: Any) -> Any:
    """Replace boxes of a sixth to a third of each side by noise."""
    out = x.copy()
    for _ in range(BOXES):
        if random.random() >= ANOTHER:
            break
        sides = [random.randint(length // 6, length // 3) for length in x.shape]
        out[_inside(x.shape, sides)] = np.random.rand(*sides)  # noqa: NPY002
    return out


def outer_cutout(x: Any) -> Any:
    """Replace by noise what lies outside of boxes of three to four sevenths of each side."""
    out = np.random.rand(*x.shape)  # noqa: NPY002
    for count in range(BOXES):
        if count and random.random() >= ANOTHER:
            break
        sides = [length - random.randint(3 * length // 7, 4 * length // 7) for length in x.shape]
        window = _inside(x.shape, sides)
        out[window] = x[window]
    return out


def chain(x: Any) -> Any:
    """Corrupt with the published probabilities."""
    if random.random() < 0.5:
        x = local_shuffle(x)
    if random.random() < 0.9:
        x = nonlinear(x)
    if random.random() < 0.9:
        x = inner_cutout(x) if random.random() < 0.2 else outer_cutout(x)
    return x


def _inside(shape: tuple[int, ...], sides: list[int]) -> tuple[slice, ...]:
    starts = [random.randint(MARGIN, length - side - MARGIN) for length, side in zip(shape, sides, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


CALLS = {
    "local_shuffle": local_shuffle,
    "nonlinear": nonlinear,
    "inner_cutout": inner_cutout,
    "outer_cutout": outer_cutout,
    "chain": chain,
}
