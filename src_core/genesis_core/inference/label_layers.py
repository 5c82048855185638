"""From reduced planes to a label map: one array where structures exclude each other, layers where they may not.

Overlapping structures are kept as one bit each while planes arrive, since which of them overlap is known only at the
end; those that never do then share a layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import Structure

Bits = NDArray[np.uint8]


def number_type(values: Sequence[int]) -> type[np.unsignedinteger]:
    """Return the smallest type that holds the numbers of all structures."""
    return np.uint8 if max(values) <= np.iinfo(np.uint8).max else np.uint16


def share_layers(structures: Sequence[Structure], overlaps: NDArray[np.bool_]) -> tuple[Structure, ...]:
    """Return the structures, each in the first layer where it overlaps none before it; overlaps: (structures, same)."""
    layers: list[list[int]] = []
    placed = []
    for number, structure in enumerate(structures):
        layer = next((n for n, there in enumerate(layers) if not overlaps[number, there].any()), len(layers))
        if layer == len(layers):
            layers.append([])
        layers[layer].append(number)
        placed.append(Structure(structure.name, structure.value, structure.colour, layer))
    return tuple(placed)


def layers_from_bits(bits: Bits, structures: Sequence[Structure]) -> tuple[NDArray[np.unsignedinteger], ...]:
    """Return the layers (z, y, x) of structures that were kept as bits (bytes, z, y, x), in the structures' order."""
    count = max(structure.layer for structure in structures) + 1
    kind = number_type([structure.value for structure in structures])
    layers = tuple(np.zeros(bits.shape[1:], kind) for _ in range(count))
    for number, structure in enumerate(structures):
        byte, mask = bits[number // 8], np.uint8(0x80 >> number % 8)
        # Plane by plane, so that no further volume is held.
        for plane, target in zip(byte, layers[structure.layer], strict=True):
            target[(plane & mask) > 0] = structure.value
    return layers


def count_voxels(layers: Sequence[NDArray[np.unsignedinteger]], structures: Sequence[Structure]) -> dict[str, int]:
    """Return the number of voxels of each structure, by name."""
    size = max(structure.value for structure in structures) + 1
    counts = np.zeros((len(layers), size), np.int64)
    for row, layer in zip(counts, layers, strict=True):
        for plane in layer:
            found = np.bincount(plane.ravel(), minlength=size)
            row += found[:size]
    return {structure.name: int(counts[structure.layer, structure.value]) for structure in structures}
