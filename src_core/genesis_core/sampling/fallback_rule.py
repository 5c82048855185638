"""The rule that stops a run whose sub-volumes are mostly last resorts, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from genesis_core.errors import SamplingError

# Below this many sub-volumes the share is too uncertain to stop a run over.
MINIMUM_DRAWN = 200
LARGEST_SHARE = 0.5


@dataclass
class FallbackRule:
    """Counts of a run: sub-volumes drawn, and those taken only because every try was refused. Two integers, no more."""

    drawn: int = 0
    fallbacks: int = 0

    def update(self, drawn: int, fallbacks: int) -> Self:
        """Add what was drawn since the last call, and return itself.

        Raises SamplingError once at least 200 sub-volumes were drawn and over half of them are fallbacks.
        """
        self.drawn += drawn
        self.fallbacks += fallbacks
        if self.drawn >= MINIMUM_DRAWN and self.fallbacks > LARGEST_SHARE * self.drawn:
            raise SamplingError(
                f"{self.fallbacks} of {self.drawn} sub-volumes were refused by the filter at every try: the scans do "
                "not hold what it asks for. Check the modality and the intensities (napari-genesis inspect), lower "
                "sampling.min_tissue, or choose another sampling.filter (lung_ct accepts only air-filled lung)"
            )
        return self
