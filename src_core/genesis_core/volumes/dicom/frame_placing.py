"""Where a frame with a header of its own falls on a grid: which voxels, in which order and direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.placing import directions
from genesis_core.volumes.dicom.tags import DicomFile
from genesis_core.volumes.grid import ROUNDING_SHARE
from genesis_core.volumes.volume import Geometry


@dataclass(frozen=True)
class FramePlace:
    """The voxels of a grid (z, y, x) a frame covers, `start` to before `stop`.

    axis: of the array, across which the frame lies. swapped: its rows run along the later of its two axes; flipped: its
    (rows, columns) are counted backwards on the grid.
    """

    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    axis: int
    swapped: bool
    flipped: tuple[bool, bool]

    def turned(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Return a frame (rows, columns) in the grid's order, one voxel thick across `axis`."""
        frame = frame[:: -1 if self.flipped[0] else 1, :: -1 if self.flipped[1] else 1]
        return np.expand_dims(frame.T if self.swapped else frame, self.axis)


def frame_place(frame: DicomFile, geometry: Geometry) -> FramePlace:
    """Return where a frame falls; raises VolumeError if it lies off the voxels of the grid, or beyond it."""
    where = f"{frame.path} frame {(frame.frame or 0) + 1}"
    if len(frame.position) != 3 or len(frame.orientation) != 6 or len(frame.spacing) != 2:
        raise VolumeError(f"{where}: its position, orientation or pixel spacing is missing, so it has no place")
    if not np.isfinite([*frame.position, *frame.orientation, *frame.spacing]).all():
        raise VolumeError(f"{where}: its position, orientation or pixel spacing is not finite; the tags are damaged")
    row, column = directions(frame)
    steps = np.reshape(geometry.direction, (3, 3)) * np.asarray(geometry.spacing)
    inverse = np.linalg.inv(steps)
    # In the grid's indices (x, y, z): the first pixel, and one step along a row and along a column.
    first = inverse @ (np.asarray(frame.position) - geometry.origin)
    along = np.column_stack([inverse @ (row * frame.spacing[1]), inverse @ (column * frame.spacing[0])])
    whole = np.round(along)
    off = _farthest(frame, steps, first - np.round(first), along - whole)
    if not (np.abs(whole).sum(axis=0) == 1).all() or whole[:, 0] @ whole[:, 1] != 0 or not np.isfinite(off):
        raise VolumeError(
            f"{where}: its pixels of {frame.spacing[1]:g} x {frame.spacing[0]:g} mm are not voxels of the scan, whose "
            f"spacing is {_triple(geometry)}. Give the scan it was drawn on"
        )
    if off > ROUNDING_SHARE * min(geometry.spacing):
        raise VolumeError(
            f"{where}: its pixels lie up to {off:.2f} mm off the voxels of the scan. Give the scan it was drawn on"
        )
    axes = [2 - int(np.argmax(np.abs(whole[:, k]))) for k in range(2)]
    axis = ({0, 1, 2} - set(axes)).pop()
    spacing = geometry.spacing[2 - axis]
    if frame.between is not None and abs(frame.between - spacing) > ROUNDING_SHARE * spacing:
        raise VolumeError(
            f"{where}: its frames lie {frame.between:g} mm apart, the slices of the scan {spacing:g} mm. Give the scan "
            "it was drawn on"
        )
    start = np.round(first[::-1]).astype(int)
    stop = start + 1
    flipped = []
    for k, length in ((1, frame.rows), (0, frame.columns)):
        at = axes[k]
        back = bool(whole[2 - at, k] < 0)
        start[at], stop[at] = (start[at] - length + 1, start[at] + 1) if back else (start[at], start[at] + length)
        flipped.append(back)
    if (start < 0).any() or (stop > geometry.shape).any():
        raise VolumeError(
            f"{where}: it reaches beyond the scan (voxels {start.tolist()} to {(stop - 1).tolist()} of "
            f"{list(geometry.shape)}). Give the scan it was drawn on"
        )
    return FramePlace(_triplet(start), _triplet(stop), axis, axes[1] > axes[0], (flipped[0], flipped[1]))


def _farthest(frame: DicomFile, steps: NDArray[np.float64], first: NDArray[Any], along: NDArray[Any]) -> float:
    """Return how far in mm the frame's corners lie from the voxels they fall on."""
    corners = [(i, j) for i in (0, frame.columns - 1) for j in (0, frame.rows - 1)]
    return max(float(np.linalg.norm(steps @ (first + along @ corner))) for corner in corners)


def _triplet(values: NDArray[np.int_]) -> tuple[int, int, int]:
    return int(values[0]), int(values[1]), int(values[2])


def _triple(geometry: Geometry) -> str:
    return " x ".join(f"{v:g}" for v in geometry.spacing) + " mm"
