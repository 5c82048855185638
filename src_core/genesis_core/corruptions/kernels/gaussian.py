"""Gaussian noise, hashed from each voxel's index and looked up among the quantiles of the normal distribution.

A table, not a formula: logarithms and cosines differ in their last bit from one library to the next, a table does not.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.compiling import READ_F32, WRITE_F32, compiled
from genesis_core.corruptions.kernels.shuffle import mix
from genesis_core.randomness import GOLDEN

_GOLDEN = np.uint64(GOLDEN)
_S16, _LOW = np.uint64(16), np.uint64(0xFFFF)
# Sixteen random bits a voxel, so one hash serves four. The farthest values lie 4.3 standard deviations out.
QUANTILES = 1 << 16


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """Return the middles of 65,536 equally likely parts of the normal distribution, of mean 0 and variance 1."""
    from scipy.special import ndtri

    upper = ndtri((np.arange(QUANTILES // 2) + 0.5) / QUANTILES + 0.5)
    exact = np.concatenate((-upper[::-1], upper))
    table: NDArray[np.float32] = (exact / np.sqrt(np.mean(exact**2))).astype(np.float32)
    table.flags.writeable = False
    return table


@compiled(types.void, READ_F32, WRITE_F32, types.int64, types.int64, READ_F32, types.uint64)
def add_noise(
    source: NDArray[np.float32],
    out: NDArray[np.float32],
    first: int,
    behind: int,
    steps: NDArray[np.float32],
    key: np.uint64,
) -> None:
    """Write `source` plus noise, clipped to [0, 1], to `out`; both flat, and they may be one.

    first, behind: the first voxel that is written, a multiple of 4, and the first behind the last. steps: (65536,) the
    noise by its random bits. Voxel i takes bits 16 (i % 4) and up of output i // 4 of the stream.
    """
    for four in range(first, behind, 4):
        word = mix(key + np.uint64((four >> 2) + 1) * _GOLDEN)
        for index in range(four, min(four + 4, behind)):
            value = source[index] + steps[np.int64(word & _LOW)]
            out[index] = min(max(value, np.float32(0.0)), np.float32(1.0))
            word >>= _S16
