"""FreeSurfer's .mgz and .mgh: read as nibabel reads them, at the same places, and refused when damaged."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.reading import read_frames, read_header, read_volume
from genesis_core.volumes.scans import list_scans

RAMP = np.arange(4 * 5 * 6).reshape(4, 5, 6)
TAGS = struct.pack(">iq", 3, 9) + b"mri_stuff" + struct.pack(">iq", 31, 4) + b"talx"


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """A (..., z, y, x) array as nibabel writes it; affine: RAS of (x, y, z)."""
    turned = np.moveaxis(array.transpose(), -1, 3) if array.ndim == 4 else array.transpose()
    nibabel.save(nibabel.MGHImage(turned, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("ending", [".mgz", ".mgh"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4"])
def test_every_type_of_the_format_is_read(tmp_path: Path, ending: str, kind: str) -> None:
    path = save(tmp_path / f"scan{ending}", RAMP.astype(kind))
    volume = read_volume(path)
    assert volume.array.dtype == np.dtype(kind)
    assert read_header(path).dtype == np.dtype(kind)
    np.testing.assert_array_equal(volume.array, RAMP)
    assert volume.notes == ()


@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3), mirror=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_every_voxel_lies_where_nibabel_puts_it(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, float, float], mirror: bool, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    turn = Rotation.from_euler("xyz", angles).as_matrix()
    turn[:, 0] *= -1 if mirror else 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * chance.uniform(0.3, 4, 3), chance.uniform(-300, 300, 3)
    path = save(tmp_path_factory.mktemp("mgz") / "scan.mgz", RAMP.astype("i2"), affine)
    volume, seen = read_volume(path), nibabel.load(path).affine
    for z, y, x in ((0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (3, 4, 5)):
        right, anterior, superior = (seen @ (x, y, z, 1))[:3]
        world = (volume.affine @ (z, y, x, 1))[:3][::-1]
        np.testing.assert_allclose(world, (-right, -anterior, superior), atol=1e-4)


def test_frames_are_chosen_or_taken_as_channels(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP + 7]).astype("f4")
    path = save(tmp_path / "two.mgz", frames)
    with pytest.raises(VolumeError, match="2 frames"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, frame=1).array, frames[1])
    np.testing.assert_array_equal([volume.array for volume in read_frames(path)], frames)


def test_segmentations_of_freesurfer_are_labels(tmp_path: Path) -> None:
    aparc = np.zeros((4, 5, 6), "i4")
    aparc[1], aparc[2] = 1035, 17
    labels = read_labels(save(tmp_path / "aparc.mgz", aparc))
    assert [structure.value for structure in labels.structures] == [17, 1035]
    assert labels.layers[0].dtype == np.uint16


@pytest.mark.parametrize("ending", [".mgz", ".mgh"])
def test_parameters_and_tags_may_follow_the_voxels(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / "scan.mgh", RAMP.astype("i2"))
    bare = path.read_bytes()[: 284 + RAMP.size * 2]
    for rest in (b"", bytes(20), bytes(20) + TAGS):
        data = bare + rest
        path = tmp_path / f"again{ending}"
        path.write_bytes(gzip.compress(data) if ending == ".mgz" else data)
        np.testing.assert_array_equal(read_volume(path).array, RAMP)


def test_a_header_without_orientation_is_said_to_be_assumed_coronal(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.mgh", RAMP.astype("i2"))
    data = bytearray(path.read_bytes())
    data[28:30] = bytes(2)
    path.write_bytes(data)
    volume = read_volume(path)
    assert "no orientation" in volume.notes[0]
    assert (volume.axis_codes, volume.spacing) == ("LIA", (1.0, 1.0, 1.0))


@pytest.mark.parametrize("ending", [".mgz", ".mgh"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    array = np.random.default_rng(0).integers(0, 99, (9, 10, 11)).astype("i2")
    path = save(tmp_path / f"scan{ending}", array)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(VolumeError, match=r"truncated|damaged") as caught:
        read_volume(path)
    assert str(path) in str(caught.value)


def test_a_damaged_checksum_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.mgz", RAMP.astype("i2"))
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(VolumeError, match="damaged"):
        read_volume(path)


def test_a_header_that_asks_for_fewer_voxels_than_there_are_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.mgh", np.random.default_rng(0).integers(1000, 9999, (9, 10, 11)).astype("i2"))
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack(">i", 10)
    path.write_bytes(data)
    with pytest.raises(VolumeError, match="no FreeSurfer tags"):
        read_volume(path)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [(0, 7, "not a FreeSurfer header"), (4, -3, "cannot be"), (8, 1 << 30, "cannot be"), (20, 5, "voxel type 5")],
)
def test_fields_that_cannot_be_are_refused(tmp_path: Path, at: int, value: int, words: str) -> None:
    path = save(tmp_path / "scan.mgh", RAMP.astype("i2"))
    data = bytearray(path.read_bytes())
    data[at : at + 4] = struct.pack(">i", value)
    path.write_bytes(data)
    with pytest.raises(VolumeError, match=words):
        read_volume(path)


def test_an_ending_that_lies_is_named(tmp_path: Path) -> None:
    save(tmp_path / "scan.mgz", RAMP.astype("i2")).rename(tmp_path / "scan.mgh")
    with pytest.raises(VolumeError, match=r"content is gzip\. Rename it to \*\.mgz"):
        read_volume(tmp_path / "scan.mgh")


def test_folders_list_them(tmp_path: Path) -> None:
    save(tmp_path / "a.mgz", RAMP.astype("i2"))
    save(tmp_path / "b.mgh", RAMP.astype("i2"))
    assert [scan.relative for scan in list_scans(tmp_path)] == ["a.mgz", "b.mgh"]
