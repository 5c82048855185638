"""Probabilities of a scan, plane by plane, reduced to a label map at once: what is kept while a scan is segmented."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.inference.label_layers import layers_from_bits, number_type, share_layers
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry, Volume

if TYPE_CHECKING:
    from genesis_core.inference.scan_planes import Plane
    from genesis_core.model.card import ModelCard


class LabelReduction:
    """What is kept of the probabilities: planes go in, labels come out.

    geometry: the grid of the planes, which is the scan's in the model's orientation.
    """

    def __init__(self, card: ModelCard, scan: Geometry, axis_codes: str, uncertainty: bool) -> None:
        """card: names the structures. scan: the grid of the result. axis_codes: the model's orientation."""
        self._scan = scan
        self._structures = _structures(card)
        self._exclusive = card.activation == "softmax"
        values = [structure.value for structure in self._structures]
        self._numbers = np.asarray([0, *values], number_type(values))
        self._overlaps = np.zeros((len(values), len(values)), bool)
        parts = 1 if self._exclusive else math.ceil(len(values) / 8)
        kind = self._numbers.dtype if self._exclusive else np.dtype(np.uint8)
        first = _turned(np.zeros(scan.shape, kind), scan, axis_codes)
        self.geometry = first.geometry
        self._kept: NDArray[Any] = np.zeros((parts, *first.shape), kind)
        self._maps: NDArray[np.uint8] | None = np.zeros((2, *first.shape), np.uint8) if uncertainty else None

    def take(self, number: int, plane: Plane) -> None:
        """Reduce plane `number`: probabilities (channels, y, x), and their variance if uncertainty is wanted."""
        from genesis_core.inference.reduction import bit_plane, entropy_plane, label_plane, spread_plane

        values = plane
        if self._maps is not None:
            values, variance = plane[:-1], plane[-1]
            entropy_plane(values, self._exclusive, self._maps[0, number])
            spread_plane(variance, len(values), self._exclusive, self._maps[1, number])
        if self._exclusive:
            label_plane(values, self._numbers, self._kept[0, number])
        else:
            bit_plane(values, self._kept[:, number], self._overlaps)

    def labels(self) -> LabelVolume:
        """Return the structures on the scan's own grid; to be asked for once, since it lets go of what was kept."""
        kept = [self._back(part) for part in self._kept]
        self._kept = np.empty(0)
        if self._exclusive:
            return LabelVolume(tuple(kept), self._scan, self._structures)
        structures = share_layers(self._structures, self._overlaps)
        bits = np.stack(kept) if len(kept) > 1 else kept[0][None]
        return LabelVolume(layers_from_bits(bits, structures), self._scan, structures)

    def maps(self) -> list[NDArray[np.float16]]:
        """Return uncertainty and spread in [0, 1] on the scan's own grid, if they were wanted."""
        if self._maps is None:
            return []
        steps = (np.arange(256) / 255).astype(np.float16)
        return [steps[self._back(part)] for part in self._maps]

    def _back(self, array: NDArray[Any]) -> NDArray[Any]:
        return _turned(array, self.geometry, self._scan.axis_codes).array


def _structures(card: ModelCard) -> tuple[Structure, ...]:
    from genesis_core.volumes.structure_colours import default_colours

    colours = default_colours(len(card.structures))
    return tuple(
        Structure(entry.name, entry.value, entry.colour or colour)
        for entry, colour in zip(card.structures, colours, strict=True)
    )


def _turned(array: NDArray[Any], geometry: Geometry, axis_codes: str) -> Volume:
    from genesis_core.volumes.resampling import reorient

    return reorient(Volume(array, geometry), axis_codes)
