"""Branching trees that fill a space: the arteries, veins and airways of a lung.

From the hilum a branch heads for the middle of the tissue it must serve; on the way it forks, each fork serving one
half, and so on until every branch serves one small piece. Radii follow a power law of the number of pieces served, near
Murray's law (Murray 1926: flow goes with the cube of the radius).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.phantom.tubes import Tubes
from genesis_core.randomness import uniforms

Points = NDArray[np.float64]
# Share of the way to the middle of the served tissue after which a branch forks.
_FORK = 0.36
# Power of the radius over the number of served pieces; 1/3 would be Murray's.
_POWER = 0.33


def grow_tree(root: Points, targets: Points, tip: float, key: int) -> list[Tubes]:
    """Return the branches of a tree, a `Tubes` for each generation from the root on, each branch slightly bent.

    root: (3,) where the tree begins, mm. targets: (2**n, 3) places to serve, mm. tip: radius of the last branches, mm.
    """
    depth = int(np.log2(len(targets)))
    if len(targets) != 2**depth:
        raise ValueError(f"a tree serves a power of two of targets, not {len(targets)}")
    # Halves are cut along slanted axes, so that no branch follows the grid.
    spin = _rotation(key)
    groups = targets[None]
    ends = root[None]
    generations = []
    for n in range(depth + 1):
        starts = ends if n == 0 else np.repeat(ends, 2, axis=0)
        middle = groups.mean(axis=1)
        ends = middle if n == depth else starts + (middle - starts) * _FORK
        served = groups.shape[1]
        radius = tip * served**_POWER
        generations.append(_bend(starts, ends, radius * (1.12 if n else 1.3), radius, key + n))
        if n < depth:
            groups = _halve(groups, spin)
    return generations


def _halve(groups: Points, spin: Points) -> Points:
    """Cut each group (g, m, 3) in two across its longest extent; the result is (2g, m/2, 3)."""
    turned = groups @ spin
    longest = np.argmax(turned.var(axis=1), axis=1)
    along = np.take_along_axis(turned, longest[:, None, None], axis=2)[:, :, 0]
    order = np.argsort(along, axis=1, kind="stable")
    return np.take_along_axis(groups, order[:, :, None], axis=1).reshape(2 * len(groups), -1, 3)


def _bend(starts: Points, ends: Points, first: float, last: float, key: int) -> Tubes:
    """Return each branch as two pieces with the knee pushed aside by up to a fifth of its length."""
    length = np.linalg.norm(ends - starts, axis=1, keepdims=True)
    knee = (starts + ends) / 2 + 0.16 * length * (uniforms(key, starts.size).reshape(starts.shape) - 0.5)
    middle = (first + last) / 2
    n = len(starts)
    return Tubes(
        np.concatenate([starts, knee]),
        np.concatenate([knee, ends]),
        np.repeat([first, middle], n),
        np.repeat([middle, last], n),
    )


def _rotation(key: int) -> Points:
    """Return a random rotation matrix from four numbers (a normalised quaternion)."""
    w, x, y, z = (q := uniforms(key, 4) * 2 - 1) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def offset_branches(tubes: Tubes, shift: float, scale: float, key: int) -> Tubes:
    """Return branches beside these, `shift` radii aside, `scale` times as thick: an airway beside its artery."""
    aside = np.array([0.35, 0.75, 0.55]) * np.where(uniforms(key, 3) < 0.5, -1, 1)
    move = aside[None] / np.linalg.norm(aside)
    return Tubes(
        tubes.starts + move * (shift * tubes.first)[:, None],
        tubes.ends + move * (shift * tubes.last)[:, None],
        tubes.first * scale,
        tubes.last * scale,
    )
