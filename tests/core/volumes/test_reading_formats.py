"""Reading agrees with SimpleITK and nibabel on sound files, whatever the format, type, byte order and orientation."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume
from genesis_core.volumes.volume import Volume

RAMP = np.arange(4 * 5 * 6).reshape(4, 5, 6)
TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def nifti_bytes(
    array: np.ndarray,
    *,
    order: str = "<",
    affine: np.ndarray | None = None,
    slope: tuple[float, float] = (1.0, 0.0),
    dim: tuple[int, ...] | None = None,
    datatype: int | None = None,
    units: int = 2,
    pixdim: tuple[float, float, float] = (1.0, 1.0, 1.0),
    offset: float = 352,
) -> bytes:
    """A NIfTI-1 file of a (..., z, y, x) array, made by hand so that any field can be wrong.

    Affine: RAS of (x, y, z).
    """
    codes = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
    head = bytearray(352)
    sizes = dim if dim is not None else (array.ndim, *array.shape[::-1])
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, *(*sizes, *[1] * (8 - len(sizes))))
    code = datatype if datatype is not None else codes[array.dtype.str[1:]]
    struct.pack_into(order + "hh", head, 70, code, 8 * array.dtype.itemsize)
    struct.pack_into(order + "8f", head, 76, 1.0, *pixdim, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into(order + "3f", head, 108, offset, *slope)
    head[123] = units
    if affine is not None:
        struct.pack_into(order + "h", head, 254, 1)
        struct.pack_into(order + "12f", head, 280, *np.asarray(affine, float)[:3].ravel())
    head[344:348] = b"n+1\0"
    return bytes(head) + array.astype(array.dtype.newbyteorder(order)).tobytes()


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd", ".mhd", ".hdr"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_read_as_simpleitk_reads_it(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"scan{ending}"
    image = sitk.GetImageFromArray(RAMP.astype(kind))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-12.5, 40.25, 7.0))
    image.SetDirection((0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    sitk.WriteImage(image, str(path), useCompression=ending != ".hdr")
    again = sitk.ReadImage(str(path))
    volume = read_volume(path)
    assert volume.array.dtype == np.dtype(kind)
    np.testing.assert_array_equal(volume.array, RAMP)
    np.testing.assert_allclose(volume.spacing, again.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(volume.origin, again.GetOrigin(), rtol=1e-6)
    np.testing.assert_allclose(volume.direction, again.GetDirection(), atol=1e-6)
    assert volume.array.flags.owndata or volume.array.base is not None
    assert volume.array.flags.writeable


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_both_byte_orders_give_the_same_numbers(tmp_path: Path, kind: str, order: str, ending: str) -> None:
    path = save(tmp_path / f"scan{ending}", nifti_bytes(RAMP.astype(kind), order=order, affine=np.eye(4)))
    volume = read_volume(path)
    assert volume.array.dtype == np.dtype(kind)
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, RAMP)


@pytest.mark.parametrize(("kind", "result"), [("u1", "f4"), ("i2", "f4"), ("f4", "f4"), ("i4", "f8"), ("f8", "f8")])
def test_slope_and_intercept_become_units(tmp_path: Path, kind: str, result: str) -> None:
    path = save(tmp_path / "ct.nii.gz", nifti_bytes(RAMP.astype(kind), affine=np.eye(4), slope=(2.5, -1024.0)))
    volume = read_volume(path)
    assert volume.array.dtype == np.dtype(result)
    np.testing.assert_allclose(volume.array, RAMP * 2.5 - 1024, rtol=1e-6)
    assert read_header(path).dtype == np.dtype(result)


@pytest.mark.parametrize("slope", [(0.0, 0.0), (float("nan"), float("nan")), (0.0, 5.0)])
def test_a_slope_of_zero_or_nan_means_not_scaled(tmp_path: Path, slope: tuple[float, float]) -> None:
    path = save(tmp_path / "mr.nii", nifti_bytes(RAMP.astype("i2"), affine=np.eye(4), slope=slope))
    np.testing.assert_array_equal(read_volume(path).array, RAMP)
    assert read_volume(path).array.dtype == np.int16


@pytest.mark.parametrize("intercept", [float("nan"), float("inf")])
def test_a_slope_counts_without_an_intercept_and_that_is_said(tmp_path: Path, intercept: float) -> None:
    path = save(tmp_path / "mr.nii", nifti_bytes(RAMP.astype("i2"), affine=np.eye(4), slope=(2.0, intercept)))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, 2 * RAMP)
    assert any("intercept is no number" in note for note in volume.notes)


@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3), mirror=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_left_stays_left_as_nibabel_sees_it(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, float, float], mirror: bool, seed: int
) -> None:
    nibabel = pytest.importorskip("nibabel")
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", angles).as_matrix()
    turn[:, 2] *= -1 if mirror else 1
    spacing = np.random.default_rng(seed).uniform(0.4, 5, 3)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * spacing, (12.0, -34.0, 56.0)
    path = tmp_path_factory.mktemp("nib") / "scan.nii.gz"
    image = nibabel.Nifti1Image(RAMP.astype(np.int16).transpose(2, 1, 0), affine)
    for sform, qform in ((1, 1), (1, 0), (0, 1)):
        image.set_sform(affine, sform)
        image.set_qform(affine, qform)
        nibabel.save(image, path)
        volume = read_volume(path)
        for index in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (3, 4, 5)):
            world = (volume.affine @ (*index, 1))[:3][::-1]
            right, anterior, superior = (affine @ (*index[::-1], 1))[:3]
            # A quaternion in single precision turns a little off near half turns.
            np.testing.assert_allclose(world, (-right, -anterior, superior), atol=1e-4 if sform else 2e-2)


def test_the_second_version_of_nifti_is_read(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[-2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti2Image(RAMP.astype(np.int16).transpose(2, 1, 0), affine), tmp_path / "second.nii.gz")
    volume = read_volume(tmp_path / "second.nii.gz")
    np.testing.assert_array_equal(volume.array, RAMP)
    assert (volume.axis_codes, volume.spacing, volume.origin) == ("LAS", (2.0, 3.0, 4.0), (-10.0, -20.0, 30.0))


def test_a_file_with_one_time_point_is_a_volume(tmp_path: Path) -> None:
    path = save(tmp_path / "one.nii.gz", nifti_bytes(RAMP[None].astype("i2"), affine=np.eye(4)))
    assert read_volume(path).shape == (4, 5, 6)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_a_frame_is_chosen_or_asked_for(tmp_path: Path, ending: str) -> None:
    frames = np.stack([RAMP, RAMP + 500, -RAMP]).astype("i2")
    path = tmp_path / f"scan{ending}"
    if "nii" in ending:
        save(path, nifti_bytes(frames, affine=np.eye(4)))
    else:
        sitk.WriteImage(sitk.GetImageFromArray(frames, isVector=False), str(path), useCompression=True)
    with pytest.raises(VolumeError, match=r"3 frames.*frame=0 to 2"):
        read_volume(path)
    for frame in range(3):
        volume = read_volume(path, frame=frame)
        np.testing.assert_array_equal(volume.array, frames[frame])
        assert f"Frame {frame} of 3" in volume.notes[0]
    for wrong in (-1, 3):
        with pytest.raises(VolumeError, match="does not exist"):
            read_volume(path, frame=wrong)
    assert read_header(path).frames == 3


def test_frames_beside_each_other_in_a_nrrd_are_taken_apart(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP + 500], axis=-1).astype("<i2")
    head = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 6 5 4\n"
        "space directions: none (2,0,0) (0,1,0) (0,0,3)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (1,2,3)\n\n"
    )
    path = save(tmp_path / "sequence.nrrd", head.encode() + frames.tobytes())
    np.testing.assert_array_equal(read_volume(path, frame=1).array, RAMP + 500)
    assert read_volume(path, frame=1).spacing == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(("space", "x", "y"), [("right-anterior-superior", -1, -1), ("left-anterior-superior", 1, -1)])
def test_nrrd_spaces_become_lps_as_in_simpleitk(tmp_path: Path, space: str, x: int, y: int) -> None:
    head = (
        f"NRRD0005\ntype: short\ndimension: 3\nspace: {space}\nsizes: 6 5 4\n"
        "space directions: (2,0,0) (0,1,0) (0,0,3)\nendian: big\nencoding: raw\nspace origin: (1,2,3)\n\n"
    )
    path = save(tmp_path / "scan.nrrd", head.encode() + RAMP.astype(">i2").tobytes())
    volume, image = read_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_allclose(volume.origin, image.GetOrigin())
    np.testing.assert_allclose(volume.direction, image.GetDirection())
    assert volume.origin == (x, 2 * y, 3)
    np.testing.assert_array_equal(volume.array, RAMP)


def test_lengths_in_metres_become_millimetres_and_are_noted(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nii", nifti_bytes(RAMP.astype("i2"), affine=np.diag([0.002, 0.001, 0.003, 1]), units=1))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.spacing, (2, 1, 3), rtol=1e-6)
    assert "1000 mm" in volume.notes[0]


def test_a_header_without_orientation_is_read_and_said(tmp_path: Path) -> None:
    path = save(tmp_path / "no.nii", nifti_bytes(RAMP.astype("i2"), pixdim=(2.0, 1.0, 3.0)))
    volume = read_volume(path)
    assert volume.spacing == (2.0, 1.0, 3.0)
    assert "no orientation" in volume.notes[0]
    np.testing.assert_allclose(volume.direction, sitk.ReadImage(str(path)).GetDirection())


def test_a_header_whose_spacings_contradict_each_other_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "two.nii", nifti_bytes(RAMP.astype("i2"), affine=np.diag([2.0, 3, 4, 1])))
    volume = read_volume(path)
    assert volume.spacing == (2.0, 3.0, 4.0)
    assert "contradicts itself" in volume.notes[0]


@pytest.mark.parametrize("ending", [".nii", ".mha", ".nrrd"])
def test_a_flat_image_is_one_slice_and_said_to_be_too_thin(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"flat{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(RAMP[0].astype("i2")), str(path))
    volume = read_volume(path)
    assert volume.shape == (1, 5, 6)
    assert any("too thin" in note for note in volume.notes)


def test_voxels_that_are_not_finite_are_counted_and_replaced(tmp_path: Path) -> None:
    array = RAMP.astype("f4") - 7
    array[0, 0, :3], array[1, 1, 1], array[1, 1, 2] = np.nan, np.inf, -np.inf
    volume = read_volume(save(tmp_path / "nan.nii.gz", nifti_bytes(array, affine=np.eye(4))))
    assert np.isfinite(volume.array).all()
    assert volume.array[0, 0, 0] == volume.array[1, 1, 1] == np.float32(-4)
    assert volume.notes == ("3 not-a-number and 2 infinite voxels were replaced by the smallest finite value, -4.",)


def test_a_gzip_file_of_several_members_and_tape_padding_is_whole(tmp_path: Path) -> None:
    data = nifti_bytes(RAMP.astype("i2"), affine=np.eye(4))
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(data[:400]) + gzip.compress(data[400:]) + bytes(512))
    np.testing.assert_array_equal(read_volume(path).array, RAMP)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A scan large enough for the fast way of decoding."""
    array = np.random.default_rng(1).integers(-1000, 1000, (70, 500, 500)).astype("i2")
    return save(tmp_path_factory.mktemp("large") / "large.nii.gz", nifti_bytes(array, affine=np.eye(4))), array


