"""Files that SimpleITK or nibabel read wrongly without a word; each is read right here, or refused.

Every test shows the other library's answer first, so that it fails, and may go, once that library is mended.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from test_reading_formats import RAMP, nifti_bytes, save

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

COUNTS = RAMP.astype("i2")


def as_simpleitk(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def as_nibabel(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj).transpose()


def test_simpleitk_fills_the_missing_half_of_a_real_scan_with_zeros(real_data: Path) -> None:
    path = real_data / "awkward/truncated.nii.gz"
    theirs = as_simpleitk(path)
    assert theirs.shape == (51, 137, 141)
    assert not theirs[30:].any()
    with pytest.raises(VolumeError, match="truncated"):
        read_volume(path)


def test_simpleitk_makes_zeros_of_what_is_not_a_number(real_data: Path) -> None:
    path = real_data / "awkward/nan_inf.nii.gz"
    theirs, truth = as_simpleitk(path), as_nibabel(path)
    assert np.isnan(truth).sum() == 2810
    assert (theirs[np.isnan(truth)] == 0).all()
    volume = read_volume(path)
    assert (volume.array[~np.isfinite(truth)] == 5).all()
    assert "2,810 not-a-number and 3 infinite voxels" in volume.notes[0]


def test_simpleitk_straightens_sheared_axes_by_centimetres(real_data: Path) -> None:
    path = real_data / "awkward/gantry_tilt_sheared.nii.gz"
    image, truth = sitk.ReadImage(str(path)), nibabel.load(path).affine
    far = [n - 1 for n in image.GetSize()]
    right, anterior, superior = (truth @ [*far, 1])[:3]
    off = np.linalg.norm(np.subtract(image.TransformIndexToPhysicalPoint(far), (-right, -anterior, superior)))
    assert off > 10
    with pytest.raises(VolumeError, match="not at right angles"):
        read_volume(path)


def test_simpleitk_takes_the_spacing_from_pixdim_though_the_sform_says_otherwise(tmp_path: Path) -> None:
    path = save(tmp_path / "two.nii.gz", nifti_bytes(COUNTS, affine=np.diag([2.0, 3, 4, 1])))
    assert sitk.ReadImage(str(path)).GetSpacing() == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(np.diag(nibabel.load(path).affine), (2, 3, 4, 1))
    volume = read_volume(path)
    assert volume.spacing == (2.0, 3.0, 4.0)
    assert "contradicts itself" in volume.notes[0]


def test_simpleitk_loses_digits_of_scaled_integers(tmp_path: Path) -> None:
    array = COUNTS.astype("i4") + (1 << 24) + 1
    path = save(tmp_path / "wide.nii.gz", nifti_bytes(array, affine=np.eye(4), slope=(0.5, 0.25)))
    truth = array * 0.5 + 0.25
    assert np.abs(as_simpleitk(path).astype(float) - truth).max() >= 0.25
    np.testing.assert_array_equal(read_volume(path).array, truth)


def test_nibabel_ignores_that_lengths_are_in_metres(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nii", nifti_bytes(COUNTS, affine=np.diag([0.002, 0.001, 0.003, 1]), units=1))
    assert nibabel.load(path).header.get_zooms() != (2.0, 1.0, 3.0)
    assert np.diag(nibabel.load(path).affine)[0] == pytest.approx(0.002)
    np.testing.assert_allclose(read_volume(path).spacing, (2, 1, 3), rtol=1e-6)


def test_nibabel_does_not_look_at_the_checksum(tmp_path: Path) -> None:
    # Stored without compression, a flipped bit of a voxel leaves a stream that decodes.
    array = np.random.default_rng(0).integers(0, 999, (8, 60, 60)).astype("i2")
    data = bytearray(gzip.compress(nifti_bytes(array, affine=np.eye(4)), 0))
    data[len(data) // 2] ^= 0x40
    path = tmp_path / "flipped.nii.gz"
    path.write_bytes(data)
    assert (as_nibabel(path) != array).sum() == 1
    with pytest.raises(VolumeError, match="incorrect data check"):
        read_volume(path)


def test_simpleitk_and_nibabel_accept_a_header_that_asks_for_less_than_there_is(tmp_path: Path) -> None:
    path = save(tmp_path / "less.nii", nifti_bytes(COUNTS, affine=np.eye(4), dim=(3, 5, 6, 4)))
    assert as_simpleitk(path).shape == as_nibabel(path).shape == (4, 6, 5)
    path = save(tmp_path / "fewer.nii", nifti_bytes(COUNTS, affine=np.eye(4), dim=(3, 6, 5, 3)))
    assert as_simpleitk(path).shape == as_nibabel(path).shape == (3, 5, 6)
    with pytest.raises(VolumeError, match="60 bytes more than"):
        read_volume(path)


def test_simpleitk_accepts_a_voxel_file_of_another_scan_if_it_is_long_enough(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(COUNTS), str(tmp_path / "scan.mhd"))
    (tmp_path / "scan.raw").write_bytes(bytes(1000))
    assert not as_simpleitk(tmp_path / "scan.mhd").any()
    with pytest.raises(VolumeError, match="760 bytes more than"):
        read_volume(tmp_path / "scan.mhd")


def test_simpleitk_and_nibabel_disagree_on_front_and_back_where_a_header_says_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "no.nii", nifti_bytes(COUNTS, pixdim=(2.0, 1.0, 3.0)))
    toward_back = sitk.ReadImage(str(path)).GetDirection()[4], -nibabel.load(path).affine[1, 1]
    assert toward_back[0] * toward_back[1] < 0
    assert "no orientation" in read_volume(path).notes[0]


def test_neither_says_that_the_two_orientations_of_a_header_disagree(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(COUNTS.transpose(), np.eye(4))
    image.set_sform(np.diag([1.0, 1, 1, 1]), 1)
    image.set_qform(np.array([[1.0, 0, 0, 50], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 1)
    nibabel.save(image, tmp_path / "apart.nii")
    assert sitk.ReadImage(str(tmp_path / "apart.nii")).GetOrigin() != (-50.0, 0.0, 0.0)
    assert nibabel.load(tmp_path / "apart.nii").affine[0, 3] == 0
    volume = read_volume(tmp_path / "apart.nii")
    assert volume.origin == (0.0, 0.0, 0.0)
    assert "50 mm apart" in volume.notes[0]


def test_a_file_half_written_to_another_name_is_never_mistaken_for_a_scan(tmp_path: Path) -> None:
    volume = Volume(COUNTS, Geometry(COUNTS.shape, (1.0, 2.0, 3.0)))
    path = write_volume(volume, tmp_path / "scan.nii.gz")
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(VolumeError, match="truncated"):
        read_volume(path)
    assert read_header(path).geometry.shape == COUNTS.shape
