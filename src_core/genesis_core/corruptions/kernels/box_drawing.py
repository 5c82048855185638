"""Drawing the boxes of a cut-out: compiled, since it was half of what a recipe decided under Python's lock.

Box i is made from outputs 4i to 4i + 2 of its stream, one an axis (upper half: size, lower half: position); whether it
is drawn at all, from output 4i + 3.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.compiling import READ_I64_2D, WRITE_I64_2D, compiled
from genesis_core.corruptions.kernels.shuffle import mix
from genesis_core.randomness import GOLDEN, UNIT

_GOLDEN, _UNIT = np.uint64(GOLDEN), UNIT
_S11, _HALF, _LOW, _ONE = np.uint64(11), np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(1)


@compiled(types.int64, types.uint64, READ_I64_2D, types.int64, types.float64, types.int64, WRITE_I64_2D, nogil=False)
def draw_boxes(
    key: np.uint64, axes: NDArray[np.int64], certain: int, another: float, margin: int, boxes: NDArray[np.int64]
) -> int:
    """Fill `boxes`, (most, 6), with first voxels and sizes (z, y, x), and return how many were drawn.

    axes: (3, 3): the volume's shape, smallest and largest edge along each axis, with 1 <= smallest <= largest <= shape.
    """
    most: int = boxes.shape[0]
    for index in range(most):
        chance = mix(key + np.uint64(4 * index + 4) * _GOLDEN) >> _S11
        if index >= certain and np.float64(chance) * _UNIT >= another:
            return index
        for axis in range(3):
            length, low, high = axes[0, axis], axes[1, axis], axes[2, axis]
            word = mix(key + np.uint64(4 * index + axis + 1) * _GOLDEN)
            size = low + np.int64(((word >> _HALF) * np.uint64(high - low + 1)) >> _HALF)
            free = min(margin, (length - size) // 2)
            boxes[index, axis] = free + np.int64(((word & _LOW) * np.uint64(length - size - 2 * free + 1)) >> _HALF)
            boxes[index, 3 + axis] = size
    return most
