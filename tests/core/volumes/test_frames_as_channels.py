"""A file of several frames is read as channels on one grid, in one pass; and numbers keep their digits."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from test_reading_formats import RAMP, nifti_bytes, save

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_frames, read_volume

FRAMES = np.stack([RAMP, RAMP + 500, -RAMP]).astype("i2")


def write_frames(path: Path, frames: np.ndarray = FRAMES) -> Path:
    if ".nii" in path.name:
        return save(path, nifti_bytes(frames, affine=np.diag([2.0, 3, 4, 1])))
    image = sitk.GetImageFromArray(frames, isVector=False)
    image.SetSpacing((2.0, 3.0, 4.0, 1.0))
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_every_frame_is_a_channel_on_the_same_grid(tmp_path: Path, ending: str) -> None:
    path = write_frames(tmp_path / f"scan{ending}")
    channels = read_frames(path)
    assert len(channels) == 3
    for index, channel in enumerate(channels):
        alone = read_volume(path, frame=index)
        np.testing.assert_array_equal(channel.array, FRAMES[index])
        assert channel.array.dtype == np.int16
        assert (channel.geometry, channel.notes, channel.source) == (alone.geometry, alone.notes, str(path))


def test_the_error_for_several_frames_names_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"3 frames.*frame=0 to 2, or take all of them as channels"):
        read_volume(write_frames(tmp_path / "scan.nii.gz"))


def test_anything_else_is_one_channel(tmp_path: Path) -> None:
    (channel,) = read_frames(write_frames(tmp_path / "one.nii.gz", FRAMES[:1]))
    assert channel.shape == (4, 5, 6)
    assert channel.notes == read_volume(tmp_path / "one.nii.gz").notes
    (channel,) = read_frames(save(tmp_path / "flat.nii", nifti_bytes(RAMP.astype("u1"), affine=np.eye(4))))
    np.testing.assert_array_equal(channel.array, RAMP)


def test_frames_side_by_side_in_a_nrrd_are_taken_apart(tmp_path: Path) -> None:
    head = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 3 6 5 4\nencoding: raw\n"
        "space directions: none (2,0,0) (0,1,0) (0,0,3)\nkinds: list domain domain domain\nendian: big\n\n"
    )
    path = save(tmp_path / "list.nrrd", head.encode() + FRAMES.transpose(1, 2, 3, 0).astype(">i2").tobytes())
    np.testing.assert_array_equal([channel.array for channel in read_frames(path)], FRAMES)


def test_the_stream_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(0).integers(0, 999, (30, 9, 10, 11)).astype("i2")
    path = write_frames(tmp_path / "many.nii.gz", frames)
    started = []
    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda *a, **more: started.append(a) or real(*a, **more))
    np.testing.assert_array_equal([channel.array for channel in read_frames(path)], frames)
    # One for the header, one for the voxels.
    assert len(started) <= 2


def test_scaled_frames_over_several_gzip_members_are_whole(tmp_path: Path) -> None:
    data = nifti_bytes(FRAMES, affine=np.eye(4), slope=(0.5, -3.0))
    path = tmp_path / "members.nii.gz"
    path.write_bytes(b"".join(gzip.compress(data[at : at + 200]) for at in range(0, len(data), 200)))
    for channel, frame in zip(read_frames(path), FRAMES, strict=True):
        np.testing.assert_array_equal(channel.array, frame * np.float32(0.5) - 3)


def test_what_is_not_finite_is_counted_frame_by_frame(tmp_path: Path) -> None:
    frames = FRAMES.astype("f4")
    frames[1, 0, 0, 0] = np.nan
    first, second, _ = read_frames(write_frames(tmp_path / "nan.nii", frames))
    assert not any("replaced" in note for note in first.notes)
    assert "1 not-a-number voxels were replaced by the smallest finite value, 501." in second.notes
    frames[2] = np.nan
    with pytest.raises(VolumeError, match="no voxel holds a finite number"):
        read_frames(write_frames(tmp_path / "gone.nii", frames))


def test_a_cut_file_gives_no_channel_at_all(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "scan.nii.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VolumeError, match="truncated"):
        read_frames(path)


def test_sheared_frames_are_refused_or_all_resampled_onto_one_grid(tmp_path: Path) -> None:
    affine = np.array([[-2.0, 0, 0, 10], [0, -1.5, -1.2, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    path = save(tmp_path / "tilt.nii", nifti_bytes(FRAMES, affine=affine))
    with pytest.raises(VolumeError, match="not at right angles"):
        read_frames(path)
    channels = read_frames(path, resample_shear=True)
    assert len({channel.geometry for channel in channels}) == 1
    assert all("resampled linearly" in channel.notes[-1] for channel in channels)


def test_colours_are_no_channels(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), "u1"), isVector=True), str(tmp_path / "rgb.mha"))
    with pytest.raises(VolumeError, match="3 values per voxel"):
        read_frames(tmp_path / "rgb.mha")


def test_the_frames_of_a_real_series_are_those_of_simpleitk(real_data: Path) -> None:
    for name in ("fmri_4d.nii.gz", "diffusion_4d.nii.gz"):
        channels = read_frames(real_data / "awkward" / name)
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(real_data / "awkward" / name)))
        np.testing.assert_array_equal([channel.array for channel in channels], theirs)


@pytest.mark.parametrize("kind", ["i4", "u4", "i8", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_scaled_numbers_of_many_digits_keep_them(tmp_path: Path, kind: str, order: str) -> None:
    array = (RAMP + (1 << 24) + 1).astype(kind)
    path = save(tmp_path / "wide.nii.gz", nifti_bytes(array, order=order, affine=np.eye(4), slope=(0.5, -1024.25)))
    assert read_volume(path).array.dtype == np.float64
    np.testing.assert_array_equal(read_volume(path).array, array * 0.5 - 1024.25)
