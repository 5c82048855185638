"""Settings of what is varied between one look at a sub-volume and the next, declared once for YAML, CLI and forms.

Ranges are those nnU-Net found to serve most sets (Isensee et al. 2021, supplementary note 4), brought from standardised
intensities to [0, 1]. The non-linear curve is the recipe's of Zhou et al. 2021, here as augmentation of the input.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from genesis_core.corruptions.recipe import Recipe
from genesis_core.settings import Settings, Words, setting
from genesis_core.volumes.sides import LEFT_WORDS, RIGHT_WORDS


def _nonlinear() -> Recipe:
    return Recipe.from_dict({"name": "nonlinear", "steps": [{"kind": "nonlinear"}]})


class Range(Settings):
    """From where to where a factor is drawn, uniformly."""

    low: float = setting(..., "Smallest value.")
    high: float = setting(..., "Largest value.")

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, values: Any) -> Any:
        if isinstance(values, str):
            values = [part.strip() for part in values.split(",")]
        return dict(zip(("low", "high"), values, strict=True)) if isinstance(values, list | tuple) else values

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.low <= self.high:
            raise ValueError(f"expected two values above 0, the smaller one first, not {self.low:g} and {self.high:g}")
        return self


class AugmentationSettings(Settings):
    """How images and labels are varied. Spatial changes move both; the others change images only, within [0, 1]."""

    enabled: bool = setting(True, "Whether anything is varied at all.")
    rotation_probability: float = setting(0.3, "Chance that a sub-volume is turned.", ge=0, le=1)
    rotation: tuple[float, float, float] = setting(
        (30.0, 15.0, 15.0), "Largest angle about the axes z, y, x, either way; taken in mm.", unit="degrees"
    )
    thick_slices: float = setting(
        3.0,
        "Where one axis is coarser than the finest by this factor, scans are only turned about it: values between "
        "thick slices are a guess.",
        gt=1,
    )
    scaling_probability: float = setting(0.3, "Chance that a sub-volume is enlarged or shrunk.", ge=0, le=1)
    scaling: Range = setting(Range(low=0.8, high=1.25), "Factor of size, the same along all axes.")
    flips: Words = setting(
        ("x", "y", "z"),
        "Axes along which sub-volumes are mirrored; from side to side, left and right structures change names.",
    )
    flip_probability: float = setting(0.5, "Chance of being mirrored, for each of these axes.", ge=0, le=1)
    left_words: Words = setting(LEFT_WORDS, "Words in a structure's name that say left.")
    right_words: Words = setting(RIGHT_WORDS, "Words that say right, partner by partner.")
    noise_probability: float = setting(0.15, "Chance of added noise.", ge=0, le=1)
    noise: float = setting(0.05, "Largest standard deviation of the noise, of the range 0 to 1.", ge=0, le=1)
    blur_probability: float = setting(0.15, "Chance of being blurred.", ge=0, le=1)
    blur: float = setting(1.5, "Largest standard deviation of the blur.", unit="mm", ge=0, le=20)
    brightness_probability: float = setting(0.15, "Chance that intensities are multiplied.", ge=0, le=1)
    brightness: Range = setting(Range(low=0.75, high=1.25), "Factor of the intensities.")
    contrast_probability: float = setting(0.15, "Chance that distances from the mean are multiplied.", ge=0, le=1)
    contrast: Range = setting(Range(low=0.75, high=1.25), "Factor of the distances from the sub-volume's mean.")
    gamma_probability: float = setting(0.3, "Chance that intensities are raised to a power.", ge=0, le=1)
    gamma: Range = setting(Range(low=0.7, high=1.5), "The power.")
    recipe_probability: float = setting(
        0.5,
        "Chance that the recipe corrupts the input; by default its non-linear curve, which may invert it.",
        ge=0,
        le=1,
    )
    recipe: Recipe | None = Field(
        default_factory=_nonlinear,
        description="Corruptions of the input alone: a preset's name, a file or the recipe itself; empty: none.",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not set(self.flips) <= {"x", "y", "z"} or len(set(self.flips)) != len(self.flips):
            raise ValueError(f"flips {', '.join(self.flips)}: expected each of x, y, z at most once")
        if any(not 0 <= angle <= 180 for angle in self.rotation):
            raise ValueError(f"rotation {self.rotation}: expected angles from 0 to 180 degrees")
        if len(self.left_words) != len(self.right_words):
            raise ValueError("left_words and right_words must name as many sides, partner by partner")
        return self
