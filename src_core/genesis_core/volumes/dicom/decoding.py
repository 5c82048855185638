"""The voxels of a series, decoded by GDCM through SimpleITK: plain slices as files, frames out of files of many frames.

GDCM takes the type of the first slice for all of them, and one rescaling for all frames of a file; both are set right
here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.extra import damage_named, needs_extra, open_dataset
from genesis_core.volumes.dicom.series import DicomSeries
from genesis_core.volumes.dicom.tags import DicomFile

# All that decoding needs: neither patient nor rescaling, which is applied per frame.
_PIXEL_MODULE = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
)  # fmt: skip
_MULTIFRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
_SINGLE_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def read_voxels(found: DicomSeries) -> NDArray[Any]:
    """Decode all slices; returns an array (z, y, x) in the scan's units.

    Whole numbers stay whole; fractions give float32 (float64 for numbers of more than 16 bits). Raises VolumeError if
    a slice does not decode.
    """
    plain = all(one.frame is None for one in found.slices)
    array = _read_files(found) if plain else _read_frames(found)
    if array.shape != found.geometry.shape:
        raise VolumeError(
            f"{found.path}: its slices decode to shape {array.shape}, not {found.geometry.shape} as their tags say"
        )
    return array


def _read_files(found: DicomSeries) -> NDArray[Any]:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(one.path.absolute()) for one in found.slices])
    reader.MetaDataDictionaryArrayUpdateOff()
    if len({(one.slope, one.intercept, one.signed, one.bits) for one in found.slices}) > 1:
        # The type is taken from the first slice otherwise, which would cut the others' fractions or numbers off.
        deep = any(one.bits > 16 for one in found.slices)
        whole = all(_is_whole(one) for one in found.slices)
        wide, narrow = (
            (SimpleITK.sitkInt64, SimpleITK.sitkInt32) if whole else (SimpleITK.sitkFloat64, SimpleITK.sitkFloat32)
        )
        reader.SetOutputPixelType(wide if deep else narrow)
    try:
        array: NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as problem:
        raise _undecodable(found.path, found.slices[0], problem) from None
    return array


def _read_frames(found: DicomSeries) -> NDArray[Any]:
    """Decode each file once, take its frames in the order of their places, and rescale each by its own numbers."""
    whole = all(_is_whole(one) for one in found.slices)
    deep = any(one.bits > 16 for one in found.slices)
    dtype = np.dtype(np.int64 if whole else np.float64 if deep else np.float32)
    result = np.empty(found.geometry.shape, np.int32 if whole and not deep else dtype)
    for path in dict.fromkeys(one.path for one in found.slices):
        stored = _stored_frames(path, next(one for one in found.slices if one.path == path))
        for z, one in enumerate(found.slices):
            if one.path == path:
                frame = stored[one.frame or 0]
                if frame.shape != result.shape[1:]:
                    raise VolumeError(f"{path}: its frames decode to shape {frame.shape}, not {result.shape[1:]}")
                # In double precision, so that the result is rounded once.
                scaled = frame.astype(np.float64) * one.slope + one.intercept
                result[z] = scaled
    if whole and not deep and result.min() >= -(1 << 15) and result.max() < 1 << 15:
        return result.astype(np.int16)
    return result


def _stored_frames(path: Path, first: DicomFile) -> NDArray[Any]:
    """Return the stored numbers (frame, y, x) of one file, decoded without any rescaling.

    GDCM is given a copy that holds nothing but the voxels, since it would rescale all frames by the first one's slope.
    """
    import SimpleITK

    dataset = open_dataset(path, _PIXEL_MODULE)
    with needs_extra(path):
        from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
        from pydicom.uid import generate_uid
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryDirectory(prefix="genesis_frames_") as folder:
        copy = Path(folder) / "frames.dcm"
        with damage_named(path, "its voxels"):
            meta = FileMetaDataset()
            meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
            meta.MediaStorageSOPClassUID = _MULTIFRAME_CAPTURE if first.frames > 1 else _SINGLE_CAPTURE
            meta.MediaStorageSOPInstanceUID = generate_uid()
            bare = Dataset({element.tag: element for element in dataset})
            bare.SOPClassUID, bare.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
            target = FileDataset(
                str(copy),
                bare,
                preamble=bytes(128),
                file_meta=meta,
                is_implicit_VR=meta.TransferSyntaxUID.is_implicit_VR,
                is_little_endian=meta.TransferSyntaxUID.is_little_endian,
            )
            try:
                target.save_as(copy, enforce_file_format=True)
            except OSError as problem:
                raise VolumeError(
                    f"{path}: no room for a temporary copy of its voxels in {folder} ({problem.strerror or problem})"
                ) from None
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(copy))
        try:
            array: NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
        except RuntimeError as problem:
            raise _undecodable(path, first, problem) from None
    if array.ndim != 3 or len(array) != first.frames:
        raise VolumeError(f"{path}: {first.frames} frames decode to shape {array.shape}; its voxels are damaged")
    return array


def _is_whole(one: DicomFile) -> bool:
    return one.slope % 1 == 0 and one.intercept % 1 == 0


def _undecodable(path: Path, one: DicomFile, problem: Exception) -> VolumeError:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    reason = lines[-1][-200:] if lines else type(problem).__name__
    return VolumeError(
        f"{path}: its slices cannot be decoded (transfer syntax {one.syntax or 'unknown'}: {reason}). Copy them again "
        "from their source, or decompress them with dcmtk's dcmdjpeg"
    )
