"""Settings of the data and of how sub-volumes are drawn from it, declared once for YAML, command line and forms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from genesis_core.settings import Settings, Size3, Spacing3, Words, setting
from genesis_core.volumes.intensity import Intensity
from genesis_core.volumes.preprocessing import Preprocessing, checked_axis_codes


class DataSettings(Settings):
    """Which scans are used, and how they are prepared."""

    scans: Path | None = setting(
        None, "Folder of unlabelled scans (or one scan): NIfTI, MetaImage, NRRD files, DICOM folders."
    )
    series: Path | None = setting(
        None, "Table of DICOM series, as `inspect --series` writes it: only those it keeps are used."
    )
    modality: Literal["auto", "ct", "mr"] = setting("auto", "What the scans are; auto: decided from all of them.")
    axis_codes: str = setting("LPS", "Where the axes x, y, z grow toward: one of L/R, one of P/A, one of S/I.")
    spacing: Spacing3 | None = setting(None, "Voxel spacing x, y, z to resample to; empty: as scanned.", unit="mm")
    intensity: Intensity | None = setting(None, "How scan units are mapped onto [0, 1]; empty: by modality.")
    validation_fraction: float = setting(
        0.2, "Part of the scans held out for validation; at least one scan if there are two.", ge=0, le=0.9
    )
    cache: Path | None = setting(None, "Folder of the prepared scans; empty: the user's cache folder.")
    path_map: Words = setting(
        (), "Where folders lie on this machine, as OLD=NEW, when a run goes on that was begun on another."
    )

    @field_validator("axis_codes")
    @classmethod
    def _complete_codes(cls, codes: str) -> str:
        return checked_axis_codes(codes)

    @field_validator("path_map")
    @classmethod
    def _pairs(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        for pair in pairs:
            old, equals, new = pair.partition("=")
            if not (old and equals and new):
                raise ValueError(f"{pair!r}: expected OLD=NEW, two folders")
        return pairs

    def with_mapped_paths(self) -> Self:
        """Return these settings with every folder put where `path_map` says, and no map left to apply."""
        mapped = {name: _mapped(getattr(self, name), self.path_map) for name in ("scans", "series", "cache")}
        return self.model_copy(update={**mapped, "path_map": ()})

    def preprocessing(self, modality: Literal["ct", "mr"]) -> Preprocessing:
        """Return what is done to every scan, once the modality is known."""
        return Preprocessing.model_validate(
            {"modality": modality, "axis_codes": self.axis_codes, "spacing": self.spacing, "intensity": self.intensity}
        )


def _mapped(path: Path | None, pairs: Sequence[str]) -> Path | None:
    if path is None:
        return None
    for pair in pairs:
        old, _, new = pair.partition("=")
        for form in (path, Path(os.path.abspath(path))):
            if form.is_relative_to(old):
                return Path(new) / form.relative_to(old)
    return path


class LungFilterSettings(Settings):
    """The published lung filter: what it takes for tissue, how much of it, and how far from the borders it draws.

    Source: the cube extraction published with Zhou et al. 2021 (for crops of 64x64x32 from LUNA16).
    """

    threshold: float = setting(-150.0, "A voxel at or above it is tissue.", unit="HU", ge=-1024, le=3071)
    max_tissue: float = setting(0.15, "Largest tissue score of an accepted sub-volume, per voxel.", ge=0, le=1)
    margin: tuple[int, int, int] = setting(
        (30, 100, 100), "Distance z, y, x that a sub-volume keeps from the borders of the scan.", unit="voxels"
    )

    @field_validator("margin")
    @classmethod
    def _not_negative(cls, margin: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(margin) < 0:
            raise ValueError("a margin is at least 0 voxels")
        return margin


class SamplingSettings(Settings):
    """How sub-volumes are drawn from the scans."""

    patch_size: Size3 = setting((32, 64, 64), "Size z, y, x of a sub-volume.", unit="voxels")
    flips: Words = setting(("x", "y", "z"), "Axes along which input and target are flipped together, at random.")
    flip_probability: float = setting(0.5, "Probability of a flip, for each of these axes.", ge=0, le=1)
    filter: Literal["tissue", "lung_ct", "none"] = setting(
        "tissue", "Which sub-volumes are refused: nearly empty ones, all but air-filled lung (as published), or none."
    )
    air_threshold: float | None = setting(
        None,
        "A voxel above it is not air: in HU for CT, as part of the fitted range for MR; empty: -800 HU, or 0.05.",
        ge=-32768,
        le=32767,
    )
    min_tissue: float = setting(0.05, "Smallest part of a sub-volume's voxels above the air threshold.", ge=0, le=1)
    max_tries: int = setting(20, "Draws before a refused sub-volume is taken after all (and counted).", ge=1, le=10_000)
    lung: LungFilterSettings = Field(default=LungFilterSettings(), description="Settings of the filter lung_ct.")

    @model_validator(mode="after")
    def _known_axes(self) -> Self:
        if not set(self.flips) <= {"x", "y", "z"} or len(set(self.flips)) != len(self.flips):
            raise ValueError(f"flips {', '.join(self.flips)}: expected each of x, y, z at most once")
        return self
