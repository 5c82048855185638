"""What `napari-genesis segment` is told: the one declaration behind its options, YAML, docs and the Apply dock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from genesis_core.settings import Settings, Words, setting


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


def _volumes(value: Any) -> Any:
    """Read 0.5 as {all: 0.5}, and "liver=1,spleen=0.5" as a mapping."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"all": value}
    if not isinstance(value, str):
        return value
    pairs = [part.strip().rpartition("=") for part in value.split(",")]
    return {name or "all": number for name, _, number in pairs}


Models = Annotated[tuple[Path, ...], Field(min_length=1), BeforeValidator(_one_or_more)]
Millilitres = Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_volumes)]


class SegmentSettings(Settings):
    """What `napari-genesis segment` is told."""

    scan: Path = setting(..., "A scan (file or DICOM folder), or a folder of scans.")
    model: Models = setting(..., "Runs or model folders; several, or the folds of one run, are averaged.")
    out: Path = setting(..., "Folder for the results; subfolders are mirrored.")
    overlap: float = setting(0.5, "Fraction of the patch that neighbouring windows share.", ge=0, le=0.95)
    flips: Words = setting(
        (), "Axes (x,y,z) along which mirrored views are averaged too; each doubles the time. Left and right are kept."
    )
    largest_component: Words = setting((), "Structures of which only the largest piece is kept: names, or all.")
    fill_holes: Words = setting((), "Structures whose closed cavities are filled: names, or all.")
    fill_slices: Words = setting((), "Structures whose holes within axial slices are filled: names, or all.")
    minimum_ml: Millilitres = setting(
        {}, "Pieces smaller than this are removed: 0.5 for all, or liver=1,spleen=0.5.", unit="ml"
    )
    structures: Words = setting((), "Structures to segment, of a model with a sigmoid: names; empty: all it knows.")
    organ_rules: Literal["none", "suprem"] = setting(
        "none", "Published post-processing, organ by organ: suprem, for the 32 classes of its models."
    )
    uncertainty: bool = setting(False, "Write maps of the uncertainty, and of the spread between predictions, too.")
    format: Literal["nii.gz", "nrrd", "dicom_seg"] = setting(
        "nii.gz", "Labels as NIfTI with a JSON of names, as Slicer's .seg.nrrd, or as DICOM SEG of a DICOM series."
    )
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:1, mps.")
    batch_size: int = setting(1, "Windows per forward pass; 1 for networks with batch statistics.", ge=1, le=256)
    precision: Literal["float32", "bfloat16"] = setting("float32", "Number format of the network's arithmetic.")
    skip_existing: bool = setting(False, "Leave out scans that are finished already.")
    overwrite: bool = setting(False, "Replace results that are already there.")


# What decides the voxels of a result, and is stated beside it.
STATED = {
    "overlap",
    "flips",
    "largest_component",
    "fill_holes",
    "fill_slices",
    "minimum_ml",
    "structures",
    "organ_rules",
    "device",
    "batch_size",
    "precision",
}
