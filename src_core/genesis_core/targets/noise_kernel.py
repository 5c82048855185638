"""Noise with a bell-shaped distribution, hashed from each voxel's index. Loads numba: import it where it is used."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from genesis_core.randomness import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_LOW = np.uint64(0xFFFF)
# The sum of four uniform numbers 0..65535 has this mean, and 1 / this standard deviation: sqrt(4 * (65536^2 - 1) / 12).
_MEAN = 2 * 65535
_SCALE = np.float32(1 / ((65536.0**2 - 1) / 3) ** 0.5)


@njit(nogil=True, cache=True)
def add_noise(voxels: Any, deviation: Any, key: Any) -> None:
    """Add noise of mean 0 and standard deviation `deviation` (float32) to flat `voxels` (float32), in place.

    Four 16-bit parts of one 64-bit hash (splitmix64 of `key`, uint64) are added up: within 0.005 of the normal
    distribution function, cut at 3.5 deviations, and the same bits on every machine, unlike logarithm and cosine.
    """
    factor = deviation * _SCALE
    for i in range(voxels.size):
        bits = key + np.uint64(i + 1) * _GOLDEN
        bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
        bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
        bits = bits ^ (bits >> np.uint64(31))
        total = (bits & _LOW) + ((bits >> np.uint64(16)) & _LOW) + ((bits >> np.uint64(32)) & _LOW)
        total = total + (bits >> np.uint64(48))
        voxels[i] += factor * np.float32(np.int64(total) - _MEAN)
