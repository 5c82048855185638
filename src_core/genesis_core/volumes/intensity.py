"""Bringing scan units into [0, 1]: a window (CT), percentiles or standard deviations (MRI).

An `Intensity` is the rule, as it stands in a model's card; fitting it to one scan gives an `IntensityMap`, two numbers
in scan units that become 0 and 1. Sources: the window of -1000..1000 HU is that of Zhou et al. 2021; percentiles 0.5
and 99.5 are the usual clipping bounds (Isensee et al. 2021), here over all voxels, since MRI has no units of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from genesis_core.errors import VolumeError
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Half the largest float32: differences of two values below it are finite.
_LARGEST = 1.7e38


@dataclass(frozen=True)
class IntensityMap:
    """Two values in scan units: `low` becomes 0, `high` becomes 1, what lies outside is clipped.

    note: what was unusual about the fit, as a sentence for the user; empty if nothing was.
    Raises VolumeError if low or high cannot be held as float32, or if high is below low.
    """

    low: float
    high: float
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse bounds that would turn voxels into NaN."""
        if not (-_LARGEST <= self.low <= self.high <= _LARGEST):
            raise VolumeError(
                f"intensities from {self.low:g} to {self.high:g} cannot be mapped: expected two finite values below "
                "1.7e38, the smaller one first; rescale the scan"
            )

    @property
    def scale(self) -> float:
        """Factor from scan units above `low` to [0, 1], rounded to float32; 0 if low and high coincide there."""
        import numpy as np

        with np.errstate(all="ignore"):
            width = np.float32(self.high) - np.float32(self.low)
            scale = np.float32(1) / width
        return float(scale) if width > 0 and np.isfinite(scale) else 0.0

    def to_unit(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Map finite scan units of any shape and real dtype to a new float32 array in [0, 1]."""
        import numpy as np

        with np.errstate(over="ignore"):
            out = np.asarray(np.subtract(array, np.float32(self.low), dtype=np.float32, casting="unsafe"))
        out *= np.float32(self.scale)
        return np.clip(out, 0, 1, out=out)

    def from_unit(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Map [0, 1] back to scan units, as a new float32 array; what was clipped stays at low or high."""
        import numpy as np

        out = np.asarray(np.multiply(array, np.float32(self.high - self.low), dtype=np.float32, casting="unsafe"))
        out += np.float32(self.low)
        return out


class WindowIntensity(Settings):
    """A fixed window, the same for every scan: for CT, whose units mean something."""

    kind: Literal["window"] = "window"
    low: float = setting(-1000.0, "Value that becomes 0; what lies below is clipped.", unit="HU", ge=-1e6, le=1e6)
    high: float = setting(1000.0, "Value that becomes 1; what lies above is clipped.", unit="HU", ge=-1e6, le=1e6)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high ({self.high:g}) must lie above low ({self.low:g})")
        return self

    def fit(self, array: NDArray[Any]) -> IntensityMap:
        """Return the window; the array is looked at only to say when the window misses it."""
        from genesis_core.volumes.voxel_statistics import extremes

        low, high = extremes(array)
        note = ""
        if high <= self.low or low >= self.high:
            where = "below" if high <= self.low else "above"
            note = (
                f"every voxel ({low:g} to {high:g}) lies {where} the window {self.low:g} to {self.high:g}: "
                "the scan is one flat value; check the modality and the units"
            )
        return IntensityMap(self.low, self.high, note)

    def describe(self) -> str:
        """Return the rule as words."""
        return f"window {self.low:g} to {self.high:g} HU mapped onto [0, 1]"


class PercentileIntensity(Settings):
    """Percentiles of all finite voxels of the scan, fitted to each scan: for MRI, whose units are arbitrary.

    The background is not left out: separating it needs a threshold of its own, which fails on defaced, skull-stripped
    or bias-ridden scans, and the plain percentiles are what published pipelines use. Should they coincide (over 99 % of
    a scan is one value), the scan's minimum and maximum are used instead, and said.
    """

    kind: Literal["percentile"] = "percentile"
    low: float = setting(0.5, "Percentile that becomes 0; what lies below is clipped.", unit="%", ge=0, le=100)
    high: float = setting(99.5, "Percentile that becomes 1; what lies above is clipped.", unit="%", ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high ({self.high:g}) must lie above low ({self.low:g})")
        return self

    def fit(self, array: NDArray[Any]) -> IntensityMap:
        """Return the two percentiles; exact (as float32, linear between ranks) in memory of about 20 MB at any size."""
        from genesis_core.volumes.voxel_statistics import extremes, percentiles

        low, high = percentiles(array, (self.low, self.high))
        if high > low:
            return IntensityMap(low, high)
        least, most = extremes(array)
        if most > least:
            note = (
                f"percentiles {self.low:g} and {self.high:g} are both {low:g}: "
                f"the scan's minimum and maximum ({least:g}, {most:g}) are used instead"
            )
            return IntensityMap(least, most, note)
        return _constant(least)

    def describe(self) -> str:
        """Return the rule as words."""
        return f"percentiles {self.low:g} to {self.high:g} of each scan mapped onto [0, 1]"


class ZScoreIntensity(Settings):
    """Mean and standard deviation of all finite voxels of the scan, clipped to some deviations and mapped to [0, 1]."""

    kind: Literal["zscore"] = "zscore"
    limit: float = setting(
        3.0, "Distance from the mean that becomes 0 (below) and 1 (above).", unit="standard deviations", gt=0, le=100
    )

    def fit(self, array: NDArray[Any]) -> IntensityMap:
        """Return mean -/+ limit x standard deviation, summed in float64."""
        from genesis_core.volumes.voxel_statistics import extremes, mean_and_deviation

        mean, deviation = mean_and_deviation(array)
        reach = self.limit * deviation
        least, most = extremes(array)
        return IntensityMap(mean - reach, mean + reach) if most > least else _constant(least)

    def describe(self) -> str:
        """Return the rule as words."""
        return f"mean -/+ {self.limit:g} standard deviations of each scan mapped onto [0, 1]"


Intensity = Annotated[WindowIntensity | PercentileIntensity | ZScoreIntensity, Field(discriminator="kind")]


def default_intensity(modality: Literal["ct", "mr"]) -> WindowIntensity | PercentileIntensity:
    """Return the published mapping of a modality: -1000..1000 HU for "ct", percentiles 0.5..99.5 for "mr"."""
    return WindowIntensity() if modality == "ct" else PercentileIntensity()


def _constant(value: float) -> IntensityMap:
    return IntensityMap(value, value, f"every voxel is {value:g}: the scan becomes all 0")
