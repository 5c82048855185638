"""What is done to a scan before a network sees it, as data: axis codes, spacing and intensity mapping.

The same model stands in a run's settings and in a model's card, so training and applying cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator, model_validator

from genesis_core.settings import Settings, Spacing3, setting
from genesis_core.volumes.intensity import Intensity, IntensityMap, default_intensity

if TYPE_CHECKING:
    from genesis_core.volumes.volume import Volume

# Spacings closer than this are the same grid: half of 1e-4 mm over a thousand voxels stays below a voxel.
_SAME_SPACING = 1e-4


@dataclass(frozen=True)
class Prepared:
    """A scan on the model's grid, still in scan units, with the map that brings it into [0, 1]."""

    volume: Volume
    map: IntensityMap


class Preprocessing(Settings):
    """How a scan is brought onto the grid and into the range that a model expects."""

    modality: Literal["ct", "mr"] = setting(..., "What the scans are: CT in HU, or MR in arbitrary units.")
    axis_codes: str = setting("LPS", "Where the axes x, y, z grow toward: one of L/R, one of P/A, one of S/I.")
    spacing: Spacing3 | None = setting(None, "Voxel spacing x, y, z to resample to; empty: as scanned.", unit="mm")
    intensity: Intensity = setting(..., "How scan units are mapped onto [0, 1]; by default what suits the modality.")

    @model_validator(mode="before")
    @classmethod
    def _intensity_by_modality(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("intensity") is None and values.get("modality") in ("ct", "mr"):
            return {**values, "intensity": default_intensity(values["modality"])}
        return values

    @field_validator("axis_codes")
    @classmethod
    def _complete_codes(cls, codes: str) -> str:
        return checked_axis_codes(codes)

    def prepare(self, volume: Volume) -> Prepared:
        """Reorient, resample (linear) and fit the intensities; the input is not changed.

        volume: any spacing and orientation, finite. Returns the scan on the model's grid in scan units, with its notes,
        and its map into [0, 1]. A resampled CT is rounded to whole HU, which is far below its noise and halves its
        size on disk. Raises VolumeError if the scan holds no finite voxel.
        """
        if volume.axis_codes != self.axis_codes:
            from genesis_core.volumes.resampling import reorient

            volume = reorient(volume, self.axis_codes)
        if self.spacing is not None and not _same_spacing(volume.spacing, self.spacing):
            from genesis_core.volumes.resampling import resample

            x, y, z = self.spacing
            volume = resample(volume, (x, y, z), order="linear")
            if self.modality == "ct":
                volume = volume.with_array(volume.array.round())
        fitted = self.intensity.fit(volume.array)
        if fitted.note:
            volume = volume.with_array(volume.array, fitted.note)
        return Prepared(volume, fitted)

    def describe(self) -> str:
        """Return the whole preprocessing as one sentence."""
        spacing = "as scanned" if self.spacing is None else " x ".join(f"{length:g}" for length in self.spacing) + " mm"
        return (
            f"{self.modality.upper()}, axes toward {self.axis_codes}, spacing {spacing}, {self.intensity.describe()}."
        )


def checked_axis_codes(codes: str) -> str:
    """Return axis codes in capitals; raise ValueError unless left-right, front-back and head-foot stand in it once."""
    codes = codes.upper()
    pairs = ("LR", "PA", "SI")
    if len(codes) != 3 or any(sum(letter in pair for letter in codes) != 1 for pair in pairs):
        raise ValueError(
            f"'{codes}' is not an orientation: expected one of L/R, one of P/A and one of S/I, for instance LPS"
        )
    return codes


def _same_spacing(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return all(abs(one - two) <= _SAME_SPACING for one, two in zip(first, second, strict=True))
