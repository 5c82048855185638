"""Masks that arrive one by one, packed into as few arrays of numbers as their overlaps allow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.label_volume import Colour, LabelVolume, Structure
from genesis_core.volumes.volume import Geometry


class Layers:
    """Collects structures; each goes to the first layer where nothing lies in its way, so no voxel is lost.

    count: how many structures may come at most, which chooses the type of the numbers.
    """

    def __init__(self, geometry: Geometry, count: int) -> None:
        self._geometry = geometry
        self._dtype = np.dtype(np.uint8 if count < 1 << 8 else np.uint16)
        self._layers: list[NDArray[Any]] = [np.zeros(geometry.shape, self._dtype)]
        self._structures: list[Structure] = []

    def add(self, name: str, colour: Colour | None, mask: NDArray[np.bool_], start: tuple[int, int, int]) -> None:
        """Add a structure drawn as `mask` (z, y, x), whose first voxel lies at index `start` of the grid."""
        box = tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))
        value = len(self._structures) + 1
        free = (index for index, layer in enumerate(self._layers) if not layer[box][mask].any())
        index = next(free, len(self._layers))
        if index == len(self._layers):
            self._layers.append(np.zeros(self._geometry.shape, self._dtype))
        self._layers[index][box][mask] = value
        self._structures.append(Structure(self._unused(name), value, colour, index))

    def packed(self, source: str, notes: list[str]) -> LabelVolume:
        """Return everything added, with a note where structures overlap."""
        told = list(notes)
        if len(self._layers) > 1:
            told.append(f"Structures overlap: they lie in {len(self._layers)} layers.")
        return LabelVolume(tuple(self._layers), self._geometry, tuple(self._structures), source, tuple(told))

    def _unused(self, name: str) -> str:
        """Return the name, with a number where another structure has it already."""
        taken = {structure.name for structure in self._structures}
        return next(
            text for n in range(1, len(taken) + 2) if (text := name if n == 1 else f"{name} ({n})") not in taken
        )
