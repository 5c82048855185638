"""Windows by name: level (middle grey) and width (black to white), as they are told in radiology.

CT windows are those of Radiopaedia's article "Windowing (CT)", but for soft tissue, where a scan is first shown with
level 40 and width 400. MR has no units: its window lies between two percentiles of the scan, as at first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from genesis_core.volumes.volume import Modality
from napari_genesis.contrast import CT_REACH, CT_WINDOW, REACH_KEY, first_contrast
from napari_genesis.layers import origin_of

PERCENTILES = "Percentiles"
# Enough for steady percentiles, little enough to count on every choice of a layer.
_SAMPLE = 500_000


@dataclass(frozen=True)
class Window:
    """A window in the scan's units (HU for CT); its width is above 0."""

    level: float
    width: float

    @classmethod
    def between(cls, limits: Sequence[float]) -> Self:
        """Return the window of two contrast limits, black and white."""
        low, high = limits
        return cls((low + high) / 2, high - low)

    @property
    def limits(self) -> tuple[float, float]:
        """The values shown as black and as white: napari's contrast limits."""
        return self.level - self.width / 2, self.level + self.width / 2

    def dragged(self, right: float, up: float, step: float) -> Window:
        """Return the window after the mouse went `right` and `up` by so many pixels, of `step` units each.

        To the right it widens, upward its level grows; it never gets narrower than one step.
        """
        return Window(self.level + up * step, max(step, self.width + right * step))

    def is_near(self, other: Window) -> bool:
        """Return whether both look the same: level and width agree within a hundredth of the width."""
        tolerance = 0.01 * max(self.width, other.width)
        return max(abs(self.level - other.level), abs(self.width - other.width)) <= tolerance


CT_WINDOWS = {
    "Soft tissue": Window.between(CT_WINDOW),
    "Lung": Window(-600, 1500),
    "Mediastinum": Window(50, 350),
    "Bone": Window(400, 1800),
    "Liver": Window(30, 150),
    "Brain": Window(40, 80),
}


def windows_for(layer: Any) -> dict[str, Window]:
    """Return the windows to offer for an Image layer: of CT, of MR, or both where nobody knows what it shows."""
    modality = _modality(layer)
    offered = {} if modality == "mr" else dict(CT_WINDOWS)
    if modality != "ct" and (found := percentile_window(layer)):
        offered[PERCENTILES] = found
    return offered


def percentile_window(layer: Any) -> Window | None:
    """Return the window between two percentiles of an Image layer, as MR is first shown; None if nothing is finite.

    Lazy data are loaded only as far as they are sampled.
    """
    data = layer.data[-1] if layer.multiscale else layer.data
    # Odd steps along each axis, so that no pattern of slices is met again and again.
    step = max(1, math.ceil((math.prod(data.shape) / _SAMPLE) ** (1 / max(1, data.ndim)))) | 1
    sample = np.asarray(data[(slice(None, None, step),) * data.ndim])
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
    return Window.between(first_contrast(sample, "mr")[0]) if sample.size else None


def _modality(layer: Any) -> Modality | None:
    origin = origin_of({"metadata": layer.metadata})
    if origin is None or origin.modality is not None:
        return origin.modality if origin else None
    # The file did not say; the scan was first shown as what its values look like.
    return "ct" if layer.metadata.get(REACH_KEY) == CT_REACH else "mr"
