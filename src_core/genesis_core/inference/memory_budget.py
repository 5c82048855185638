"""Refusing work that cannot fit into memory before it starts, with the numbers, instead of being killed half way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis_core.errors import MemoryBudgetError

if TYPE_CHECKING:
    from genesis_core.networks.settings import NetworkSettings
    from genesis_core.volumes.volume import Geometry

# What torch takes besides the features (reordered weights, buffers): measured with them, see each network's settings.
_TORCH_BYTES = 150_000_000


def require_memory(needed: int, what: str, advice: str) -> None:
    """Raise MemoryBudgetError if `needed` bytes exceed what the system can give without swapping.

    what: the work, for the message ("restoring a scan of 300 x 512 x 512 voxels"). advice: what to do, as a clause.
    """
    import psutil

    available = int(psutil.virtual_memory().available)
    if needed > available:
        raise MemoryBudgetError(f"{what} needs about {_size(needed)}, and {_size(available)} are free: {advice}")


def network_bytes(network: NetworkSettings, patch: Sequence[int], batch_size: int) -> int:
    """Estimate what a forward pass takes at its peak: patch (z, y, x) voxels, `batch_size` windows (0: elsewhere)."""
    return int(batch_size * math.prod(patch) * network.peak_features * 4 + _TORCH_BYTES)


def voxels_on_grid(geometry: Geometry, spacing: Sequence[float] | None) -> int:
    """Return about how many voxels a grid has once resampled to `spacing` (x, y, z) in mm; None: left as it is."""
    here = math.prod(geometry.shape)
    if spacing is None:
        return here
    return int(here * math.prod(old / new for old, new in zip(geometry.spacing, spacing, strict=True)))


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
