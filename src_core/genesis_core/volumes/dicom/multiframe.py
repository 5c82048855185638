"""Multi-frame files (Enhanced CT and MR, legacy converted, multi-frame secondary capture) as slices, one per frame.

Every frame has a header of its own in the functional groups: position, orientation, spacing, rescaling, and what tells
it from other frames at its place. From there on frames are slices like those of a folder of files, and pass the same
checks. Source: DICOM PS3.3, C.7.6.16 (functional groups).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.extra import damage_named, open_dataset
from genesis_core.volumes.dicom.tags import DicomFile

# Where the functional groups say what tells frames at one place apart: sequence, element, what to call it.
_TELLING = (
    ("FrameContentSequence", "StackID", "stack"),
    ("FrameContentSequence", "TemporalPositionIndex", "time point"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "acquisition number"),
    ("MREchoSequence", "EffectiveEchoTime", "echo time"),
    ("MRDiffusionSequence", "DiffusionBValue", "b-value"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "cardiac phase"),
    ("MRImageFrameTypeSequence", "FrameType", "image type"),
    ("MRImageFrameTypeSequence", "ComplexImageComponent", "complex component"),
    ("CTImageFrameTypeSequence", "FrameType", "image type"),
    ("CTReconstructionSequence", "ConvolutionKernel", "kernel"),
    ("SegmentIdentificationSequence", "ReferencedSegmentNumber", "segment"),
)
_HEADERS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence")


def frames_of(file: DicomFile) -> tuple[DicomFile, ...]:
    """Return the frames of a file as slices; a file of one plain image is its own only slice.

    Raises VolumeError if its headers are damaged, its frames have no places, or it holds several stacks; also if it
    has several frames and pydicom is not installed.
    """
    if file.problem or (file.frames == 1 and (file.position or not file.grouped)):
        return (file,)
    if not file.grouped:
        raise VolumeError(
            f"{file.path}: {file.frames} frames in one DICOM file, without a place for each: it is no volume (a film, "
            "or a capture of a screen). Export the original slices"
        )
    dataset = open_dataset(file.path, _HEADERS)
    with damage_named(file.path, "the headers of its frames"):
        frames = tuple(_frames(file, dataset))
    stacks = {dict(frame.telling).get("stack") for frame in frames}
    if len(stacks) > 1:
        raise VolumeError(
            f"{file.path}: holds {len(stacks)} stacks of slices ({', '.join(sorted(map(str, stacks)))}) in one file; "
            "only one grid can be read. Export each stack as a series of its own, for instance with dcm2niix"
        )
    return frames


def _frames(file: DicomFile, dataset: Any) -> Iterator[DicomFile]:
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    if len(groups) != file.frames:
        raise ValueError(f"{len(groups)} headers for {file.frames} frames")
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), None)
    dimensions = _dimensions(dataset)
    for index, own in enumerate(groups):

        def value(sequence: str, element: str, own: Any = own) -> Any:
            for group in (own, shared):
                item = next(iter((group.get(sequence) if group is not None else None) or []), None)
                if item is not None and item.get(element) is not None:
                    return item.get(element)
            return None

        telling = {name: str(found) for sequence, element, name in _TELLING if (found := value(sequence, element))}
        indices = value("FrameContentSequence", "DimensionIndexValues")
        for name, at in zip(dimensions, _many(indices), strict=False):
            if name:
                telling.setdefault(name, str(int(at)))
        thickness = value("PixelMeasuresSequence", "SliceThickness")
        between = value("PixelMeasuresSequence", "SpacingBetweenSlices")
        slope = value("PixelValueTransformationSequence", "RescaleSlope")
        intercept = value("PixelValueTransformationSequence", "RescaleIntercept")
        yield replace(
            file,
            frame=index,
            position=_many(value("PlanePositionSequence", "ImagePositionPatient")),
            orientation=_many(value("PlaneOrientationSequence", "ImageOrientationPatient")),
            spacing=_many(value("PixelMeasuresSequence", "PixelSpacing")),
            thickness=float(thickness) if thickness is not None else file.thickness,
            between=float(between) if between is not None else None,
            slope=float(slope) if slope is not None else file.slope,
            intercept=float(intercept) if intercept is not None else file.intercept,
            telling=tuple(telling.items()),
        )


def _dimensions(dataset: Any) -> list[str]:
    """Return what each dimension counts, "" for those that only count places."""
    names = []
    for item in dataset.get("DimensionIndexSequence") or []:
        keyword = _keyword(item.get("DimensionIndexPointer"))
        known = next((name for _, element, name in _TELLING if element == keyword), None)
        is_place = keyword in ("InStackPositionNumber", "ImagePositionPatient", "StackID")
        names.append("" if is_place or known else str(item.get("DimensionDescriptionLabel") or keyword or "dimension"))
    return names


def _keyword(pointer: Any) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(pointer) if pointer is not None else ""


def _many(values: Any) -> tuple[float, ...]:
    if values is None:
        return ()
    return tuple(float(value) for value in values) if hasattr(values, "__iter__") else (float(values),)
