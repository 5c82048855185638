"""Random fields on a grid: smooth texture of tissue, and the scanner's correlated noise.

Every number is a hash of the seed and its place in the field; no library's generator is involved, and no matrix
product whose rounding could depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.phantom.canvas import Floats
from genesis_core.randomness import uniforms


def smooth_field(key: int, shape: tuple[int, int, int], pitch: tuple[float, float, float]) -> Floats:
    """Return a smooth random field with mean about 0 and standard deviation about 1.

    shape: (z, y, x) voxels. pitch: voxels between the random control points along (z, y, x), the size of a blob.
    """
    coarse = tuple(int(np.ceil(size / step)) + 3 for size, step in zip(shape, pitch, strict=True))
    field = (uniforms(key, int(np.prod(coarse))) - 0.5).astype(np.float32).reshape(coarse)
    for axis in range(3):
        field = _spline(field, axis, shape[axis], pitch[axis])
    # Variance of a uniform number is 1/12; three quadratic splines leave about 0.55 of it per axis.
    return field * np.float32(np.sqrt(12) / 0.55**1.5)


def _spline(field: Floats, axis: int, size: int, pitch: float) -> Floats:
    """Stretch one axis to `size` samples, `pitch` samples between control points, by quadratic B-splines."""
    place = np.arange(size) / pitch + 1
    first = np.floor(place + 0.5).astype(np.intp)
    t = (place - first).astype(np.float32)
    weights = (0.5 * (0.5 - t) ** 2, 0.75 - t * t, 0.5 * (0.5 + t) ** 2)
    column = [1, 1, 1]
    column[axis] = size
    parts = (np.take(field, first + k - 1, axis) * w.reshape(column) for k, w in enumerate(weights))
    result: Floats = next(parts)
    for part in parts:
        result += part
    return result


def white_noise(key: int, shape: tuple[int, int, int]) -> Floats:
    """Return independent uniform numbers of mean 0 and standard deviation 1."""
    plane = shape[1] * shape[2]
    noise = np.empty(shape, np.float32)
    # Slice by slice, to stay in the processor's cache.
    for k in range(shape[0]):
        noise[k] = uniforms(key, plane, k * plane).reshape(shape[1:])
    noise -= np.float32(0.5)
    noise *= np.float32(np.sqrt(12))
    return noise


def blur3(field: Floats, shares: tuple[float, float, float]) -> Floats:
    """Return `field` blurred by three taps per axis (z, y, x); a voxel gives `share` of its value to each neighbour."""
    result = field
    for axis, share in enumerate(shares):
        if share > 0 and field.shape[axis] > 1:
            result = _blur_axis(result, axis, np.float32(share))
    return result


def _blur_axis(field: NDArray[np.float32], axis: int, share: np.float32) -> Floats:
    ahead = np.moveaxis(field, axis, 0)
    result = np.empty_like(field)
    out = np.moveaxis(result, axis, 0)
    np.multiply(ahead, 1 - 2 * share, out=out)
    # The border's missing neighbour is the border itself.
    scaled = ahead * share
    out[1:] += scaled[:-1]
    out[:-1] += scaled[1:]
    out[0] += scaled[0]
    out[-1] += scaled[-1]
    return result
