"""Named structures as a DICOM segmentation that belongs to a series: what a picture archive takes back.

The file refers to the slices it was drawn on, in their own frame of reference. By DICOM's rules it carries the patient
and study of the series, copied from slice to file without being looked at.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.atomic import replacing
from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.dicom.extra import needs_extra
from genesis_core.volumes.dicom.series import DicomSeries, find_series
from genesis_core.volumes.grid import is_sheared
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.resampling import reorient, same_grid
from genesis_core.volumes.volume import Volume

_NAME = "napari-genesis"
# May be empty, but not missing in the slices a segmentation refers to (PS3.3, type 2); anonymisers remove them.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
# Bytes a voxel beside the layers themselves: measured with 3 to 40 structures (10.3 to 10.9).
_PACKING_BYTES = 11


def write_dicom_seg(
    labels: LabelVolume,
    scan: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    automatic: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write structures as a binary DICOM segmentation of the series they were drawn on; returns its path.

    scan: the folder of the series, or its multi-frame file; series: its UID where the folder holds several. labels: on
    the grid of that series, in any order and direction of axes. automatic: made by a model, not by hand.
    Raises VolumeError if the grids differ, the series cannot be read, or highdicom is not installed, and
    OutputExistsError if the file is there and `overwrite` is not given.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: already exists; choose another name, or allow it to be replaced")
    if not path.parent.is_dir():
        raise VolumeError(f"{path}: the folder {path.parent} does not exist; make it first")
    found = find_series(Path(scan), series)
    if is_sheared(found.geometry, found.placed.moved):
        raise VolumeError(
            f"{found.path}: its slices are shifted (a tilted gantry); no voxels of a straight grid fit it"
        )
    if not labels.structures:
        raise VolumeError(f"{labels.source or 'labels'}: no structure to write")
    layers = _on_series(labels, found)
    with needs_extra(path):
        import highdicom
    try:
        with warnings.catch_warnings():
            # They quote values, the patient's name among them.
            warnings.simplefilter("ignore")
            written = _segmentation(highdicom, layers, labels.structures, found, automatic)
    # highdicom checks the slices it refers to in many ways, and names what is missing.
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise VolumeError(f"{found.path}: no segmentation can refer to its slices ({problem})") from None
    try:
        with replacing(path) as temporary:
            written.save_as(temporary)
    except OSError as problem:
        raise VolumeError(
            f"{path}: cannot be written ({problem.strerror or problem}). Is the disk full, or the folder read-only?"
        ) from None
    return path


def dicom_seg_bytes(voxels: int, layers: int) -> int:
    """Estimate what `write_dicom_seg` allocates at its peak for structures in so many layers.

    One layer per structure is the worst; highdicom adds up the layers in 8 bytes a voxel, and collects packed frames.
    """
    return (layers + _PACKING_BYTES) * voxels


def _on_series(labels: LabelVolume, found: DicomSeries) -> list[NDArray[Any]]:
    """Return the layers with their slices in the order of the series."""
    turned = [reorient(Volume(layer, labels.geometry), found.geometry.axis_codes) for layer in labels.layers]
    if not same_grid(turned[0].geometry, found.geometry):
        raise VolumeError(
            f"{labels.source or 'labels'}: not on the grid of {found.path} (shape {turned[0].shape}, not "
            f"{found.geometry.shape}, or another place). Bring them onto the scan first"
        )
    return [volume.array for volume in turned]


def _segmentation(
    highdicom: Any, layers: Sequence[NDArray[Any]], structures: Sequence[Structure], found: DicomSeries, automatic: bool
) -> Any:
    from pydicom import dcmread
    from pydicom.uid import generate_uid

    sources = [dcmread(path, stop_before_pixels=True) for path in dict.fromkeys(one.path for one in found.slices)]
    for source in sources:
        for keyword in _MAY_BE_EMPTY:
            if keyword not in source:
                setattr(source, keyword, "")
    if any(one.frame is not None for one in found.slices):
        if len(sources) > 1:
            raise ValueError("several multi-frame files make one series")
        # Sources of many frames are matched by the order in the file.
        order = np.argsort([one.frame or 0 for one in found.slices])
        layers = [layer[order] for layer in layers]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=_numbered(layers, structures),
        segmentation_type="BINARY",
        segment_descriptions=[_description(highdicom, n, one, automatic) for n, one in enumerate(structures, 1)],
        series_instance_uid=generate_uid(),
        series_number=1000,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_NAME,
        manufacturer_model_name=_NAME,
        software_versions=_version(),
        device_serial_number="1",
        content_label="SEGMENTATION",
    )


def _numbered(layers: Sequence[NDArray[Any]], structures: Sequence[Structure]) -> NDArray[Any]:
    """Return structures as numbers from 1 in their order (z, y, x), or, if they overlap, as (z, y, x, structure)."""
    if len(layers) > 1:
        # The largest thing there is while a segmentation is written, so there is one of it only.
        several = np.empty((*layers[0].shape, len(structures)), np.uint8)
        for number, one in enumerate(structures):
            several[..., number] = layers[one.layer] == one.value
        return several
    result = np.zeros(layers[0].shape, np.uint8 if len(structures) < 1 << 8 else np.uint16)
    for number, one in enumerate(structures, 1):
        result[layers[0] == one.value] = number
    return result


def _description(highdicom: Any, number: int, structure: Structure, automatic: bool) -> Any:
    from pydicom.sr.codedict import codes

    tissue = codes.SCT.Tissue
    algorithm = highdicom.AlgorithmIdentificationSequence(_NAME, codes.DCM.ArtificialIntelligence, _version())
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        # Labels hold 64 characters at most (PS3.5, 6.2).
        segment_label=structure.name[:64],
        segmented_property_category=tissue,
        segmented_property_type=tissue,
        algorithm_type="AUTOMATIC" if automatic else "MANUAL",
        algorithm_identification=algorithm if automatic else None,
        display_color=highdicom.color.CIELabColor.from_rgb(*structure.colour) if structure.colour else None,
    )


def _version() -> str:
    try:
        return version(_NAME)
    except PackageNotFoundError:
        return "unknown"