def test_a_large_file_is_read_right(large: tuple[Path, np.ndarray]) -> None:
    np.testing.assert_array_equal(read_volume(large[0]).array, large[1])


def test_a_large_file_with_one_wrong_byte_is_refused(
    large: tuple[Path, np.ndarray], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(large[0].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "wrong.nii.gz").write_bytes(data)
    with pytest.raises(VolumeError, match=r"damaged|truncated|more than"):
        read_volume(tmp_path / "wrong.nii.gz")
    assert capfd.readouterr().err == ""


def test_a_sheared_scan_is_refused_unless_resampling_is_asked_for(tmp_path: Path) -> None:
    z, y, x = np.mgrid[0:20, 0:30, 0:24].astype("f4")
    affine = np.array([[-2.0, 0, 0, 10], [0, -1.5, -1.2, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    # The values are a plane in the patient, so that linear resampling must keep them.
    world = np.einsum("ij,j...->i...", affine[:3], np.stack([x, y, z, np.ones_like(x)]))
    array = (world[0] + 2 * world[1] + 3 * world[2]).astype("f4")
    path = save(tmp_path / "tilt.nii.gz", nifti_bytes(array, affine=affine))
    with pytest.raises(VolumeError, match=r"not at right angles.*resample_shear"):
        read_volume(path)
    assert read_header(path).moved > 1
    volume = read_volume(path, resample_shear=True)
    assert any("not at right angles" in note for note in volume.notes)
    assert volume.array.dtype == np.float32
    index = np.indices(volume.shape).reshape(3, -1)
    place = (volume.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    expected = -place[2] - 2 * place[1] + 3 * place[0]
    source = np.linalg.inv(affine)[:3, :3] @ (np.stack([-place[2], -place[1], place[0]]) - affine[:3, 3:])
    inside = ((source > -1e-6) & (source < np.array([[23], [29], [19]]) + 1e-6)).all(axis=0)
    assert inside.sum() > 0.9 * array.size
    np.testing.assert_allclose(volume.array.ravel()[inside], expected[inside], atol=2e-3)


def test_reading_returns_a_volume_without_importing_simpleitk_for_small_files(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = save(tmp_path / "scan.nii.gz", nifti_bytes(RAMP.astype("i2"), affine=np.eye(4)))
    code = (
        "import sys; from genesis_core.volumes.reading import read_volume; read_volume(sys.argv[1]); "
        "print([name for name in ('SimpleITK', 'torch', 'numba') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert isinstance(read_volume(path), Volume)
