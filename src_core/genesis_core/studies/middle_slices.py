"""The middle slices of a scan as radiologists see them, whatever the orientation it was stored in.

The patient's left is at the right of both pictures; the face is up in axial ones, the head in coronal ones.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Volume


def middle_slices(volume: Volume) -> dict[str, NDArray[Any]]:
    """Return the "axial" and the "coronal" slice, with pixels repeated to about the true shape of the voxels."""
    upright = reorient(volume, "LPI")
    x, y, z = upright.spacing
    depth, height, _ = upright.shape
    return {
        "axial": _squared(upright.array[depth // 2], y, x),
        "coronal": _squared(upright.array[:, height // 2], z, x),
    }


def _squared(plane: NDArray[Any], row_mm: float, column_mm: float) -> NDArray[Any]:
    least = min(row_mm, column_mm)
    return plane.repeat(round(row_mm / least), axis=0).repeat(round(column_mm / least), axis=1)
