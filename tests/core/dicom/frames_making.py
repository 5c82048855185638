"""Multi-frame DICOM files made with pydicom: functional groups as a scanner writes them, or as it should not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

ENHANCED_CT, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"


def item(**values: Any) -> Dataset:
    made = Dataset()
    for key, value in values.items():
        setattr(made, key, value)
    return made


def write_frames(
    path: Path,
    stored: np.ndarray,
    *,
    order: Sequence[int] | None = None,
    step: Sequence[float] = (0.0, 0.0, 2.5),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    rescale: Callable[[int], tuple[float, float]] = lambda z: (1.0, -1000.0),
    more: Callable[[int], dict[str, Dataset]] = lambda z: {},
    change: Callable[[FileDataset], None] = lambda dataset: None,
    sop_class: str = ENHANCED_CT,
    syntax: str = ExplicitVRLittleEndian,
    little_endian: bool = True,
    enhanced: bool = False,
) -> Path:
    """Write stored values (z, y, x) of int16 as frames at -10, 20, -30 mm plus z times `step`.

    order: the place (z) of each frame in the file. more: further functional groups of the frame at place z. enhanced:
    with the attributes a segmentation needs in the file it refers to.
    """
    order = list(range(len(stored))) if order is None else list(order)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.826.9"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(
        str(path), {}, preamble=bytes(128), file_meta=meta, is_implicit_VR=False, is_little_endian=little_endian
    )
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.826.9"
    dataset.Modality = "MR" if sop_class == ENHANCED_MR else "CT"
    dataset.PatientName = "Nobody^Ever"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.9"
    dataset.FrameOfReferenceUID = "1.2.3.7"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[1:]
    dataset.NumberOfFrames = len(order)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    shared = item(
        PixelMeasuresSequence=Items([item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5)]),
        PlaneOrientationSequence=Items([item(ImageOrientationPatient=list(orientation))]),
    )
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for z in order:
        place = [round(float(v), 6) for v in np.array([-10.0, 20.0, -30.0]) + z * np.asarray(step)]
        slope, intercept = rescale(z)
        frame = item(
            PlanePositionSequence=Items([item(ImagePositionPatient=place)]),
            PixelValueTransformationSequence=Items(
                [item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="HU")]
            ),
            FrameContentSequence=Items([item(StackID="1", InStackPositionNumber=z + 1)]),
        )
        for key, value in more(z).items():
            setattr(frame, key, Items([value]))
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Items(frames)
    dataset.PixelData = stored[order].astype("<i2" if little_endian else ">i2").tobytes()
    dataset["PixelData"].VR = "OW"
    if enhanced:
        dataset.ContentDate, dataset.ContentTime = "20200101", "120000"
        dataset.InstanceNumber = 1
    change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path
