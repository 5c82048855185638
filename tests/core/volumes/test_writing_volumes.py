"""What is written comes back the same, and what was there before is never lost or half replaced."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import reorient, to_image
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

ENDINGS = [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"]
numbers = st.floats(-400, 400, allow_nan=False)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Any orientation (mirrored or not), spacing, origin and small shape, with labels as voxels."""
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    turn[:, 0] *= draw(st.sampled_from([1, -1]))
    spacing = draw(st.tuples(*[st.floats(0.05, 12.0)] * 3))
    origin = draw(st.tuples(numbers, numbers, numbers))
    kind = draw(st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]))
    array = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 100, shape).astype(kind)
    return Volume(array, Geometry(shape, spacing, origin, tuple(turn.ravel().tolist())))


def corners(volume: Volume) -> np.ndarray:
    index = [
        [z, y, x, 1]
        for z in (0, volume.shape[0] - 1)
        for y in (0, volume.shape[1] - 1)
        for x in (0, volume.shape[2] - 1)
    ]
    return (np.array(index) @ volume.affine.T)[:, :3]


@given(volume=volumes(), ending=st.sampled_from(ENDINGS))
@settings(deadline=None, max_examples=120)
def test_every_voxel_comes_back_at_its_place_with_its_value(
    tmp_path_factory: pytest.TempPathFactory, volume: Volume, ending: str
) -> None:
    path = write_volume(volume, tmp_path_factory.mktemp("out") / f"scan{ending}")
    again = read_volume(path)
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.array.dtype == volume.array.dtype
    np.testing.assert_allclose(corners(again), corners(volume), atol=1e-4)
    rtol = 1e-6 if "nii" in ending else 1e-12
    np.testing.assert_allclose(again.spacing, volume.spacing, rtol=rtol)
    np.testing.assert_allclose(again.origin, volume.origin, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(again.direction, volume.direction, atol=max(rtol, 1e-9))
    image = sitk.ReadImage(str(path))
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint([n - 1 for n in volume.shape[::-1]]), corners(volume)[-1][::-1], atol=1e-4
    )


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSL", "IRA"])
def test_left_stays_left_as_nibabel_and_simpleitk_see_it(tmp_path: Path, ending: str, codes: str) -> None:
    array = np.zeros((8, 9, 10), np.int16)
    volume = Volume(array, Geometry(array.shape, (1.0, 2.0, 3.0), (-5.0, -9.0, -12.0)))
    # A bright voxel on the patient's left (x grows toward left in LPS), behind, and at the top.
    array[7, 8, 9] = 100
    path = write_volume(reorient(volume, codes), tmp_path / f"scan{ending}")
    bright = np.unravel_index(np.argmax(read_volume(path).array), read_volume(path).shape)
    np.testing.assert_allclose((read_volume(path).affine @ (*bright, 1))[:3], (9, 7, 4))
    image = sitk.ReadImage(str(path))
    at = np.unravel_index(np.argmax(sitk.GetArrayFromImage(image)), image.GetSize()[::-1])
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint([int(i) for i in at[::-1]]), (4, 7, 9))
    if "nii" in ending:
        nibabel = pytest.importorskip("nibabel")
        seen = nibabel.load(path)
        at = np.unravel_index(np.argmax(np.asarray(seen.dataobj)), seen.shape)
        for affine in (seen.get_sform(), seen.get_qform()):
            np.testing.assert_allclose((affine @ (*at, 1))[:3], (-4, -7, 9), atol=1e-5)


def test_truth_values_and_half_precision_are_written_without_loss(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((3, 4, 5)) > 0.5
    again = read_volume(write_volume(Volume.from_array(mask), tmp_path / "mask.nii.gz"))
    assert again.array.dtype == np.uint8
    np.testing.assert_array_equal(again.array, mask)
    half = np.linspace(0, 1, 60, dtype=np.float16).reshape(3, 4, 5)
    np.testing.assert_array_equal(read_volume(write_volume(Volume.from_array(half), tmp_path / "h.mha")).array, half)


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_overwritten_without_being_asked(tmp_path: Path, ending: str) -> None:
    first, second = Volume.from_array(np.zeros((2, 3, 4), "i2")), Volume.from_array(np.ones((5, 6, 7), "i2"))
    path = write_volume(first, tmp_path / f"scan{ending}")
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    with pytest.raises(OutputExistsError, match="exists"):
        write_volume(second, path)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before
    for volume in (second, first):
        write_volume(volume, path, overwrite=True)
        np.testing.assert_array_equal(read_volume(path).array, volume.array)
        assert len(list(tmp_path.iterdir())) == len(before)


def test_the_voxel_file_of_another_header_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "scan.zraw").write_bytes(b"someone else's")
    with pytest.raises(OutputExistsError, match=r"scan\.zraw"):
        write_volume(Volume.from_array(np.zeros((2, 3, 4), "i2")), tmp_path / "scan.mhd")
    write_volume(Volume.from_array(np.zeros((2, 3, 4), "i2")), tmp_path / "scan.mhd", overwrite=True)
    assert (tmp_path / "scan.zraw").read_bytes() == b"someone else's"
    assert read_volume(tmp_path / "scan.mhd").shape == (2, 3, 4)


def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"\.nii\.gz, \.nii, \.mha, \.mhd, \.nrrd"):
        write_volume(Volume.from_array(np.zeros((2, 3, 4))), tmp_path / "scan.png")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="nowhere does not exist"):
        write_volume(Volume.from_array(np.zeros((2, 3, 4))), tmp_path / "nowhere" / "scan.mha")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    path = write_volume(Volume.from_array(np.zeros((2, 3, 4), "i2")), tmp_path / f"scan{ending}")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    code = (
        "import sys, numpy as np; from genesis_core.volumes.volume import Volume\n"
        "from genesis_core.volumes.writing import write_volume\n"
        "from genesis_core.errors import VolumeError\n"
        "volume = Volume.from_array(np.random.default_rng(0).normal(size=(40, 50, 60)))\n"
        "try:\n    write_volume(volume, sys.argv[1], overwrite=True)\n"
        "except VolumeError as problem:\n    print('told', problem)\n"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    result = subprocess.run([sys.executable, "-c", code, str(path)], preexec_fn=limit, capture_output=True, text=True)
    assert result.stdout.startswith(f"told {path}: "), result.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert read_volume(path).shape == (2, 3, 4)


def test_a_file_that_would_lie_elsewhere_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mirrored(array: np.ndarray, geometry: Geometry) -> sitk.Image:
        image = to_image(array, geometry)
        image.SetDirection((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
        return image

    monkeypatch.setattr("genesis_core.volumes.writing.to_image", mirrored)
    with pytest.raises(VolumeError, match="does not lie where the volume does"):
        write_volume(Volume.from_array(np.zeros((3, 4, 5), np.int16)), tmp_path / "scan.nii.gz")
    assert not list(tmp_path.iterdir())


def test_the_file_gets_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    replace = os.replace

    def watch(source: str | Path, target: str | Path) -> None:
        seen.append(sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_volume(Volume.from_array(np.zeros((2, 3, 4), "i2")), tmp_path / "scan.mhd")
    assert seen == [[], ["scan.zraw"]]


def test_a_folder_that_forbids_writing_is_named_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Root may write anywhere, so the refusal is made here.
    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "touch", refuse)
    volume = Volume(np.zeros((2, 3, 4), np.int16), Geometry((2, 3, 4)))
    with pytest.raises(VolumeError, match=r"a\.nii\.gz: cannot be written \(Permission denied\)"):
        write_volume(volume, tmp_path / "a.nii.gz")
    assert capfd.readouterr().err == ""
