"""The one inner loop of the sliding window, compiled: add a weighted window to a running sum, without Python's lock.

Imported only where a window is blended, since importing numba takes a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def add_window(
    total: NDArray[np.float32],
    window: NDArray[np.float32],
    weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    first: tuple[int, int, int],
) -> bool:
    """Add `window` times its weights to `total`; return whether all its values were finite.

    total: (channels, height, y, x), a ring along its second axis: plane z of the volume is kept at z modulo height.
    window: (channels, z, y, x), C-contiguous, never changed, to be added at `first` (z, y, x).
    weights: one vector per axis, as long as the window there; a voxel's weight is the product of the three.
    """
    return not np.isnan(_add(total, window, *weights, *first, np.float32(0)))


# Products may be fused and sums reordered; not-a-number must keep its meaning, so nothing else is loosened.
@njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})  # type: ignore[untyped-decorator, unused-ignore]
def _add(
    total: Any,
    window: Any,
    weight_z: Any,
    weight_y: Any,
    weight_x: Any,
    first_z: int,
    first_y: int,
    first_x: int,
    zero: Any,
) -> Any:
    channels, depth, rows, columns = window.shape
    height = total.shape[1]
    spoilt = zero
    for channel in range(channels):
        for z in range(depth):
            plane = total[channel, (first_z + z) % height]
            for y in range(rows):
                factor = weight_z[z] * weight_y[y]
                target = plane[first_y + y, first_x : first_x + columns]
                source = window[channel, z, y]
                for x in range(columns):
                    target[x] += factor * weight_x[x] * source[x]
                    # NaN and infinities times zero are NaN; a zero the compiler knew would be optimised away.
                    spoilt += source[x] * zero
    return spoilt
