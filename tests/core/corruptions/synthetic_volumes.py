"""Smooth random fields, on which the published corruptions were measured; every coefficient is a hash of (seed, k)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.randomness import mix

_SEED, _COUNTER, _OFFSET = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _uniform(seed: int, k: int) -> float:
    return (mix(seed * _SEED + k * _COUNTER + _OFFSET) >> 11) * 2.0**-53


def _field(seed: int, size: tuple[int, int, int]) -> NDArray[np.float64]:
    # 24 plane waves, weaker the shorter they are; z has half the extent, so half the cycles.
    x, y, z = (np.arange(length) / length for length in size)
    field = np.zeros(size)
    for wave in range(24):
        a, b, c, phase, strength = (_uniform(seed, 5 * wave + part) for part in range(5))
        fx, fy, fz = 6 * (2 * a - 1), 6 * (2 * b - 1), 3 * (2 * c - 1)
        amplitude = (0.5 + strength) / (1 + np.sqrt(fx**2 + fy**2 + 4 * fz**2))
        turn = 2j * np.pi
        plane = np.multiply.outer(np.exp(turn * fx * x), np.exp(turn * fy * y))
        line = amplitude * np.exp(turn * fz * z + 2j * np.pi * phase)
        field += np.multiply.outer(plane.real, line.real) - np.multiply.outer(plane.imag, line.imag)
    return (field - field.min()) / (field.max() - field.min())


def smooth(seed: int) -> NDArray[np.float32]:
    """A smooth field in [0, 1], shape (z, y, x) = (32, 64, 64)."""
    return np.ascontiguousarray(_field(seed, (64, 64, 32)).T.astype(np.float32))


def ct_like(seed: int) -> NDArray[np.float32]:
    """Mostly dark with few bright structures, like an accepted lung sub-volume; shape (32, 64, 64)."""
    field = _field(seed, (64, 64, 32))
    return np.ascontiguousarray(
        (0.06 + 0.10 * field + 0.45 / (1 + np.exp(-(field - 0.75) / 0.02))).T.astype(np.float32)
    )
