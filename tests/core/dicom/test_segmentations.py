"""A DICOM segmentation lands voxel by voxel on its scan, whatever order its frames have, or is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, RLELossless, generate_uid

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.segmentation import read_dicom_seg
from genesis_core.volumes.dicom.series import DicomSeries, find_series
from genesis_core.volumes.volume import Geometry

STORED = np.random.default_rng(3).integers(0, 1500, (7, 11, 13)).astype("i2")
SPACE = "1.2.3.7"
COLOURS = {"liver": (221, 130, 101), "tumour": (0, 151, 206), "vessel": (90, 90, 200)}


@pytest.fixture
def scan(tmp_path: Path) -> DicomSeries:
    orientation = "0.8\\0.6\\0\\0\\0\\-1"
    normal = np.cross([0.8, 0.6, 0], [0, 0, -1])
    (tmp_path / "scan").mkdir()
    for path in write_series(
        tmp_path / "scan", STORED, step=2.5 * normal, x00200037=orientation, x00200052=SPACE, x00080020="20200101"
    ):
        dataset = pydicom.dcmread(path)
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber",
                        "StudyDate", "StudyTime", "ReferringPhysicianName"):  # fmt: skip
            setattr(dataset, keyword, "")
        dataset.save_as(path)
    return find_series(tmp_path / "scan")


def masks() -> dict[str, np.ndarray]:
    liver, tumour, vessel = (np.zeros(STORED.shape, bool) for _ in range(3))
    liver[1:6, 2:9, 3:12] = True
    tumour[2:4, 4:6, 5:8] = True
    vessel[3, :, 1] = True
    return {"liver": liver, "tumour": tumour, "vessel": vessel}


def write_seg(path: Path, scan: DicomSeries, drawn: dict[str, np.ndarray], kind: str = "BINARY", **more: Any) -> Path:
    """Write masks (or fractions, or one label map) on the slices of a scan, in the order of file names."""
    order = sorted(range(len(scan.slices)), key=lambda z: scan.slices[z].path.name)
    sources = [pydicom.dcmread(scan.slices[z].path) for z in order]
    descriptions = [
        hd.seg.SegmentDescription(
            number, name, codes.SCT.Organ, codes.SCT.Liver, "MANUAL",
            display_color=hd.color.CIELabColor.from_rgb(*COLOURS[name]),
        )
        for number, name in enumerate(drawn, 1)
    ]  # fmt: skip
    if kind == "LABELMAP":
        pixels = np.zeros(STORED.shape, np.uint8)
        for number, mask in enumerate(drawn.values(), 1):
            pixels[mask] = number
        pixels = pixels[order]
    else:
        pixels = np.stack(list(drawn.values()), axis=-1)[order]
        pixels = pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    more = {"transfer_syntax_uid": ExplicitVRLittleEndian, **more}
    made = hd.seg.Segmentation(
        sources, pixels, kind, descriptions, generate_uid(), 1, generate_uid(), 1, "nobody", "none", "1", "1", **more
    )
    made.save_as(path)
    return path


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("sparse", [True, False])
def test_segments_land_on_the_voxels_they_were_drawn_on(
    tmp_path: Path, scan: DicomSeries, syntax: str, sparse: bool
) -> None:
    more = {"transfer_syntax_uid": syntax, "omit_empty_frames": sparse}
    kind = "BINARY" if syntax == ExplicitVRLittleEndian else "FRACTIONAL"
    path = write_seg(tmp_path / "seg.dcm", scan, masks(), kind, **more)
    labels = read_dicom_seg(path, scan.geometry, frame_of_reference=scan.frame_of_reference)
    assert [s.name for s in labels.structures] == ["liver", "tumour", "vessel"]
    for structure in labels.structures:
        np.testing.assert_array_equal(labels.mask(structure), masks()[structure.name])
        assert structure.colour is not None
        assert np.abs(np.subtract(structure.colour, COLOURS[structure.name])).max() <= 1
    assert [s.layer for s in labels.structures] == [0, 1, 0]
    assert "Structures overlap: they lie in 2 layers." in labels.notes


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_a_label_map_reads_too(tmp_path: Path, scan: DicomSeries, syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_seg(tmp_path / "seg.dcm", scan, masks(), "LABELMAP", transfer_syntax_uid=syntax)
    decode, decoded = pydicom.pixels.iter_pixels, []

    def counting(dataset: Any, **more: Any) -> Any:
        decoded.extend(more["indices"])
        return decode(dataset, **more)

    monkeypatch.setattr(pydicom.pixels, "iter_pixels", counting)
    labels = read_dicom_seg(path, scan.geometry)
    wanted = masks()
    wanted["liver"] &= ~wanted["tumour"] & ~wanted["vessel"]
    for structure in labels.structures:
        np.testing.assert_array_equal(labels.mask(structure), wanted[structure.name])
    assert len(labels.layers) == 1
    # Every frame once, not once per structure.
    assert len(decoded) == len(set(decoded))


def test_fractions_count_from_one_half_and_that_is_said(tmp_path: Path, scan: DicomSeries) -> None:
    fractions = np.linspace(0, 1, STORED.size).reshape(STORED.shape)
    path = write_seg(tmp_path / "seg.dcm", scan, {"liver": fractions}, "FRACTIONAL", max_fractional_value=200)
    labels = read_dicom_seg(path, scan.geometry)
    np.testing.assert_array_equal(labels.layers[0] > 0, np.round(fractions * 200) >= 100)
    assert any("fractional" in note for note in labels.notes)


def test_the_grid_may_be_turned_but_not_be_another(tmp_path: Path, scan: DicomSeries) -> None:
    path = write_seg(tmp_path / "seg.dcm", scan, masks())
    geometry = scan.geometry
    # The same voxels, counted from the far corner and with the axes in another order.
    columns = np.reshape(geometry.direction, (3, 3))
    far = np.asarray(geometry.origin) + columns @ (np.asarray(geometry.spacing) * (np.array(geometry.shape[::-1]) - 1))
    turned = Geometry(
        (geometry.shape[1], geometry.shape[0], geometry.shape[2]),
        (geometry.spacing[0], geometry.spacing[2], geometry.spacing[1]),
        tuple(far),
        tuple((-columns[:, [0, 2, 1]]).ravel()),
    )
    labels = read_dicom_seg(path, turned)
    for structure in labels.structures:
        wanted = masks()[structure.name][::-1, ::-1, ::-1].transpose(1, 0, 2)
        np.testing.assert_array_equal(labels.mask(structure), wanted)
    for other, words in (
        (replace(geometry, spacing=(0.7, 0.9, 2.5)), "not voxels of the scan|off the voxels"),
        (replace(geometry, spacing=(0.7, 0.8, 1.25)), "2.5 mm apart, the slices of the scan 1.25 mm"),
        (replace(geometry, origin=(geometry.origin[0] + 0.2, *geometry.origin[1:])), "mm off the voxels"),
        (replace(geometry, shape=(3, 11, 13)), "reaches beyond the scan"),
        (replace(geometry, direction=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)), "not voxels of the scan"),
    ):
        with pytest.raises(VolumeError, match=words):
            read_dicom_seg(path, other)


def test_another_patient_space_and_other_files_are_refused(tmp_path: Path, scan: DicomSeries) -> None:
    path = write_seg(tmp_path / "seg.dcm", scan, masks())
    with pytest.raises(VolumeError, match=r"frame of reference 1\.2\.3\.7, but the scan in 9\.9"):
        read_dicom_seg(path, scan.geometry, frame_of_reference="9.9")
    with pytest.raises(VolumeError, match="not a DICOM segmentation"):
        read_dicom_seg(scan.slices[0].path, scan.geometry)
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(VolumeError, match="truncated"):
        read_dicom_seg(path, scan.geometry)


def test_an_empty_segment_is_left_out_and_said(tmp_path: Path, scan: DicomSeries) -> None:
    drawn = masks() | {"tumour": np.zeros(STORED.shape, bool)}
    labels = read_dicom_seg(write_seg(tmp_path / "seg.dcm", scan, drawn), scan.geometry)
    assert [s.name for s in labels.structures] == ["liver", "vessel"]
    assert "'tumour' is empty: left out." in labels.notes
