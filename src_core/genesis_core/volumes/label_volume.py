"""What is drawn on a scan: named structures on a grid, which may overlap.

Structures that do not touch share one array of values, as in an ordinary label map; overlapping ones lie in several
such layers, as in 3D Slicer's segmentations. No voxel is lost either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.volume import Geometry

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Structure:
    """One named structure. value: its number in its layer, from 1. colour: red, green, blue, 0 to 255, if known."""

    name: str
    value: int
    colour: Colour | None = None
    layer: int = 0


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """Named structures on one grid.

    layers: arrays (z, y, x) of whole numbers, 0 where nothing is drawn; most have one layer. structures: what the
    numbers mean, in the order to show them; a number without one is not part of any structure. source, notes: as a
    `Volume` has them.
    """

    layers: tuple[NDArray[Any], ...]
    geometry: Geometry
    structures: tuple[Structure, ...]
    source: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse layers that do not fit the grid, and structures that name the same numbers or no layer."""
        for layer in self.layers:
            if layer.shape != self.geometry.shape or layer.dtype.kind not in "iub":
                raise VolumeError(
                    f"labels of shape {layer.shape} and type {layer.dtype}: whole numbers on the grid "
                    f"{self.geometry.shape} are needed"
                )
        places = [(structure.layer, structure.value) for structure in self.structures]
        if len(set(places)) < len(places) or any(
            value < 1 or not 0 <= layer < len(self.layers) for layer, value in places
        ):
            raise VolumeError(f"structures need values of their own, from 1, in one of the layers: {self.structures}")

    def mask(self, structure: Structure) -> NDArray[np.bool_]:
        """Return where a structure is drawn, (z, y, x)."""
        return np.asarray(self.layers[structure.layer] == structure.value)

    def as_map(self) -> NDArray[Any]:
        """Return the one array of values; raises VolumeError if structures lie in several layers."""
        if len(self.layers) != 1:
            raise VolumeError(
                f"{self.source or 'these labels'}: structures overlap, so one number per voxel cannot hold them; "
                "treat them as separate yes-or-no structures (multi-label)"
            )
        return self.layers[0]
