"""Where structures lie: for each a few hundred voxels, chosen by a hash and spread over the whole of it.

Sub-volumes are centred on them, so that small structures are seen. The voxels are the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.randomness import stream, uniforms

# Voxels kept per structure. nnU-Net keeps up to 10,000 a class; half a thousand centres are as random to a network.
PLACES = 512


def find_places(layers: NDArray[np.int16], count: int) -> tuple[NDArray[np.int16], tuple[int, ...]]:
    """Return chosen voxels (count + 1, 3, 512), and how many voxels each structure has, of layers (layer, z, y, x).

    Row i is structure i (number i + 1), the last row every voxel that is annotated (not negative), left empty where
    that is all of them. Columns are voxels (z, y, x), -1 where there are fewer than 512.
    """
    shape = layers.shape[1:]
    places = np.full((count + 1, 3, PLACES), -1, np.int16)
    voxels = [0] * (count + 1)
    for layer in layers:
        drawn = np.flatnonzero(layer > 0)
        numbers = layer.reshape(-1)[drawn]
        # Stable, so that voxels of one structure stay in the order of the grid.
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(1, count + 2))
        for structure in range(count):
            own = drawn[order[ends[structure] : ends[structure + 1]]]
            if len(own):
                voxels[structure] = len(own)
                _choose(own, shape, structure, places)
    unknown = layers[0] < 0
    missing = int(np.count_nonzero(unknown))
    voxels[count] = layers[0].size - missing
    if 0 < missing < layers[0].size:
        _choose(np.flatnonzero(~unknown), shape, count, places)
    return places, tuple(voxels)


def _choose(own: NDArray[np.intp], shape: tuple[int, ...], row: int, places: NDArray[np.int16]) -> None:
    if len(own) > PLACES:
        # One of each of 512 equal parts, in the order of the grid: none of the structure's slices is forgotten.
        within = uniforms(stream(0, "places", row), PLACES)
        own = own[((np.arange(PLACES) + within) * (len(own) / PLACES)).astype(np.intp)]
    places[row, :, : len(own)] = np.unravel_index(own, shape)
