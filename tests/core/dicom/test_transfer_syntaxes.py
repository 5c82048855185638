"""However the voxels are stored, they read exactly as they were written, or are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import write_series
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume

STORED = np.add.outer(np.arange(5) * 31, np.arange(40)[:, None] * np.arange(37)).astype("i2") - 300
REAL = Path(pydicom.__file__).parent / "data" / "test_files"


def rewrite(path: Path, syntax: UID) -> None:
    """Write one slice again in another transfer syntax that pydicom can write."""
    dataset = pydicom.dcmread(path)
    if syntax in (RLELossless, JPEGLSLossless):
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)
        return
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
        return
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, implicit_vr=syntax.is_implicit_VR)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless],
    ids=lambda syntax: syntax.name,
)
def test_every_syntax_pydicom_writes_reads_exactly(tmp_path: Path, syntax: UID) -> None:
    for path in write_series(tmp_path, STORED):
        rewrite(path, syntax)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_volume(tmp_path).array, STORED - 1000)


@pytest.mark.parametrize(("compressor", "syntax"), [("JPEG", "1.2.840.10008.1.2.4.70"), ("JPEG2000", None)])
def test_jpeg_lossless_and_jpeg_2000_read_exactly(tmp_path: Path, compressor: str, syntax: str | None) -> None:
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    for z, path in enumerate(write_series(tmp_path / "series", STORED)):
        writer.SetFileName(str(tmp_path / "compressed.dcm"))
        writer.Execute(sitk.GetImageFromArray(STORED[z : z + 1]))
        compressed, dataset = pydicom.dcmread(tmp_path / "compressed.dcm"), pydicom.dcmread(path)
        found = compressed.file_meta.TransferSyntaxUID
        assert found.is_compressed
        assert syntax in (None, found)
        dataset.file_meta.TransferSyntaxUID = found
        dataset.PixelData = compressed.PixelData
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
    np.testing.assert_array_equal(read_volume(tmp_path / "series").array, STORED - 1000)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"],
)
def test_real_files_read_as_their_uncompressed_original(name: str) -> None:
    original, other = read_volume(REAL / "MR_small.dcm"), read_volume(REAL / f"{name}.dcm")
    np.testing.assert_array_equal(other.array, original.array)
    assert other.geometry == original.geometry


def test_a_lossy_syntax_is_said(tmp_path: Path) -> None:
    paths = write_series(tmp_path, STORED)
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.compress("1.2.840.10008.1.2.4.81", jls_error=2, generate_instance_uid=False)
        dataset.pop("LossyImageCompression", None)
        dataset.save_as(path)
    volume = read_volume(tmp_path)
    assert np.abs(volume.array - (STORED - 1000)).max() <= 2
    assert volume.notes[0].startswith("Compressed with loss at some time (5 of 5 files)")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.3.4.5"])
def test_a_syntax_that_cannot_be_decoded_is_refused_by_name(tmp_path: Path, syntax: str) -> None:
    for path in write_series(tmp_path, STORED):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    with pytest.raises(VolumeError, match=rf"cannot be decoded \(transfer syntax {syntax}"):
        read_volume(tmp_path)


def test_deflated_content_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, STORED)[2]
    rewrite(path, DeflatedExplicitVRLittleEndian)
    whole = path.read_bytes()
    for cut in (len(whole) - 60, len(whole) // 2, 400):
        path.write_bytes(whole[:cut])
        with pytest.raises(VolumeError, match=r"truncated|deflated"):
            read_header(tmp_path)


def test_a_real_truncated_file_is_refused(real_data: Path) -> None:
    with pytest.raises(VolumeError, match="truncated: 62 of 8,192 bytes"):
        read_volume(next(real_data.rglob("truncated.dcm")))
