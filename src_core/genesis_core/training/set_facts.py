"""What a labelled set is like, in the few figures that a plan is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class StructureFacts:
    """One structure over the set. cases: that show it. extent: its size x, y, z in mm, larger than in 90 % of them.

    ml: its median volume.
    """

    name: str
    cases: int
    extent: Triple
    ml: float


@dataclass(frozen=True)
class SetFacts:
    """The usable cases of a labelled set.

    shapes: voxels (z, y, x) with axes turned to LPS. spacings: mm (x, y, z), likewise. percentile_ranges: per channel,
    least and largest over the cases of the 0.5th, 50th and 99.5th percentile, in scan units.
    """

    modality: Literal["ct", "mr"]
    shapes: tuple[tuple[int, int, int], ...]
    spacings: tuple[Triple, ...]
    subjects: int
    structures: tuple[StructureFacts, ...]
    channels: tuple[str, ...] = ()
    percentile_ranges: tuple[tuple[tuple[float, float], ...], ...] = ()

    @property
    def median_spacing(self) -> Triple:
        """Median spacing x, y, z in mm."""
        return _triple(np.median(np.asarray(self.spacings), axis=0))

    @property
    def median_extent(self) -> Triple:
        """Median size of the scans x, y, z in mm."""
        return _triple(np.median(np.asarray(self.shapes)[:, ::-1] * np.asarray(self.spacings), axis=0))


def _triple(values: Sequence[float] | np.ndarray) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])
