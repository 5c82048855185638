"""A scan with its geometry: the array, and where each voxel lies in the patient.

What counts voxels (array, shape, index) is (z, y, x). What is physical (spacing, origin, direction) is (x, y, z),
exactly as SimpleITK has it: LPS (x grows toward the patient's Left, y toward Posterior, z toward Superior), in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

Modality = Literal["ct", "mr"]

# Letters an axis can grow toward, per physical axis: (positive, negative) in LPS.
_TOWARD = (("L", "R"), ("P", "A"), ("S", "I"))


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume: shape (z, y, x) in voxels; spacing, origin (x, y, z) in mm; direction 3x3 by rows, LPS."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse grids that cannot exist."""
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise VolumeError(f"a volume has three axes of at least one voxel, not shape {self.shape}")
        if len(self.spacing) != 3 or not all(np.isfinite(self.spacing)) or min(self.spacing) <= 0:
            raise VolumeError(f"spacing must be three positive lengths in mm, not {self.spacing}")
        if len(self.origin) != 3 or not all(np.isfinite(self.origin)):
            raise VolumeError(f"origin must be three finite numbers in mm, not {self.origin}")
        matrix = np.asarray(self.direction, dtype=float)
        if matrix.size != 9 or not np.allclose(matrix.reshape(3, 3) @ matrix.reshape(3, 3).T, np.eye(3), atol=1e-3):
            raise VolumeError(f"direction must be a 3x3 matrix with axes at right angles, not {self.direction}")

    @property
    def affine(self) -> NDArray[np.float64]:
        """4x4 matrix from (z, y, x) indices to world (z, y, x) millimetres (LPS), as napari wants it."""
        matrix = np.eye(4)
        matrix[:3, :3] = (np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing))[::-1, ::-1]
        matrix[:3, 3] = self.origin[::-1]
        return matrix

    @property
    def axis_codes(self) -> str:
        """The letter each index axis (x, y, z) grows TOWARD, for instance "LPS"; obliques get the nearest."""
        columns = np.reshape(self.direction, (3, 3))
        codes = [""] * 3
        # Largest cosines first, so that each physical axis is given once even at 45 degrees.
        free_rows, free_columns = {0, 1, 2}, {0, 1, 2}
        for flat in np.argsort(-np.abs(columns), axis=None, kind="stable"):
            row, column = divmod(int(flat), 3)
            if row in free_rows and column in free_columns:
                codes[column] = _TOWARD[row][0 if columns[row, column] > 0 else 1]
                free_rows.discard(row)
                free_columns.discard(column)
        return "".join(codes)


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: `array` (z, y, x) in the scan's units (HU for CT), all finite, and its `geometry`.

    modality: what the file or the caller says it is, or None if nobody said. source: the file or folder it came from.
    notes: what was changed or noticed while reading, in sentences to show to the user.
    """

    array: NDArray[Any]
    geometry: Geometry
    modality: Modality | None = None
    source: str | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse an array that does not fit its grid."""
        if self.array.shape != self.geometry.shape:
            raise VolumeError(f"array of shape {self.array.shape} on a grid of shape {self.geometry.shape}")

    @classmethod
    def from_array(
        cls, array: NDArray[Any], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), **more: Any
    ) -> Self:
        """Make a volume from a (z, y, x) array with `spacing` (x, y, z) in mm, axis-aligned at the origin."""
        if array.ndim != 3:
            raise VolumeError(f"expected an array with three axes (z, y, x), not shape {array.shape}")
        shape = (int(array.shape[0]), int(array.shape[1]), int(array.shape[2]))
        return cls(array, Geometry(shape, spacing), **more)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self.geometry.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxel centres along (x, y, z)."""
        return self.geometry.spacing

    @property
    def origin(self) -> tuple[float, float, float]:
        """World position (x, y, z) in mm, LPS, of the centre of voxel (0, 0, 0)."""
        return self.geometry.origin

    @property
    def direction(self) -> tuple[float, ...]:
        """3x3 direction cosines, row-major, SimpleITK's convention."""
        return self.geometry.direction

    @property
    def affine(self) -> NDArray[np.float64]:
        """4x4 matrix from (z, y, x) indices to world (z, y, x) millimetres (LPS)."""
        return self.geometry.affine

    @property
    def axis_codes(self) -> str:
        """The letter each index axis (x, y, z) grows TOWARD, for instance "LPS"."""
        return self.geometry.axis_codes

    def with_array(self, array: NDArray[Any], *notes: str) -> Self:
        """Return this volume with other voxels on the same grid, and `notes` added."""
        return replace(self, array=array, notes=self.notes + notes)

    def normalised(self, modality: Modality | None = None) -> Self:
        """Return the scan mapped into [0, 1] as float32 by the published intensity mapping of its modality.

        modality: "ct" (window -1000..1000 HU) or "mr" (percentiles); default: the scan's own, else guessed.
        """
        from genesis_core.volumes.intensity import default_intensity

        intensity = default_intensity(modality or self.modality or _guess(self))
        return self.with_array(intensity.fit(self.array).to_unit(self.array))


def _guess(volume: Volume) -> Modality:
    from genesis_core.volumes.modality import guess_modality

    return guess_modality(volume).modality
