"""Small DICOM series with structure sets and segmentations that refer to them, made with pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT, RTSTRUCT, SEG = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "481.3", "66.4"))
SPACE = "1.2.3.99"
SLICES, ROWS, COLUMNS = 4, 10, 12
STEP = 2.0


def _file(path: Path, sop_class: str, series: str, patient: str | None) -> FileDataset:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", series
    dataset.FrameOfReferenceUID = SPACE
    if patient is not None:
        dataset.PatientID, dataset.PatientName = patient, "Doe^Jane"
    return dataset


def write_ct(folder: Path, series: str, *, patient: str | None = "P1", prefix: str = "IM") -> Path:
    """Write a series of SLICES slices, 1 mm pixels, STEP mm apart; values grow with the slice."""
    for number in range(SLICES):
        slice_ = _file(folder / f"{prefix}{number:03d}.dcm", CT, series, patient)
        slice_.Modality, slice_.InstanceNumber = "CT", number + 1
        slice_.ImagePositionPatient = [0, 0, number * STEP]
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness = [1, 1], STEP
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = ROWS, COLUMNS, 1
        slice_.PhotometricInterpretation = "MONOCHROME2"
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelRepresentation = 15, 1
        slice_.RescaleIntercept, slice_.RescaleSlope = -1000, 1
        slice_.PixelData = np.full((ROWS, COLUMNS), number * 100 + 900, "<i2").tobytes()
        slice_.save_as(slice_.filename)
    return folder


def write_rtstruct(
    path: Path,
    series: str | None,
    names: Sequence[str] = ("GTV",),
    *,
    date: str = "20200101",
    empty: Sequence[str] = (),
) -> Path:
    """Write one square contour per name on the second slice, each a little further; names in `empty` have none."""
    dataset = _file(path, RTSTRUCT, generate_uid(), "P1")
    dataset.Modality, dataset.StructureSetDate, dataset.StructureSetTime = "RTSTRUCT", date, "120000"
    if series is not None:
        dataset.ReferencedFrameOfReferenceSequence = Items([_reference(series)])
    dataset.StructureSetROISequence = Items()
    dataset.ROIContourSequence = Items()
    for number, name in enumerate([*names, *empty], 1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, SPACE
        dataset.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, [255, 0, number]
        if name not in empty:
            start = 1 + number
            corners = [(start, 2), (start + 3, 2), (start + 3, 6), (start, 6)]
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(corners)
            contour.ContourData = [v for x, y in corners for v in (x - 0.5, y - 0.5, STEP)]
            drawn.ContourSequence = Items([contour])
        dataset.ROIContourSequence.append(drawn)
    dataset.save_as(path)
    return path


def write_seg_header(path: Path, series: str, names: Sequence[str]) -> Path:
    """Write a segmentation with its names and references but without frames: enough to find it."""
    dataset = _file(path, SEG, generate_uid(), "P1")
    dataset.Modality, dataset.ContentDate, dataset.ContentTime = "SEG", "20210101", "120000"
    item = Dataset()
    item.SeriesInstanceUID = series
    dataset.ReferencedSeriesSequence = Items([item])
    dataset.SegmentSequence = Items()
    for number, name in enumerate(names, 1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        dataset.SegmentSequence.append(segment)
    dataset.save_as(path)
    return path


def _reference(series: str) -> Dataset:
    inner, study, space = Dataset(), Dataset(), Dataset()
    inner.SeriesInstanceUID = series
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3"
    study.RTReferencedSeriesSequence = Items([inner])
    space.FrameOfReferenceUID = SPACE
    space.RTReferencedStudySequence = Items([study])
    return space
