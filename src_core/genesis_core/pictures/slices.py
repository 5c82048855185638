"""Slices of volumes as pictures: grey with a window, signed differences in colour, outlines of masks.

Pure functions from arrays to uint8 pixels, without Qt and without matplotlib. Differences use blue, white and red,
which people with any of the common colour-vision deficiencies can tell apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

Pixels = NDArray[np.uint8]

# Negative to positive; ColorBrewer's RdBu reversed, Harrower and Brewer 2003, "ColorBrewer.org".
_DIVERGING = np.array(
    [(5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (247, 247, 247),
     (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)], float
)  # fmt: skip


def grey(array: NDArray[np.generic], low: float, high: float) -> Pixels:
    """Return a slice as grey pixels: `low` and below is black, `high` and above white.

    array: (y, x), any units; NaN becomes black. low, high: the window in the array's units, low < high.
    Returns uint8 (y, x). Raises VolumeError if the slice is not two-dimensional or the window is empty.
    """
    plane = _plane(array)
    if not high > low:
        raise VolumeError(f"a grey window needs low < high, not {low} and {high}")
    scaled = (plane - np.float32(low)) * np.float32(255 / (high - low))
    pixels: Pixels = np.nan_to_num(np.clip(np.rint(scaled), 0, 255)).astype(np.uint8)
    return pixels


def signed_difference(array: NDArray[np.generic], limit: float) -> Pixels:
    """Return a slice of differences as colours: blue below zero, white at zero, red above; saturated at +-`limit`.

    array: (y, x), any units. limit: in the same units, above 0. Returns uint8 (y, x, 3).
    Raises VolumeError if the slice is not two-dimensional or the limit is not above 0.
    """
    plane = _plane(array)
    if not limit > 0:
        raise VolumeError(f"the limit of a signed difference must be above 0, not {limit}")
    place = (np.clip(np.nan_to_num(plane / np.float32(limit)), -1, 1) + 1) / 2
    stops = np.linspace(0, 1, len(_DIVERGING))
    channels = [np.interp(place, stops, _DIVERGING[:, k]) for k in range(3)]
    pixels: Pixels = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return pixels


def difference_bar(height: int, width: int) -> Pixels:
    """Return a vertical bar of the difference colours, positive on top; uint8 (height, width, 3)."""
    column = np.linspace(1, -1, height)[:, None]
    return signed_difference(np.broadcast_to(column, (height, width)), 1.0)


def coloured(image: Pixels) -> Pixels:
    """Return grey (y, x) or coloured (y, x, 3) pixels as colour (y, x, 3)."""
    return np.ascontiguousarray(np.repeat(image[:, :, None], 3, axis=2)) if image.ndim == 2 else image


def outline(image: Pixels, mask: NDArray[np.generic], colour: tuple[int, int, int] = (230, 159, 0)) -> Pixels:
    """Draw the outer edge of `mask` (y, x) onto a picture of the same size; returns uint8 (y, x, 3).

    The edge is one pixel wide and lies inside the mask. Raises VolumeError if the sizes differ.
    """
    inside = np.asarray(mask) != 0
    if inside.shape != image.shape[:2]:
        raise VolumeError(f"a mask of shape {inside.shape} does not fit a picture of shape {image.shape[:2]}")
    core = inside.copy()
    core[1:] &= inside[:-1]
    core[:-1] &= inside[1:]
    core[:, 1:] &= inside[:, :-1]
    core[:, :-1] &= inside[:, 1:]
    # The mask's voxels at the picture's border belong to its edge.
    core[[0, -1]] = False
    core[:, [0, -1]] = False
    result = coloured(image).copy()
    result[inside & ~core] = colour
    return result


def labelled(
    image: Pixels, labels: NDArray[np.integer], colours: dict[int, tuple[int, int, int]], opacity: float = 0.45
) -> Pixels:
    """Tint a picture by a label slice (y, x) of the same size; label 0 and labels without a colour stay clear."""
    if labels.shape != image.shape[:2]:
        raise VolumeError(f"labels of shape {labels.shape} do not fit a picture of shape {image.shape[:2]}")
    base = coloured(image).astype(np.float32)
    for number, colour in colours.items():
        if number:
            there = labels == number
            base[there] += np.float32(opacity) * (np.asarray(colour, np.float32) - base[there])
    return np.rint(base).astype(np.uint8)


def _plane(array: NDArray[np.generic]) -> NDArray[np.float32]:
    plane = np.asarray(array, np.float32)
    if plane.ndim != 2:
        raise VolumeError(f"a picture needs a slice (y, x), not an array of shape {plane.shape}")
    return plane
