"""Where along an axis a sub-volume may begin in a scan; in a shorter scan it is centred, and padded on both sides."""

from __future__ import annotations

from collections.abc import Sequence


def start_range(length: int, size: int) -> tuple[int, int]:
    """Return the first and the last voxel at which a sub-volume of `size` voxels may begin on an axis of `length`."""
    if length >= size:
        return 0, length - size
    centred = -((size - length) // 2)
    return centred, centred


def is_padded(shape: Sequence[int], size: Sequence[int]) -> bool:
    """Whether sub-volumes of `size` reach beyond a scan of `shape`, both (z, y, x)."""
    return any(have < want for have, want in zip(shape, size, strict=True))
