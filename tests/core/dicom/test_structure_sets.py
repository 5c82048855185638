"""Contours in millimetres become the voxels whose centres they enclose, and what cannot be drawn is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames_making import item
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.series import find_series
from genesis_core.volumes.dicom.structures import read_rtstruct
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import same_grid
from genesis_core.volumes.volume import Geometry

GRID = Geometry((6, 20, 30), (0.8, 1.0, 2.5), (-5.0, 10.0, 100.0))
OBLIQUE = Geometry((6, 20, 30), (0.8, 1.0, 2.5), (-5.0, 10.0, 100.0), (0.6, -0.8, 0, 0, 0, -1.0, 0.8, 0.6, 0))
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def world(geometry: Geometry, indices: Sequence[Sequence[float]]) -> list[float]:
    """Return indices (z, y, x) as contour data: x, y, z in mm, one after the other."""
    points = np.column_stack([np.asarray(indices, dtype=float), np.ones(len(indices))])
    return [round(float(v), 4) for v in (points @ geometry.affine.T)[:, 2::-1].ravel()]


def box(z: float, y: tuple[float, float], x: tuple[float, float]) -> list[list[float]]:
    return [[z, y[0], x[0]], [z, y[0], x[1]], [z, y[1], x[1]], [z, y[1], x[0]]]


def write_rtstruct(
    path: Path,
    rois: Sequence[tuple[str, Sequence[tuple[str, list[float]]]]],
    *,
    space: str = "1.2.3.7",
    colours: Sequence[list[int] | None] = (),
) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTSTRUCT, "1.2.826.5"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = RTSTRUCT, "1.2.826.5", "RTSTRUCT"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Nobody^Ever"
    dataset.SeriesInstanceUID = "1.2.3.55"
    named, drawn = [], []
    for number, (name, contours) in enumerate(rois, 1):
        named.append(item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=space))
        made: dict[str, Any] = {"ReferencedROINumber": number}
        if number <= len(colours) and colours[number - 1] is not None:
            made["ROIDisplayColor"] = colours[number - 1]
        made["ContourSequence"] = Items(
            [
                item(ContourGeometricType=kind, NumberOfContourPoints=len(data) // 3, ContourData=data)
                for kind, data in contours
            ]
        )
        drawn.append(item(**made))
    dataset.StructureSetROISequence, dataset.ROIContourSequence = Items(named), Items(drawn)
    dataset.save_as(path, enforce_file_format=True)
    return path


def closed(geometry: Geometry, *contours: Sequence[Sequence[float]]) -> list[tuple[str, list[float]]]:
    return [("CLOSED_PLANAR", world(geometry, contour)) for contour in contours]


@pytest.mark.parametrize("geometry", [GRID, OBLIQUE])
def test_a_contour_encloses_the_voxels_whose_centres_lie_inside(tmp_path: Path, geometry: Geometry) -> None:
    path = write_rtstruct(
        tmp_path / "RS.dcm",
        [("böx", closed(geometry, *(box(z, (2.6, 7.4), (4.4, 9.6)) for z in (1, 2, 3))))],
        colours=[[10, 200, 30]],
    )
    labels = read_rtstruct(path, geometry, frame_of_reference="1.2.3.7")
    wanted = np.zeros(geometry.shape, bool)
    wanted[1:4, 3:8, 5:10] = True
    (structure,) = labels.structures
    np.testing.assert_array_equal(labels.mask(structure), wanted)
    assert (structure.name, structure.colour, labels.notes, labels.geometry) == ("böx", (10, 200, 30), (), geometry)
    assert "Nobody" not in repr(labels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_contours_may_lie_across_any_axis_of_the_grid(tmp_path: Path, axis: int) -> None:
    corners = np.insert(np.array([[1.6, 2.6], [1.6, 4.4], [4.4, 4.4], [4.4, 2.6]]), axis, 3.0, axis=1)
    path = write_rtstruct(tmp_path / "RS.dcm", [("sheet", closed(OBLIQUE, corners.tolist()))])
    labels = read_rtstruct(path, OBLIQUE)
    wanted = np.zeros(OBLIQUE.shape, bool)
    wanted[tuple(np.insert(np.array([slice(2, 5), slice(3, 5)]), axis, slice(3, 4)))] = True
    np.testing.assert_array_equal(labels.layers[0] > 0, wanted)


def test_a_contour_inside_another_of_its_plane_is_a_hole(tmp_path: Path) -> None:
    outer, inner = box(2, (1.5, 10.5), (1.5, 12.5)), box(2, (3.5, 6.5), (4.5, 8.5))
    labels = read_rtstruct(write_rtstruct(tmp_path / "RS.dcm", [("ring", closed(GRID, outer, inner))]), GRID)
    wanted = np.zeros(GRID.shape, bool)
    wanted[2, 2:11, 2:13] = True
    wanted[2, 4:7, 5:9] = False
    np.testing.assert_array_equal(labels.layers[0] > 0, wanted)


def test_overlapping_structures_lose_no_voxel(tmp_path: Path) -> None:
    a, b, c = (box(2, (y, y + 4), (2.5, 8.5)) for y in (1.5, 3.5, 12.5))
    path = write_rtstruct(tmp_path / "RS.dcm", [("a", closed(GRID, a)), ("b", closed(GRID, b)), ("a", closed(GRID, c))])
    labels = read_rtstruct(path, GRID)
    assert [(s.name, s.layer) for s in labels.structures] == [("a", 0), ("b", 1), ("a (2)", 0)]
    assert [int(labels.mask(s).sum()) for s in labels.structures] == [24, 24, 24]
    assert "overlap" in labels.notes[-1]


def test_contours_between_slices_go_to_the_nearest_one_and_never_cancel_each_other(tmp_path: Path) -> None:
    square = ((2.5, 6.5), (2.5, 6.5))
    path = write_rtstruct(
        tmp_path / "RS.dcm", [("fine", closed(GRID, *(box(z, *square) for z in (1.0, 1.4, 1.8, 2.2, 2.6))))]
    )
    labels = read_rtstruct(path, GRID)
    drawn = labels.layers[0] > 0
    # Contours at 1.0 and 1.4 share a slice: by exclusive-or they would erase each other.
    assert [int(n) for n in drawn.sum(axis=(1, 2))] == [0, 16, 16, 16, 0, 0]
    text = " ".join(labels.notes)
    assert "lie between slices (up to 1.00 mm off)" in text
    assert "closer together than slices: 2 of 5 planes were left out" in text


def test_slices_without_a_contour_stay_empty_and_are_said(tmp_path: Path) -> None:
    square = ((2.5, 6.5), (2.5, 6.5))
    path = write_rtstruct(tmp_path / "RS.dcm", [("coarse", closed(GRID, *(box(z, *square) for z in (0, 3, 5))))])
    labels = read_rtstruct(path, GRID)
    assert [int(n) for n in (labels.layers[0] > 0).sum(axis=(1, 2))] == [16, 0, 0, 16, 0, 16]
    assert any("3 slices between its first and last have no contour" in note for note in labels.notes)


def test_what_leaves_the_scan_or_encloses_nothing_is_said(tmp_path: Path) -> None:
    rois = [
        ("edge", closed(GRID, box(5, (-3.5, 4.5), (2.5, 6.5)), box(6.2, (2.5, 6.5), (2.5, 6.5)))),
        ("mark", [("POINT", world(GRID, [[2, 3, 4]])), ("OPEN_PLANAR", world(GRID, [[2, 3, 4], [2, 3, 9]]))]),
        ("nothing", []),
        ("tiny", closed(GRID, box(2, (2.6, 2.8), (2.6, 2.8)))),
        ("line", [*closed(GRID, box(2, (2.5, 6.5), (12.5, 16.5))), ("CLOSED_PLANAR", world(GRID, [[2, 3, 4]]))]),
    ]
    labels = read_rtstruct(write_rtstruct(tmp_path / "RS.dcm", rois), GRID)
    assert [structure.name for structure in labels.structures] == ["edge", "line"]
    assert int((labels.layers[0] == 1).sum()) == 5 * 4
    text = "\n".join(labels.notes)
    for words in (
        "'edge': 1 of 2 contours lie beyond the scan and were left out",
        "'edge': 1 of 2 contours reach beyond the scan",
        "'mark' has no closed contour (1 open contour, 1 point): left out",
        "'nothing' has no closed contour (empty)",
        "'tiny' covers no voxel",
        "'line': 1 empty or damaged contour enclose no area",
    ):
        assert words in text


def test_contours_of_another_scan_are_refused(tmp_path: Path) -> None:
    path = write_rtstruct(tmp_path / "RS.dcm", [("a", closed(GRID, box(2, (2.5, 6.5), (2.5, 6.5))))])
    with pytest.raises(VolumeError, match=r"frame of reference 1\.2\.3\.7, but the scan in 9\.9"):
        read_rtstruct(path, GRID, frame_of_reference="9.9")
    assert "was not checked" in read_rtstruct(path, GRID).notes[0]
    with pytest.raises(VolumeError, match="none of its 1 structures covers a voxel"):
        read_rtstruct(path, Geometry(GRID.shape, GRID.spacing, (500.0, 0.0, 0.0)))
    with pytest.raises(VolumeError, match="not parallel to any slices"):
        read_rtstruct(path, TURNED)
    # One structure drawn on an oblique view costs only itself.
    mixed = [
        ("a", closed(GRID, box(2, (2.5, 6.5), (2.5, 6.5)))),
        ("slanted", closed(TURNED, box(2, (2.5, 6.5), (2.5, 6.5)))),
    ]
    labels = read_rtstruct(write_rtstruct(tmp_path / "RS2.dcm", mixed), GRID)
    assert [structure.name for structure in labels.structures] == ["a"]
    assert any("'slanted': its contours are not parallel" in note for note in labels.notes)


OBLIQUE_TURN = (0.8, 0.0, 0.6, 0.36, 0.8, -0.48, -0.48, 0.6, 0.64)
TURNED = Geometry(GRID.shape, GRID.spacing, GRID.origin, OBLIQUE_TURN)


def test_other_files_and_damaged_ones_are_refused(tmp_path: Path, real_data: Path) -> None:
    with pytest.raises(VolumeError, match="not an RT structure set"):
        read_rtstruct(next((real_data / "dicom" / "brain_mr_tagged_ct").iterdir()), GRID)
    (tmp_path / "x.dcm").write_bytes(b"nothing" * 100)
    with pytest.raises(VolumeError, match=r"x\.dcm"):
        read_rtstruct(tmp_path / "x.dcm", GRID)
    path = write_rtstruct(tmp_path / "RS.dcm", [("a", [("CLOSED_PLANAR", [0.0, 1.0, 2.0, 3.0])])])
    with pytest.raises(VolumeError, match="no closed contour"):
        read_rtstruct(path, GRID)


@given(
    st.lists(st.tuples(st.floats(2, 27), st.floats(2, 17)), min_size=3, max_size=8, unique=True),
    st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_filling_agrees_with_the_even_odd_rule_at_every_centre(
    tmp_path_factory: pytest.TempPathFactory, corners: list[tuple[float, float]], z: int
) -> None:
    path = tmp_path_factory.mktemp("rt") / "RS.dcm"
    contour = [[z, y + 1e-3, x + 1e-3] for x, y in corners]
    try:
        drawn = read_rtstruct(write_rtstruct(path, [("a", closed(GRID, contour))]), GRID).layers[0][z] > 0
    except VolumeError:
        drawn = np.zeros(GRID.shape[1:], bool)
    polygon = np.array(contour)[:, 1:]
    rows, columns = np.indices(GRID.shape[1:])
    inside = np.zeros(GRID.shape[1:], bool)
    near = np.zeros(GRID.shape[1:], bool)
    for (y1, x1), (y2, x2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        # A centre closer to an edge than the decimals of the file may fall either way.
        length = max(np.hypot(y2 - y1, x2 - x1), 1e-9)
        share = np.clip(((rows - y1) * (y2 - y1) + (columns - x1) * (x2 - x1)) / length**2, 0, 1)
        near |= np.hypot(rows - y1 - share * (y2 - y1), columns - x1 - share * (x2 - x1)) < 2e-3
        if abs(y2 - y1) > 1e-9:
            crosses = (y1 > rows) != (y2 > rows)
            inside ^= crosses & (columns < (x2 - x1) * (rows - y1) / (y2 - y1) + x1)
    np.testing.assert_array_equal(drawn[~near], inside[~near])


@pytest.mark.parametrize(
    ("name", "reference"),
    [("sarcoma_STS008_ct_rtstruct", "sarcoma_ct"), ("sarcoma_STS008_mr_rtstruct", "sarcoma_mr_t1")],
)
def test_real_contours_give_the_published_mask_voxel_by_voxel(real_data: Path, name: str, reference: str) -> None:
    folder = real_data / "dicom" / name
    series = find_series(folder)
    labels = read_rtstruct(folder / "RS.dcm", series.geometry, frame_of_reference=series.frame_of_reference)
    mask = read_volume(real_data / "labelled" / reference / "labels" / "STS_008.nii.gz")
    assert same_grid(mask.geometry, labels.geometry, 0.01)
    np.testing.assert_array_equal(labels.as_map() > 0, mask.array > 0)
    assert (labels.notes, labels.structures[0].colour) == ((), (255, 0, 0))
