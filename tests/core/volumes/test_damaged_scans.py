"""A damaged, cut or mislabelled file is refused by name; never a wrong volume, another exception, or a crash."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from test_reading_formats import RAMP, nifti_bytes, save

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume

SCAN = RAMP.astype("i2")
SOUND = nifti_bytes(SCAN, affine=np.eye(4))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


def refused(path: Path, words: str, **more: object) -> None:
    with pytest.raises(VolumeError, match=words) as caught:
        read_volume(path, **more)  # type: ignore[arg-type]
    assert str(path) in str(caught.value)


def as_file(folder: Path, ending: str, compressed: bool = True) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(SCAN), str(folder / f"scan{ending}"), useCompression=compressed)
    return folder / f"scan{ending}"


@pytest.mark.parametrize("name", ["none.nii.gz", "none.mha", "none.nrrd", "none.dcm", "none", "none.xyz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, "no such file|not a known scan file")


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").symlink_to(tmp_path / "gone.nii")
    refused(tmp_path / "scan.nii", "link to .*gone.nii, which does not exist")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".hdr", ".dcm"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    refused(save(tmp_path / "scan", b"").rename(tmp_path / f"scan{ending}"), "empty|not a DICOM file")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_a_pipe_does_not_block(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"scan{ending}")
    refused(tmp_path / f"scan{ending}", "not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", SOUND)
    path.chmod(0)
    refused(path, "no permission")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_a_git_lfs_pointer_is_recognised(tmp_path: Path, ending: str) -> None:
    text = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 18\n"
    (tmp_path / f"scan{ending}").write_bytes(text)
    refused(tmp_path / f"scan{ending}", "git-LFS pointer.*git lfs pull")


@pytest.mark.parametrize(
    ("ending", "compressed"),
    [(".nii", False), (".nii.gz", True), (".mha", False), (".mha", True), (".nrrd", False), (".nrrd", True)],
)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_cut_file_is_refused(tmp_path: Path, ending: str, compressed: bool, share: float) -> None:
    path = as_file(tmp_path, ending, compressed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "truncated|damaged|not a")


def test_a_stream_that_holds_more_than_its_header_says_is_refused(tmp_path: Path) -> None:
    refused(save(tmp_path / "more.nii.gz", SOUND + bytes(100)), "100 bytes more than")
    refused(save(tmp_path / "more.nii", SOUND + bytes(100)), "100 bytes more than")


def test_a_stream_that_ends_in_order_but_too_early_is_refused(tmp_path: Path) -> None:
    refused(save(tmp_path / "less.nii.gz", SOUND[:-40]), "40 of 240 bytes of voxels are missing")


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "sum.nii.gz", SOUND)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    refused(path, "incorrect data check")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "dim", [(3, 32767, 32767, 32767), (3, -4, 5, 6), (3, 0, 5, 6), (7, 32767, 32767, 32767, 32767, 9, 9, 9)]
)
def test_absurd_sizes_are_refused_without_allocating(tmp_path: Path, ending: str, dim: tuple[int, ...]) -> None:
    path = save(tmp_path / f"huge{ending}", nifti_bytes(SCAN, affine=np.eye(4), dim=dim))
    with pytest.raises(VolumeError, match=r"missing|cannot be|can hold|more than|values per voxel"):
        read_volume(path)


def test_a_gzip_bomb_is_stopped(tmp_path: Path) -> None:
    refused(save(tmp_path / "bomb.nii.gz", SOUND + bytes(200 << 20)), "more than")


@pytest.mark.parametrize(
    ("datatype", "words"),
    [
        (128, "3 values per voxel"),
        (2304, "4 values per voxel"),
        (32, "complex"),
        (1792, "complex"),
        (1, "single bits"),
        (77, "unknown voxel type"),
    ],
)
def test_voxels_that_are_no_intensities_are_refused(tmp_path: Path, datatype: int, words: str) -> None:
    data = nifti_bytes(SCAN.astype("u1"), affine=np.eye(4), datatype=datatype)
    refused(save(tmp_path / "colour.nii", data + SCAN.astype("u1").tobytes() * 3), words)


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".nii.gz"])
def test_colour_images_are_refused(tmp_path: Path, ending: str) -> None:
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), "u1"), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"rgb{ending}"))
    refused(tmp_path / f"rgb{ending}", "3 values per voxel")
    assert read_header(tmp_path / f"rgb{ending}").components == 3


@pytest.mark.parametrize(
    ("content", "ending", "words"),
    [
        pytest.param(SOUND, ".nii.gz", "content is NIfTI.*Rename it to .*.nii", id="nifti-called-gzip"),
        pytest.param(gzip.compress(SOUND), ".nii", "content is gzip.*Rename", id="gzip-called-nifti"),
        pytest.param(b"NRRD0004\ntype: short\n", ".mha", "content is NRRD", id="nrrd-called-metaimage"),
        pytest.param(bytes(128) + b"DICM" + bytes(900), ".nii", "content is DICOM", id="dicom-called-nifti"),
        pytest.param(PNG, ".nii", "not a NIfTI header", id="png-called-nifti"),
        pytest.param(PNG, ".nrrd", "not NRRD", id="png-called-nrrd"),
        pytest.param(PNG, ".mha", "not a whole MetaImage header", id="png-called-metaimage"),
        pytest.param(gzip.compress(b"hello"), ".nii.gz", "not a NIfTI header", id="text-in-gzip"),
        pytest.param(PNG, ".dcm", "not a DICOM file", id="png-called-dicom"),
        pytest.param(PNG, ".png", "not a known scan file.*Known endings", id="png"),
    ],
)
def test_a_file_whose_ending_lies_is_named(tmp_path: Path, content: bytes, ending: str, words: str) -> None:
    path = tmp_path / f"scan{ending}"
    path.write_bytes(content)
    refused(path, words)


@pytest.mark.parametrize("ending", [".mhd", ".hdr"])
def test_a_missing_companion_is_named(tmp_path: Path, ending: str) -> None:
    path = as_file(tmp_path, ending, compressed=False)
    for entry in tmp_path.iterdir():
        if entry != path:
            entry.unlink()
    refused(path, "beside it, which is missing")


def test_an_axis_without_direction_is_refused(tmp_path: Path) -> None:
    refused(save(tmp_path / "zero.nii", nifti_bytes(SCAN, affine=np.diag([1.0, 0, 1, 1]))), "no length")
    affine = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    refused(save(tmp_path / "flat.nii", nifti_bytes(SCAN, affine=affine)), "same way")
    refused(save(tmp_path / "nan.nii", nifti_bytes(SCAN, affine=np.diag([1.0, np.nan, 1, 1]))), "not finite")
    text = as_file(tmp_path, ".mha", compressed=False).read_bytes()
    (tmp_path / "zero.mha").write_bytes(text.replace(b"Matrix = 1 0 0 0 1 0 0 0 1", b"Matrix = 1 0 0 0 0 0 0 0 1"))
    refused(tmp_path / "zero.mha", "no length")


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_sheared_axes_are_refused_in_every_format(tmp_path: Path, ending: str) -> None:
    data = as_file(tmp_path, ending, compressed=False).read_bytes()
    data = data.replace(b"Matrix = 1 0 0 0 1 0 0 0 1", b"Matrix = 1 0 0 .3 1 0 0 0 1").replace(b"(0,1,0)", b"(.3,1,0)")
    path = tmp_path / f"sheared{ending}"
    path.write_bytes(data)
    refused(path, "not at right angles")
    assert "not at right angles" in read_volume(path, resample_shear=True).notes[0]


def test_a_scan_without_any_finite_voxel_is_refused(tmp_path: Path) -> None:
    refused(save(tmp_path / "nan.nii", nifti_bytes(np.full((2, 3, 4), np.nan, "f4"), affine=np.eye(4))), "no voxel")


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", SOUND)
    refused(path, "series=1.2.3 was given", series="1.2.3")
    refused(path, "frame=1 does not exist", frame=1)


def test_an_analyze_header_does_not_say_which_side_is_left(tmp_path: Path) -> None:
    head = bytearray(SOUND[:348])
    head[344:348] = bytes(4)
    (tmp_path / "old.hdr").write_bytes(head)
    refused(tmp_path / "old.hdr", "Analyze 7.5")


def sources(folder: Path) -> list[tuple[Path, Path]]:
    """(file to damage, file to read) of every format, small and sound."""
    volume = Volume.from_array(np.random.default_rng(0).integers(-1000, 2000, (5, 6, 7)).astype("i2"), (0.7, 0.8, 2.5))
    pairs = []
    for ending in (".nii", ".nii.gz", ".mha", ".nrrd", ".mhd"):
        path = write_volume(volume, folder / f"small{ending}")
        pairs.append((path, path))
    pairs.append((folder / "small.zraw", folder / "small.mhd"))
    for ending in (".mgz", ".mgh"):
        nibabel.save(nibabel.MGHImage(volume.array.transpose(), np.eye(4)), folder / f"small{ending}")
        pairs.append((folder / f"small{ending}", folder / f"small{ending}"))
    for ending in (".mha", ".nrrd"):
        path = folder / f"plain{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(volume.array), str(path), useCompression=False)
        pairs.append((path, path))
    return pairs


def damage(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    kind = chance.choice(["flip", "byte", "head", "insert", "drop"])
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        if kind == "flip":
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            changed[at] = chance.randrange(256)
        elif kind == "head":
            changed[at % 420 % len(changed)] = chance.choice([0, 255, 32, 45, 57, chance.randrange(256)])
        elif kind == "insert":
            changed[at:at] = chance.randbytes(chance.randint(1, 20))
        else:
            del changed[at : at + chance.randint(1, 20)]
    return bytes(changed)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("rounds", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_any_damage_gives_a_clear_error_or_a_volume_of_the_right_shape(
    tmp_path: Path, rounds: int, capfd: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(rounds)
    for target, read in sources(tmp_path):
        data, messages = target.read_bytes(), []
        for _ in range(rounds):
            target.write_bytes(damage(data, chance))
            try:
                volume = read_volume(read)
            except VolumeError as problem:
                messages.append(str(problem))
                continue
            assert volume.shape == (5, 6, 7)
            assert np.isfinite(volume.array).all()
        target.write_bytes(data)
        assert read_volume(read).shape == (5, 6, 7)
        assert messages
        assert all(str(read) in message for message in messages)
    assert capfd.readouterr().err == ""


def test_no_cut_is_ever_accepted(tmp_path: Path) -> None:
    for target, read in sources(tmp_path):
        data = target.read_bytes()
        # The text of a detached header may lose its last line feed.
        if target.suffix == ".mgh":
            # What follows the voxels is no part of the scan.
            data = data[: 284 + 5 * 6 * 7 * 2]
        cuts = range(0, len(data) - 1, 5) if target.suffix == ".mhd" else range(0, len(data), max(1, len(data) // 60))
        for length in [*cuts, *([] if target.suffix == ".mhd" else [len(data) - 1])]:
            target.write_bytes(data[:length])
            with pytest.raises(VolumeError):
                read_volume(read)
        target.write_bytes(data)


def test_offsets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for offset in (float("nan"), -5.0, 10.0, 352.5, 1e30):
        refused(
            save(tmp_path / "at.nii", nifti_bytes(SCAN, affine=np.eye(4), offset=offset)), "puts the voxels at byte"
        )
