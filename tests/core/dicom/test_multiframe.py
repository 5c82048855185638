"""A file of many frames is one volume in order of place, each frame in its own units, or is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from frames_making import CAPTURE, ENHANCED_MR, item, write_frames
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from genesis_core.errors import VolumeError
from genesis_core.volumes.reading import read_header, read_volume

STORED = np.random.default_rng(5).integers(0, 1500, (6, 9, 11)).astype("i2")
SHUFFLED = [3, 0, 5, 1, 4, 2]


def test_frames_are_ordered_by_place_and_scaled(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "enhanced.dcm", STORED, order=SHUFFLED)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, STORED - 1000)
    assert (volume.array.dtype, volume.notes) == (np.int16, ())
    assert (volume.spacing, volume.origin, volume.modality) == ((0.7, 0.8, 2.5), (-10.0, 20.0, -30.0), "ct")
    np.testing.assert_array_equal(read_volume(tmp_path).array, volume.array)
    header = read_header(path)
    assert header.geometry == volume.geometry
    assert "Nobody" not in repr(volume) + repr(header)


def test_each_frame_is_rescaled_by_its_own_numbers(tmp_path: Path) -> None:
    path = write_frames(
        tmp_path / "enhanced.dcm", STORED, order=SHUFFLED, sop_class=ENHANCED_MR, rescale=lambda z: (1 + z / 4, -z)
    )
    slopes = np.arange(6)[:, None, None]
    volume = read_volume(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, STORED * (1 + slopes / 4) - slopes, rtol=1e-6)
    # What is guarded against: one rescaling for all frames.
    alone = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    assert not np.allclose(np.sort(alone.ravel()), np.sort(volume.array.ravel()))


def test_frames_from_head_to_foot_and_oblique_ones_lie_where_their_headers_say(tmp_path: Path) -> None:
    orientation = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
    normal = np.cross(orientation[:3], orientation[3:])
    volume = read_volume(write_frames(tmp_path / "a.dcm", STORED, orientation=orientation, step=-1.5 * normal))
    np.testing.assert_array_equal(volume.array, (STORED - 1000)[::-1])
    place = volume.affine @ [2, 3, 4, 1]
    wanted = np.array([-10, 20, -30]) - 1.5 * normal * 3 + np.array([0.8, 0.6, 0]) * 4 * 0.7 + np.array([0, 0, -2.4])
    np.testing.assert_allclose(place[:3][::-1], wanted, atol=1e-5)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless],
)
def test_compressed_frames_read_exactly(tmp_path: Path, syntax: str) -> None:
    def compress(dataset: FileDataset) -> None:
        if syntax in (RLELossless, JPEGLSLossless):
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax

    little = syntax != ExplicitVRBigEndian
    path = write_frames(tmp_path / "a.dcm", STORED, order=SHUFFLED, change=compress, little_endian=little)
    np.testing.assert_array_equal(read_volume(path).array, STORED - 1000)


def test_a_secondary_capture_with_places_reads_and_one_without_is_no_volume(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.dcm", STORED, sop_class=CAPTURE)
    np.testing.assert_array_equal(read_volume(path).array, STORED - 1000)

    def bare(dataset: FileDataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence

    with pytest.raises(VolumeError, match="6 frames in one DICOM file, without a place for each"):
        read_volume(write_frames(tmp_path / "b.dcm", STORED, sop_class=CAPTURE, change=bare))


@pytest.mark.parametrize(
    ("group", "keyword", "values", "words"),
    [
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2), r"time point \(2 values\)"),
        ("MREchoSequence", "EffectiveEchoTime", (2.3, 4.6), r"echo time \(2 values\)"),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 1000.0), r"b-value \(2 values\)"),
        ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", (0.0, 50.0), "cardiac phase"),
    ],
)
def test_several_images_of_each_slice_are_refused_by_what_tells_them_apart(
    tmp_path: Path, group: str, keyword: str, values: tuple[float, float], words: str
) -> None:
    stored = np.concatenate([STORED, STORED])
    kinds = iter([values[i // 6] for i in range(12)])
    path = write_frames(
        tmp_path / "a.dcm",
        stored,
        order=[*range(6), *range(6)],
        sop_class=ENHANCED_MR,
        more=lambda z: {group: item(**{keyword: next(kinds)})},
    )
    with pytest.raises(VolumeError, match=rf"2 images lie at the same place, at 6 of 6 places.*{words}"):
        read_volume(path)


def test_a_dimension_without_a_usual_name_is_named_by_the_file(tmp_path: Path) -> None:
    counts = iter(range(1, 13))

    def content(z: int) -> dict[str, Any]:
        return {"FrameContentSequence": item(DimensionIndexValues=[z + 1, (next(counts) - 1) // 6 + 1])}

    def dimensions(dataset: FileDataset) -> None:
        dataset.DimensionIndexSequence = Items(
            [
                item(DimensionIndexPointer=0x00200032),
                item(DimensionIndexPointer=0x00189241, DimensionDescriptionLabel="respiratory gate"),
            ]
        )

    path = write_frames(
        tmp_path / "a.dcm", np.concatenate([STORED, STORED]), order=[*range(6), *range(6)], more=content,
        change=dimensions,
    )  # fmt: skip
    with pytest.raises(VolumeError, match=r"respiratory gate \(2 values\)"):
        read_volume(path)


def test_several_stacks_are_refused(tmp_path: Path) -> None:
    path = write_frames(
        tmp_path / "a.dcm", STORED, more=lambda z: {"FrameContentSequence": item(StackID="left" if z < 3 else "right")}
    )
    with pytest.raises(VolumeError, match=r"2 stacks of slices \(left, right\)"):
        read_volume(path)


def test_missing_and_tilted_frames_are_found_as_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"1 slice\(s\) missing.*frame 2 and a.dcm frame 3"):
        read_volume(write_frames(tmp_path / "a.dcm", STORED, order=[0, 1, 3, 4, 5]))
    tilted = write_frames(tmp_path / "b.dcm", STORED, step=(0, 0.7, 2.5))
    with pytest.raises(VolumeError, match=r"tilted gantry, 15\.6 degrees.*up to 1\.9 mm"):
        read_volume(tilted)
    assert any("resampled linearly" in note for note in read_volume(tilted, resample_shear=True).notes)


def test_damaged_headers_of_frames_are_refused(tmp_path: Path) -> None:
    def lose(dataset: FileDataset) -> None:
        dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:4]

    def move(dataset: FileDataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence

    with pytest.raises(VolumeError, match="4 headers for 6 frames"):
        read_volume(write_frames(tmp_path / "a.dcm", STORED, change=lose))
    with pytest.raises(VolumeError, match=r"frame 3: its position.* missing"):
        read_volume(write_frames(tmp_path / "b.dcm", STORED, change=move))


def test_one_enhanced_frame_is_one_slice(tmp_path: Path) -> None:
    volume = read_volume(write_frames(tmp_path / "a.dcm", STORED[:1]))
    np.testing.assert_array_equal(volume.array, STORED[:1] - 1000)
    assert any("too thin" in note for note in volume.notes)


def test_without_pydicom_the_extra_to_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_frames(tmp_path / "a.dcm", STORED)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(VolumeError, match=r"needs pydicom.*pip install 'napari-genesis\[dicom\]'"):
        read_volume(path)
