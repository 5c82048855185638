"""One pass over an array that tells whether all of it lies in [0, 1]."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.compiling import READ_U32, compiled


@compiled(types.uint32, READ_U32)
def largest_bits(bits: NDArray[np.uint32]) -> np.uint32:
    """Return the largest of float32 values seen as their bits.

    Non-negative floats keep their order as integers, and negative ones, infinities and NaN all lie above 1.0.
    """
    largest = np.uint32(0)
    for index in range(bits.size):
        largest = max(largest, bits[index])
    return largest
