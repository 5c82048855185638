"""Colours for structures that come without: far apart for every kind of colour vision, and always in the same order.

The first seven are Okabe and Ito's (jfly.uni-koeln.de/color, 2008). Each further one is, of a fixed set, the colour
farthest from all before it, measured in CIELAB as seen with normal vision and with the two common kinds of colour
blindness (Machado, Oliveira and Fernandes 2009, severity 1); so a position's colour never depends on how many follow.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import Colour

_FIRST: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
# How deuteranopes and protanopes see linear RGB; the first is normal vision.
_VISIONS = (
    np.eye(3),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
)
# sRGB (D65) to XYZ, IEC 61966-2-1.
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_LEVELS = (0, 36, 73, 109, 146, 182, 219, 255)
# Darker than this, in L*, is lost on the black of a scan; lighter looks white on it.
_LIGHTNESS = (35.0, 92.0)
# Closer than this, in CIELAB, two colours are one for somebody.
_SAME = 2.0


def default_colours(count: int) -> tuple[Colour, ...]:
    """Return `count` colours (red, green, blue, 0 to 255); the first n are the same for every count.

    The first 180 all differ; beyond these they repeat.
    """
    available = _ordered()
    return tuple(available[index % len(available)] for index in range(count))


@cache
def _ordered() -> tuple[Colour, ...]:
    grid = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _lab(grid, _VISIONS[0])[:, 0]
    grid = grid[(lightness > _LIGHTNESS[0]) & (lightness < _LIGHTNESS[1])]
    seen = [_lab(grid, vision) for vision in _VISIONS]
    chosen = list(_FIRST)
    nearest = np.full(len(grid), np.inf)
    for colour in chosen:
        nearest = np.minimum(nearest, _distance(seen, np.array([colour])))
    # Rounding keeps a colour from being exactly at no distance from itself.
    while nearest.max() > _SAME:
        best = int(np.argmax(nearest))
        chosen.append((int(grid[best, 0]), int(grid[best, 1]), int(grid[best, 2])))
        nearest = np.minimum(nearest, _distance(seen, grid[best : best + 1]))
    return tuple(chosen)


def _distance(seen: list[NDArray[np.float64]], colour: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far each candidate is from a colour, for the vision that tells them apart worst."""
    apart = [np.linalg.norm(lab - _lab(colour, vision), axis=1) for lab, vision in zip(seen, _VISIONS, strict=True)]
    return np.asarray(np.min(apart, axis=0))


def _lab(colours: NDArray[np.int64], vision: NDArray[np.float64]) -> NDArray[np.float64]:
    srgb = colours / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ vision.T, 0, 1) @ _XYZ.T / (_XYZ.sum(axis=1))
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
