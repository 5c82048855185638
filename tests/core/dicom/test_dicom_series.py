"""A DICOM folder is one whole series in order, or is refused with what is wrong with it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import IMPLICIT, MR, RTSTRUCT, SEG, damaged, dicom_bytes, write_series

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume

STORED = np.random.default_rng(3).integers(0, 1500, (9, 11, 13)).astype("i2")


def test_slices_are_ordered_by_place_and_scaled(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path, STORED)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, STORED - 1000)
    assert (volume.spacing, volume.origin) == ((0.7, 0.8, 2.5), (-10.0, 20.0, -30.0))
    assert (volume.modality, volume.axis_codes, volume.notes) == ("ct", "LPS", ())
    header = read_header(tmp_path)
    assert (header.geometry, header.modality, header.frames) == (volume.geometry, "ct", 1)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    np.testing.assert_allclose(image.GetOrigin(), volume.origin)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["-{:02d}.250000.dcm", "{:d}", "CT.1.2.840.{:d}", "IMG{:d}.IMA"])
def test_any_usual_file_name_is_found(tmp_path: Path, name: str) -> None:
    write_series(tmp_path, STORED, name=name)
    assert read_volume(tmp_path).shape == STORED.shape


def test_implicit_tags_are_read_too(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, syntax=IMPLICIT, x00081140=None)
    np.testing.assert_array_equal(read_volume(tmp_path).array, STORED - 1000)


@pytest.mark.parametrize("orientation", ["1\\0\\0\\0\\0\\-1", "0\\1\\0\\0\\0\\-1", "0.8\\0.6\\0\\-0.6\\0.8\\0"])
def test_any_orientation_agrees_with_simpleitk(tmp_path: Path, orientation: str) -> None:
    values = np.array([float(v) for v in orientation.split("\\")])
    normal = np.cross(values[:3], values[3:])
    write_series(tmp_path, STORED, step=1.5 * normal, x00200037=orientation)
    volume = read_volume(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    np.testing.assert_allclose(image.GetDirection(), volume.direction, atol=1e-9)
    np.testing.assert_allclose(image.GetSpacing(), volume.spacing)


def test_a_slope_that_differs_between_slices_is_applied_to_each(tmp_path: Path) -> None:
    for z, path in enumerate(write_series(tmp_path, STORED, sop_class=MR)):
        data = dicom_bytes(
            STORED[z], position=(0, 0, 2.0 * z), uid=f"1.{z}", series="1.2", number=z,
            x00080060="PT", x00281052="0", x00281053=f"{1 + z / 4}",
        )  # fmt: skip
        path.write_bytes(data)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, STORED * (1 + np.arange(9) / 4)[:, None, None], rtol=1e-6)
    assert volume.modality is None


def test_other_objects_in_the_folder_are_ignored_and_said(tmp_path: Path) -> None:
    write_series(tmp_path, STORED)
    for name, kind in (("RS.dcm", RTSTRUCT), ("RS2.dcm", RTSTRUCT), ("seg.dcm", SEG)):
        data = dicom_bytes(None, position=(0, 0, 0), uid="9.9", series="9.9.9", number=1, sop_class=kind)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "notes.txt").write_text("nothing")
    volume = read_volume(tmp_path)
    assert volume.shape == STORED.shape
    assert volume.notes == (
        "Other DICOM objects in the folder were ignored: 2 RT structure set, 1 segmentation.",
        "Left out, as they are not DICOM: LICENSE.",
    )
    with pytest.raises(VolumeError, match="RT structure set"):
        read_volume(tmp_path / "RS.dcm")


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, series="1.2.3.4", name="a{:d}.dcm")
    write_series(tmp_path, STORED[:5] + 100, series="1.2.3.5", name="b{:d}.dcm")
    with pytest.raises(VolumeError, match=r"2 series; choose one") as caught:
        read_volume(tmp_path)
    assert "1.2.3.4: CT, 'series 1.2.3.4', 9 files of 13 x 11" in str(caught.value)
    np.testing.assert_array_equal(read_volume(tmp_path, series="1.2.3.5").array, STORED[:5] - 900)
    with pytest.raises(VolumeError, match=r"no series 9\.9"):
        read_volume(tmp_path, series="9.9")


def test_missing_slices_are_counted_at_every_place(tmp_path: Path) -> None:
    paths = write_series(tmp_path, STORED)
    paths[4].unlink()
    with pytest.raises(
        VolumeError, match=r"1 slice\(s\) missing, .*2\.500 mm apart: 1 in the 5\.000 mm between"
    ) as told:
        read_volume(tmp_path)
    assert f"{paths[3].name} and {paths[5].name} (at -22.5 and -17.5 mm)" in str(told.value)
    paths[5].unlink()
    paths[7].unlink()
    with pytest.raises(VolumeError, match=r"3 slice\(s\) missing, .*: 2 in the 7\.500 mm .*; 1 in the 5\.000 mm"):
        read_volume(tmp_path)


def test_slices_at_one_place_are_refused_by_what_tells_them_apart(tmp_path: Path) -> None:
    paths = write_series(tmp_path, STORED)
    (tmp_path / "copy.dcm").write_bytes(paths[0].read_bytes())
    with pytest.raises(VolumeError, match=r"at the same place, at 1 of 9 places .*: copies"):
        read_volume(tmp_path)
    (tmp_path / "copy.dcm").unlink()
    write_series(tmp_path, STORED, name="later{:d}.dcm", x00200100="2")
    with pytest.raises(VolumeError, match=r"2 images lie .* at 9 of 9 places .*temporal position \(2 values\)"):
        read_volume(tmp_path)


def test_an_uneven_slice_is_refused(tmp_path: Path) -> None:
    path = write_series(tmp_path, STORED)[4]
    path.write_bytes(dicom_bytes(STORED[4], position=(-10, 20, -19.4), uid="7.7", series="1.2.3.4", number=4))
    with pytest.raises(VolumeError, match=r"unevenly: 3\.100 mm between .* most lie 2\.500 mm apart"):
        read_volume(tmp_path)


@pytest.mark.parametrize("shift", [0.7, -0.3, 2.5])
def test_a_tilted_gantry_is_refused_with_its_millimetres_and_resampled_on_request(tmp_path: Path, shift: float) -> None:
    # A ramp along y (mm) is linear, so linear resampling must give it back exactly where all of it is known.
    stored = np.broadcast_to(np.round(np.arange(60) * 80)[None, :, None], (9, 60, 13)) + np.zeros((9, 60, 13))
    stored += np.round(np.arange(9) * shift * 100)[:, None, None]
    write_series(tmp_path, stored.astype("i2"), step=(0, shift, 2.5))
    with pytest.raises(
        VolumeError, match=r"tilted gantry, .* degrees\).* misplace voxels by up to \d+\.\d mm.*resample"
    ):
        read_volume(tmp_path)
    header = read_header(tmp_path)
    assert header.moved > 1
    volume = read_volume(tmp_path, resample_shear=True)
    assert any("resampled linearly" in note for note in volume.notes)
    indices = np.indices(volume.shape).reshape(3, -1)
    y = (volume.affine @ np.vstack([indices, np.ones(indices.shape[1])]))[1].reshape(volume.shape)
    start = 20 + shift * np.arange(9)[:, None, None]
    # Up to half a voxel beyond the outermost centres, the outermost value holds.
    known = (y >= start) & (y <= start + 59 * 0.8)
    assert known.mean() > 0.5
    np.testing.assert_allclose(volume.array[known], ((y - 20) * 100 - 1000)[known], atol=0.6)


def test_orientations_are_compared_by_millimetres_at_the_far_corner(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, x00200037="1\\0\\0\\0\\1\\0")
    paths = sorted(tmp_path.iterdir())
    # A turn of 0.0008 moves the far corner of 13 x 11 pixels by 0.008 mm: rounding. Of 0.01, by 0.1 mm.
    for turn, fits in (("0.0008", True), ("0.01", False)):
        place = [-10, 20, -30 + 2.5 * 3]
        data = dicom_bytes(STORED[3], position=place, uid="7", series="1.2.3.4", number=3,
                           x00200037=f"1\\{turn}\\0\\-{turn}\\1\\0")  # fmt: skip
        for path in paths:
            if b"-22.5" in path.read_bytes():
                path.write_bytes(data)
        if fits:
            assert read_volume(tmp_path).shape == STORED.shape
        else:
            with pytest.raises(VolumeError, match=r"orientation .* differs .*far corner lies 0\.1\d mm elsewhere"):
                read_volume(tmp_path)


def test_directions_rounded_to_three_decimals_keep_the_spacing_of_the_tag(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, x00200037="0.707\\0.707\\0\\-0.707\\0.707\\0")
    np.testing.assert_allclose(read_volume(tmp_path).spacing, (0.7, 0.8, 2.5), rtol=1e-12)
    write_series(tmp_path, STORED, x00200037="0.9\\0\\0\\0\\0.9\\0")
    with pytest.raises(VolumeError, match=r"not two directions of length 1 \(lengths 0\.9000 and 0\.9000\)"):
        read_volume(tmp_path)


def test_numbers_of_another_type_in_later_slices_are_not_cut_off(tmp_path: Path) -> None:
    # SimpleITK takes the type of the first slice for all of them: 60,000 in a later one would become -5,536.
    paths = write_series(tmp_path, STORED, x00281052="0", x00080060="MR")
    bright = STORED[8].astype("u2")
    bright[0, 0] = 60_000
    data = dicom_bytes(bright.view("i2"), position=(-10, 20, -10), uid="7", series="1.2.3.4", number=8,
                       x00280103=0, x00281052="0", x00080060="MR")  # fmt: skip
    paths[8].write_bytes(data)
    assert read_volume(tmp_path).array[8, 0, 0] == 60_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x00280004": "MONOCHROME1"}, "MONOCHROME1, not MONOCHROME2"),
        ({"x00280004": "PALETTE COLOR"}, "PALETTE COLOR, not MONOCHROME2"),
        ({"x00281053": "0"}, "rescale slope '0'"),
        ({"x00281053": "none"}, "rescale slope 'none'"),
        ({"x00281052": "1e999"}, "intercept '1e999'"),
        ({"x00283000": ""}, "lookup table"),
    ],
)
def test_numbers_that_are_no_plain_intensities_are_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    write_series(tmp_path, STORED, **change)
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path)


def test_the_padding_value_of_the_tag_is_said(tmp_path: Path) -> None:
    stored = STORED.copy()
    stored[:, 0, :2] = -2000
    write_series(tmp_path, stored, x00280120=struct.pack("<h", -2000))
    assert read_volume(tmp_path).notes == (
        "18 voxels hold the padding value of its tag, -3000 (below -1024 HU): outside the field of view.",
    )


def test_loss_in_compression_is_said(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, x00282110="01")
    assert "Compressed with loss" in read_volume(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x00280010": 5}, "286 bytes of voxels, where its tags name 130"),
        ({"x00200037": "0\\1\\0\\0\\0\\-1"}, "orientation"),
        ({"x00280030": "0.9\\0.9"}, "pixel spacing differs"),
        ({"x00200032": None}, "missing"),
        ({"x00280008": "4"}, "truncated"),
        ({"x00280002": 3}, "truncated"),
        ({"x00280100": 0}, "no rows, columns or bits"),
    ],
)
def test_a_slice_that_does_not_fit_the_others_is_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = write_series(tmp_path, STORED)[3]
    path.write_bytes(dicom_bytes(STORED[3], position=(-10, 20, -22.5), uid="7", series="1.2.3.4", number=3, **change))
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path)


def test_a_slice_of_another_size_is_named(tmp_path: Path) -> None:
    path = write_series(tmp_path, STORED)[3]
    small = STORED[3, :5]
    path.write_bytes(dicom_bytes(small, position=(-10, 20, -22.5), uid="7", series="1.2.3.4", number=3))
    with pytest.raises(VolumeError, match=r"13 x 5 pixels, but .* has 13 x 11"):
        read_volume(tmp_path)


def test_several_frames_in_one_file_are_refused(tmp_path: Path) -> None:
    data = dicom_bytes(
        STORED.reshape(99, 13), position=(0, 0, 0), uid="7", series="7.7", number=1, x00280010=11, x00280008="9"
    )
    (tmp_path / "multi.dcm").write_bytes(data)
    with pytest.raises(VolumeError, match=r"9 frames in one DICOM file, without a place for each"):
        read_volume(tmp_path / "multi.dcm")


def test_a_single_slice_is_read_and_said(tmp_path: Path) -> None:
    path = write_series(tmp_path, STORED)[0]
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, STORED[:1] - 1000)
    assert volume.spacing == (0.7, 0.8, 2.5)
    assert any("give its folder" in note for note in volume.notes)
    assert any("too thin" in note for note in volume.notes)


@pytest.mark.parametrize("length", [100, 140, 300, -200, -1])
@pytest.mark.parametrize("name", ["{:03d}.dcm", "CT.{:d}"])
def test_a_cut_slice_is_never_left_out_in_silence(tmp_path: Path, length: int, name: str) -> None:
    path = write_series(tmp_path, STORED, name=name)[8]
    path.write_bytes(path.read_bytes()[:length])
    if length == 100 and name == "CT.{:d}":
        # Nothing marks it as DICOM any more, so all that can be done is to say that it was left out.
        assert any("Left out" in note for note in read_volume(tmp_path).notes)
        return
    with pytest.raises(VolumeError, match=path.name):
        read_volume(tmp_path)


def test_a_tag_that_the_voxels_contradict_is_doubted(tmp_path: Path) -> None:
    write_series(tmp_path, STORED, x00281052="0")
    volume = read_volume(tmp_path)
    assert volume.modality is None
    assert "tag says CT, but that is doubted: values" in volume.notes[-1]


def test_padding_below_the_scale_is_said(tmp_path: Path) -> None:
    stored = STORED.copy()
    stored[:, 0, 0] = -2024
    write_series(tmp_path, stored)
    assert read_volume(tmp_path).notes[-1].startswith("9 voxels lie below -1024 HU (lowest -3024)")


@pytest.mark.parametrize("setting", [{"frame": 0}, {"series": "4.4"}])
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, setting: dict[str, object]) -> None:
    write_series(tmp_path, STORED)
    with pytest.raises(VolumeError, match=r"no frames|no series"):
        read_volume(tmp_path, **setting)  # type: ignore[arg-type]


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(VolumeError, match="no DICOM images directly inside"):
        read_volume(tmp_path)


@pytest.mark.parametrize("rounds", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_damage_gives_a_clear_error_or_a_whole_volume(tmp_path: Path, rounds: int) -> None:
    chance = random.Random(rounds)
    paths = write_series(tmp_path, STORED[:4])
    for _ in range(rounds):
        path = chance.choice(paths)
        data = path.read_bytes()
        path.write_bytes(damaged(data, chance))
        try:
            shape = read_volume(tmp_path).shape
        except VolumeError:
            shape = (4, 11, 13)
        assert shape == (4, 11, 13)
        path.write_bytes(data)
