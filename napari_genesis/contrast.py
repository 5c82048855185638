"""The window a scan is first shown in, and how far napari's contrast slider reaches.

CT opens in the soft-tissue window most CT is read in, with a slider that reaches lung and bone; MR, which has no units,
between two percentiles, with a slider over all its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.volume import Modality

# Level 40, width 400.
CT_WINDOW = (-160.0, 240.0)
CT_REACH = (-1000.0, 1000.0)
# A phantom is mostly looked at for its lungs.
LUNG_AND_SOFT_TISSUE = (-1000.0, 400.0)
# Where a layer's metadata holds the reach of its slider, which layer data has no other place for.
REACH_KEY = "contrast_reach"
_PERCENTILES = (0.5, 99.5)
# As many voxels as make the percentiles steady; more would only cost time.
_SAMPLE = 500_000


def first_contrast(array: NDArray[Any], modality: Modality) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the values first shown as black and white, and the slider's reach, of a finite scan."""
    if modality == "ct":
        return CT_WINDOW, CT_REACH
    # A step that shares no factor with usual axis lengths does not fall on the same columns again and again.
    sample = array.reshape(-1)[:: max(1, array.size // _SAMPLE) | 1]
    # Differences of booleans, as of a mask, are none that numpy computes.
    sample = sample.astype(np.uint8) if sample.dtype == np.bool_ else sample
    low, high = (float(value) for value in np.percentile(sample, _PERCENTILES))
    least, most = float(array.min()), float(array.max())
    if most <= least:
        most = least + 1.0
    return ((low, high) if high > low else (least, most)), (least, most)


def widen_sliders(viewer: Any) -> None:
    """Let the sliders of scans that are added to a viewer from now on reach as far as their metadata says."""
    # Connecting the same function again changes nothing.
    viewer.layers.events.inserted.connect(_widen)


def _widen(event: Any) -> None:
    layer = event.value
    # Labels that napari makes of a scan have its metadata too.
    if (reach := layer.metadata.get(REACH_KEY)) and hasattr(layer, "contrast_limits"):
        # A layer may come with a window that reaches further, as a copy of one does.
        low, high = layer.contrast_limits
        layer.contrast_limits_range = (min(reach[0], low), max(reach[1], high))
