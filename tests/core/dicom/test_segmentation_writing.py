"""What is written as a DICOM segmentation reads back voxel by voxel, on the series it was drawn on."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from dicom_files import write_series
from frames_making import write_frames

from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.dicom.segmentation import read_dicom_seg
from genesis_core.volumes.dicom.segmentation_writing import dicom_seg_bytes, write_dicom_seg
from genesis_core.volumes.dicom.series import find_series
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume

STORED = np.random.default_rng(3).integers(0, 1500, (7, 11, 13)).astype("i2")
STRUCTURES = (Structure("liver", 5, (221, 130, 101)), Structure("Milz, ä", 2))


def drawn(geometry: Geometry, layers: int = 1) -> LabelVolume:
    rng = np.random.default_rng(9)
    arrays = tuple(rng.choice(np.array([0, 2, 5], np.uint8), geometry.shape) for _ in range(layers))
    structures = STRUCTURES if layers == 1 else (STRUCTURES[0], replace(STRUCTURES[1], layer=1))
    return LabelVolume(arrays, geometry, structures)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("frames", [False, True])
def test_structures_read_back_as_they_were_drawn(tmp_path: Path, layers: int, frames: bool) -> None:
    scan = tmp_path / "scan"
    if frames:
        scan.mkdir()
        write_frames(scan / "a.dcm", STORED, order=[3, 0, 5, 1, 6, 4, 2], enhanced=True)
    else:
        write_series(scan, STORED, x00200052="1.2.3.7")
    found = find_series(scan)
    labels = drawn(found.geometry, layers)
    path = write_dicom_seg(labels, scan, tmp_path / "seg.dcm")
    again = read_dicom_seg(path, found.geometry, frame_of_reference=found.frame_of_reference)
    assert [s.name for s in again.structures] == ["liver", "Milz, ä"]
    for before, after in zip(labels.structures, again.structures, strict=True):
        np.testing.assert_array_equal(again.mask(after), labels.mask(before))
    # highdicom finds the same voxels at the same places.
    volume = hd.seg.segread(path).get_volume(segment_numbers=[1], combine_segments=False, rescale_fractional=False)
    assert int(volume.array.sum()) == int(labels.mask(labels.structures[0]).sum())


def test_overlapping_structures_take_the_memory_that_was_asked_for(tmp_path: Path) -> None:
    write_series(tmp_path / "scan", np.zeros((5, 256, 256), "i2"), x00200052="1.2.3.7")
    geometry = find_series(tmp_path / "scan").geometry
    layers = tuple(np.zeros(geometry.shape, np.uint8) for _ in range(2))
    structures = tuple(Structure(f"s{k}", k + 1, layer=k % 2) for k in range(40))
    for one in structures:
        layers[one.layer][1:4, one.value : one.value + 9, :50] = one.value
    labels = LabelVolume(layers, geometry, structures)
    write_dicom_seg(labels, tmp_path / "scan", tmp_path / "first.dcm")
    tracemalloc.start()
    write_dicom_seg(labels, tmp_path / "scan", tmp_path / "seg.dcm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    voxels = layers[0].size
    assert 0.8 * dicom_seg_bytes(voxels, 40) < peak < 1.1 * dicom_seg_bytes(voxels, 40)
    assert dicom_seg_bytes(voxels, 40) < 1.5 * 40 * voxels


def test_labels_on_turned_axes_are_turned_back_and_on_another_grid_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "scan", STORED, x00200052="1.2.3.7")
    found = find_series(tmp_path / "scan")
    labels = drawn(found.geometry)
    turned = reorient(Volume(labels.layers[0], labels.geometry), "RSA")
    path = write_dicom_seg(LabelVolume((turned.array,), turned.geometry, STRUCTURES), found.path, tmp_path / "s.dcm")
    again = read_dicom_seg(path, found.geometry)
    np.testing.assert_array_equal(again.mask(again.structures[0]), labels.mask(labels.structures[0]))
    other = replace(labels, geometry=replace(found.geometry, origin=(0.0, 0.0, 0.0)))
    with pytest.raises(VolumeError, match="not on the grid of"):
        write_dicom_seg(other, found.path, tmp_path / "t.dcm")
    with pytest.raises(OutputExistsError, match="already exists"):
        write_dicom_seg(labels, found.path, path)
    write_dicom_seg(labels, found.path, path, overwrite=True)


def test_a_segmentation_of_a_real_series_reads_back(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "dicom" / "sarcoma_STS008_mr_rtstruct"
    found = find_series(folder)
    labels = drawn(found.geometry)
    again = read_dicom_seg(write_dicom_seg(labels, folder, tmp_path / "seg.dcm"), found.geometry)
    np.testing.assert_array_equal(again.mask(again.structures[1]), labels.mask(labels.structures[1]))
