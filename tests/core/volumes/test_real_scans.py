"""Every real file is read as SimpleITK reads it, or refused with the reason it deserves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from genesis_core.errors import VolumeError
from genesis_core.volumes.inspection import inspect_scan
from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.scans import list_scans
from genesis_core.volumes.writing import write_volume

# name: what must be in the reason.
REFUSED = {
    "diffusion_4d.nii.gz": "2 frames",
    "fmri_4d.nii.gz": "30 frames",
    "gantry_tilt_sheared.nii.gz": "not at right angles",
    "lfs_pointer.mha": "git-LFS pointer",
    "perfusion_rgb24.nii.gz": "3 values per voxel",
    "truncated.dcm": "truncated: 62 of 8,192 bytes",
    "truncated.nii.gz": "truncated",
}
# name: (shape, type, smallest, largest, modality, what must be in its notes).
READABLE = {
    "luna_style.mhd": ((12, 320, 384), "int16", -1024, 1561, "ct", ""),
    "lung_elastix.mha": ((129, 157, 115), "int16", -1255, 1474, "ct", ""),
    "mismatched_label.nii.gz": ((47, 130, 139), "uint8", 0, 1, "mr", ""),
    "nan_inf.nii.gz": ((64, 64, 64), "float32", 5, 252, "mr", "not-a-number and 3 infinite voxels were replaced"),
    "oblique_flair.nrrd": ((140, 160, 124), "uint8", 0, 255, "mr", ""),
    "single_slice.nii.gz": ((1, 138, 149), "float32", -1000, 1479, "ct", "too thin"),
    "singleton_4d.nii.gz": ((25, 55, 75), "float32", 0, 1750, "mr", ""),
    "slope_intercept_t2.nii.gz": ((140, 160, 124), "float32", 0, 503.969, "mr", ""),
}
DICOM = {
    "abdomen_ct_jpeg2000": ((20, 512, 512), (0.977, 0.977, 2), -1024, 1839, "ct", ""),
    "brain_mr_tagged_ct": ((17, 128, 88), (2, 2, 2), 0, 696, "mr", "tag says CT, but that is doubted"),
    "chest_ct_lidc0002_slab": ((8, 512, 512), (0.682, 0.682, 1.25), -3024, 1444, "ct", "below -1024 HU"),
    "sarcoma_STS008_ct_rtstruct": ((51, 137, 141), (0.977, 0.977, 3.27), -1000, 1479, "ct", "RT structure set"),
    "sarcoma_STS008_mr_rtstruct": ((28, 79, 77), (0.977, 0.977, 3.27), 0, 1140, "mr", "RT structure set"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_awkward_file_is_refused_with_its_reason(
    real_data: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(VolumeError) as caught:
        read_volume(real_data / "awkward" / name)
    assert REFUSED[name] in str(caught.value)
    assert name in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", READABLE)
def test_an_awkward_file_is_read_and_its_oddity_said(real_data: Path, name: str) -> None:
    shape, kind, low, high, modality, note = READABLE[name]
    volume = read_volume(real_data / "awkward" / name)
    assert (volume.shape, str(volume.array.dtype)) == (shape, kind)
    np.testing.assert_allclose((volume.array.min(), volume.array.max()), (low, high), atol=1e-3)
    assert guess_modality(volume).modality == modality
    assert note in " ".join(volume.notes)
    assert bool(note) == bool(volume.notes)


@pytest.mark.parametrize(
    ("name", "frame", "shape"), [("fmri_4d.nii.gz", 29, (6, 68, 68)), ("diffusion_4d.nii.gz", 1, (24, 96, 128))]
)
def test_a_frame_of_a_real_series_is_that_of_simpleitk(
    real_data: Path, name: str, frame: int, shape: tuple[int, ...]
) -> None:
    volume = read_volume(real_data / "awkward" / name, frame=frame)
    assert volume.shape == shape
    image = sitk.ReadImage(str(real_data / "awkward" / name))[:, :, :, frame]
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.origin, image.GetOrigin(), atol=1e-4)


def test_the_sheared_phantom_is_resampled_on_request(real_data: Path) -> None:
    volume = read_volume(real_data / "awkward" / "gantry_tilt_sheared.nii.gz", resample_shear=True)
    assert "resampled linearly" in volume.notes[-1]
    assert volume.shape[0] == 54
    np.testing.assert_allclose(volume.spacing, (0.4824, 0.4824, 2.2483), atol=1e-3)


@pytest.mark.parametrize("name", DICOM)
def test_a_dicom_folder_is_read_as_simpleitk_reads_it(
    real_data: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shape, spacing, low, high, modality, note = DICOM[name]
    volume = read_volume(real_data / "dicom" / name)
    assert volume.shape == shape
    np.testing.assert_allclose(volume.spacing, spacing, atol=1e-3)
    assert (volume.array.min(), volume.array.max()) == (low, high)
    assert guess_modality(volume).modality == modality
    assert note in " ".join(volume.notes)
    assert bool(note) == bool(volume.notes)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_data / "dicom" / name)))
    image = reader.Execute()
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.origin, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(volume.direction, image.GetDirection(), atol=1e-6)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("folder", ["ct", "mri", "dicom"])
def test_whole_folders_are_readable(real_data: Path, folder: str) -> None:
    scans = list_scans(real_data / folder)
    assert len(scans) == {"ct": 6, "mri": 5, "dicom": 5}[folder]
    assert [record.reason for scan in scans if (record := inspect_scan(scan)).status == "refused"] == []


def test_the_awkward_folder_is_told_apart_as_a_whole(real_data: Path) -> None:
    records = {record.path: record for record in map(inspect_scan, list_scans(real_data / "awkward"))}
    assert records.keys() == REFUSED.keys() | READABLE.keys()
    assert {path for path, record in records.items() if record.status == "refused"} == REFUSED.keys()


def test_every_real_file_agrees_with_simpleitk_and_survives_writing(real_data: Path, tmp_path: Path) -> None:
    checked = 0
    for path in sorted(
        [
            *(real_data / "ct").rglob("*.nii.gz"),
            *(real_data / "mri").rglob("*.nii.gz"),
            *(real_data / "labelled").rglob("*002*.nii.gz"),
        ]
    ):
        volume, image = read_volume(path), sitk.ReadImage(str(path))
        np.testing.assert_allclose(volume.array, sitk.GetArrayFromImage(image), rtol=1e-6)
        np.testing.assert_allclose(volume.spacing, image.GetSpacing(), rtol=1e-6)
        np.testing.assert_allclose(volume.origin, image.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(volume.direction, image.GetDirection(), atol=1e-6)
        if volume.array.size < 2_000_000:
            again = read_volume(write_volume(volume, tmp_path / path.name, overwrite=True))
            np.testing.assert_array_equal(again.array, volume.array)
            np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
        checked += 1
    assert checked >= 11
