"""Scans and labels through layers and back, without a window: every voxel stays at its place in the patient."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import Notification, notification_manager

from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.reading import read_header, read_volume
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume
from napari_genesis import label_layers, layers, readers, writers

FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def rotation(*degrees: float) -> np.ndarray:
    """Return a rotation about x, then y, then z."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = one @ turn
    return turn


def oblique(*degrees: float, order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1)) -> Geometry:
    direction = rotation(*degrees)[:, list(order)] * np.asarray(signs)
    return Geometry((7, 9, 11), (0.7, 0.8, 2.5), (-31.25, 52.5, -410.75), tuple(direction.ravel().tolist()))


GRIDS = [
    oblique(0, 0, 0),
    oblique(0, 0, 0, order=(1, 2, 0), signs=(1, -1, -1)),
    oblique(17, -9, 4),
    oblique(-12, 3, 30, order=(2, 0, 1), signs=(-1, 1, 1)),
    oblique(1e-5, 0, 0, signs=(-1, -1, 1)),
]


def scan_on(geometry: Geometry) -> Volume:
    array = np.arange(np.prod(geometry.shape), dtype=np.int16).reshape(geometry.shape) - 300
    return Volume(array, geometry)


def far_corner(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return affine @ np.append(np.asarray(shape) - 1, 1)


def opened(path: Path) -> list[Layer]:
    reader = readers.get_reader(str(path))
    assert reader is not None
    return [Layer.create(*one) for one in reader(str(path)) if one[0] is not None]


def saved(layer: Layer, path: Path) -> Path:
    data, meta, kind = layer.as_layer_data_tuple()
    write = {"image": writers.write_image, "labels": writers.write_labels}[kind]
    [written] = write(str(path), data, meta)
    return Path(written)


@pytest.fixture
def told() -> Any:
    """What was shown to the user since the test began."""
    seen: list[Notification] = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("geometry", GRIDS, ids=["straight", "permuted", "oblique", "permuted oblique", "rounding"])
def test_a_scan_saved_from_its_layer_is_the_file_it_came_from(geometry: Geometry, ending: str, tmp_path: Path) -> None:
    source = write_volume(scan_on(geometry), tmp_path / f"scan{ending}")
    [layer] = opened(source)
    assert isinstance(layer, Image)
    again = read_volume(saved(layer, tmp_path / f"again{ending}"))
    first = read_volume(source)
    np.testing.assert_array_equal(again.array, first.array)
    np.testing.assert_allclose(
        far_corner(again.affine, again.shape), far_corner(first.affine, first.shape), rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(again.affine, first.affine, rtol=0, atol=1e-5)


@pytest.mark.parametrize("geometry", GRIDS)
def test_a_layer_is_drawn_along_its_own_axes_and_knows_where_it_lies(geometry: Geometry, tmp_path: Path) -> None:
    [layer] = opened(write_volume(scan_on(geometry), tmp_path / "scan.nrrd"))
    np.testing.assert_array_equal(layer.affine.affine_matrix, np.eye(4))
    np.testing.assert_array_equal(layer.rotate, np.eye(3))
    assert min(layer.scale) > 0
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    volume, source = layers.volume_from_layer(layer), scan_on(geometry)
    # The same value lies at the same place, whatever the order of the axes.
    for value in (-300, 0, 300):
        [here], [there] = np.argwhere(volume.array == value), np.argwhere(source.array == value)
        np.testing.assert_allclose(volume.affine @ [*here, 1], source.affine @ [*there, 1], rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(
    angles=st.tuples(*[st.floats(-40, 40)] * 3),
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_any_orientation_comes_back_from_a_layer(
    angles: tuple[float, ...], order: list[int], signs: tuple[int, ...]
) -> None:
    source = scan_on(oblique(*angles, order=tuple(order), signs=signs))
    array, meta = layers.shown(source)
    state = Image(array, **meta).as_layer_data_tuple()[1]
    grid = writers.on_own_grid(array, state)
    np.testing.assert_array_equal(grid.array, source.array)
    assert grid.geometry == source.geometry


def test_a_layer_the_user_moved_is_saved_where_it_was_moved_to(tmp_path: Path) -> None:
    [layer] = opened(write_volume(scan_on(GRIDS[2]), tmp_path / "scan.mha"))
    layer.translate = np.add(layer.translate, (10, 0, 0))
    moved = read_volume(saved(layer, tmp_path / "moved.mha"))
    shift = moved.affine[:3, 3] - GRIDS[2].affine[:3, 3]
    np.testing.assert_allclose(np.linalg.norm(shift), 10, atol=1e-6)
    np.testing.assert_allclose(shift / 10, GRIDS[2].affine[:3, 0] / 2.5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_scale_translation_rotation_and_other_units_all_count() -> None:
    layer = Image(
        np.zeros((4, 5, 6)), scale=(0.25, 0.1, 0.1), translate=(1, 2, 3), rotate=rotation(0, 0, 90), units="cm"
    )
    volume = layers.volume_from_layer(layer)
    np.testing.assert_allclose(volume.spacing, (1.0, 1.0, 2.5))
    np.testing.assert_allclose(volume.origin, (30, 20, 10))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(0, 0, 90) @ np.diag((2.5, 1, 1))
    matrix[:3, 3] = (10, 20, 30)
    np.testing.assert_allclose(volume.affine, matrix, atol=1e-12)


def test_a_layer_in_pixels_is_no_scan() -> None:
    with pytest.raises(VolumeError, match="has no millimetres"):
        layers.volume_from_layer(Image(np.zeros((4, 5, 6)), name="screenshot"))


def test_a_sheared_layer_is_refused_by_name() -> None:
    layer = Image(np.zeros((40, 50, 60)), shear=[0.2, 0, 0], units="mm", name="tilted")
    with pytest.raises(VolumeError, match=r"layer 'tilted'.*not at right angles"):
        layers.volume_from_layer(layer)


@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4, 5, 6)])
def test_a_layer_that_has_not_three_axes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(VolumeError, match="axes"):
        layers.volume_from_layer(Image(np.zeros(shape), units="mm"))


def test_a_box_cut_from_a_layer_lies_where_it_was_cut() -> None:
    source = scan_on(GRIDS[3])
    array, meta = layers.shown(source)
    layer = Image(array, **meta, contrast_limits=(0, 99))
    start = (2, 3, 1)
    box = array[2:5, 3:7, 1:4]
    made = Image(box, **layers.like(layer, box, "box", start=start)[1])
    assert made.contrast_limits == [0, 99]
    whole, part = layers.volume_from_layer(layer), layers.volume_from_layer(made)
    np.testing.assert_allclose(part.affine[:, 3], whole.affine @ [*start, 1], atol=1e-9)
    np.testing.assert_allclose(part.affine[:3, :3], whole.affine[:3, :3], atol=1e-9)


def test_a_result_for_one_frame_lies_on_the_frames_grid() -> None:
    layer = Image(np.zeros((3, 4, 5, 6)), scale=(1, 2, 3, 4), units=("s", "mm", "mm", "mm"))
    data, meta, kind = layers.like(layer, np.ones((4, 5, 6), np.uint8), "mask", "labels")
    made = Layer.create(data, meta, kind)
    np.testing.assert_allclose(layers.volume_from_layer(made).spacing, (4, 3, 2))
    with pytest.raises(VolumeError, match="3 frames"):
        layers.volume_from_layer(layer)
    assert layers.volume_from_layer(layer, frame=2).shape == (4, 5, 6)


STRUCTURES = (Structure("tumour", 3, (250, 10, 20)), Structure("cyst", 7))


def labels_on(geometry: Geometry, structures: tuple[Structure, ...] = STRUCTURES) -> LabelVolume:
    array = np.zeros(geometry.shape, np.uint8)
    array[1:3, 2:5, 3:8] = 3
    array[4:6, 2:5, 3:5] = 7
    return LabelVolume((array,), geometry, structures)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seg.nrrd", ".nrrd"])
@pytest.mark.parametrize("geometry", [GRIDS[1], GRIDS[3]])
def test_labels_keep_names_colours_and_place(geometry: Geometry, ending: str, tmp_path: Path) -> None:
    source = write_labels(labels_on(geometry), tmp_path / f"case{ending}")
    [layer] = opened(source)
    assert isinstance(layer, Labels)
    assert dict(zip(layer.features["index"], layer.features["structure"], strict=True)) == {3: "tumour", 7: "cyst"}
    np.testing.assert_allclose(layer.get_color(3)[:3], np.array([250, 10, 20]) / 255, atol=1e-3)
    again = read_labels(saved(layer, tmp_path / f"again{ending}"))
    np.testing.assert_array_equal(again.as_map(), labels_on(geometry).as_map())
    np.testing.assert_allclose(again.geometry.affine, geometry.affine, rtol=0, atol=1e-4)
    assert [(one.name, one.value) for one in again.structures] == [("tumour", 3), ("cyst", 7)]
    assert again.structures[0].colour == (250, 10, 20)


def test_overlapping_structures_are_layers_and_one_file_again(tmp_path: Path) -> None:
    first = labels_on(GRIDS[2]).as_map()
    second = np.roll(first, 1, axis=2)
    several = LabelVolume((first, second), GRIDS[2], (*STRUCTURES, Structure("rim", 3, (1, 2, 3), 1)))
    made = opened(write_labels(several, tmp_path / "both.seg.nrrd"))
    assert [type(one) for one in made] == [Labels, Labels]
    [written] = writers.write_label_layers(str(tmp_path / "again"), [one.as_layer_data_tuple() for one in made])
    assert written.endswith("again.seg.nrrd")
    again = read_labels(written)
    for index, layer in enumerate((first, second)):
        np.testing.assert_array_equal(again.layers[index], layer)
    assert Structure("rim", 3, (1, 2, 3), 1) in again.structures
    assert "label 7" in [one.name for one in again.structures if one.layer == 1]


@pytest.mark.parametrize("dtype", [bool, np.int64, np.int32])
def test_painted_labels_of_any_type_are_written_small(dtype: type, tmp_path: Path) -> None:
    layer = Labels((labels_on(GRIDS[0]).as_map() > 0).astype(dtype), scale=(2.5, 0.8, 0.7), units="mm")
    path = saved(layer, tmp_path / "painted.nii.gz")
    assert read_header(path).dtype == np.uint8
    assert [one.name for one in read_labels(path).structures] == ["label 1"]


def test_labels_as_metaimage_say_that_names_are_lost(told: list[Notification], tmp_path: Path) -> None:
    [layer] = opened(write_labels(labels_on(GRIDS[2]), tmp_path / "case.seg.nrrd"))
    path = saved(layer, tmp_path / "case.mha")
    assert "no place for names" in told[-1].message
    np.testing.assert_array_equal(read_volume(path).array, labels_on(GRIDS[2]).as_map())


def test_negative_numbers_are_no_labels(tmp_path: Path) -> None:
    layer = Labels(np.full((3, 4, 5), -1), units="mm", name="wrong")
    with pytest.raises(VolumeError, match=r"layer 'wrong'.*negative"):
        saved(layer, tmp_path / "wrong.nii.gz")


def test_a_name_without_ending_gets_one_and_never_overwrites(tmp_path: Path) -> None:
    layer = Image(np.zeros((4, 5, 6)), units="mm")
    assert saved(layer, tmp_path / "scan.v2").name == "scan.v2.nii.gz"
    with pytest.raises(OutputExistsError):
        saved(layer, tmp_path / "scan.v2")


def test_frames_become_a_fourth_axis(real_data: Path, told: list[Notification]) -> None:
    path = real_data / "awkward" / "diffusion_4d.nii.gz"
    [layer] = opened(path)
    assert layer.data.shape == (2, 24, 96, 128)
    assert layer.axis_labels == ("t", "z", "y", "x")
    volume, source = layers.volume_from_layer(layer, frame=1), read_volume(path, frame=1)
    turned = reorient(volume, source.axis_codes)
    np.testing.assert_array_equal(turned.array, source.array)
    np.testing.assert_allclose(
        far_corner(turned.affine, turned.shape), far_corner(source.affine, source.shape), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", ["truncated.nii.gz", "lfs_pointer.mha", "perfusion_rgb24.nii.gz", "truncated.dcm"])
def test_a_refused_file_gives_one_plain_notification_and_no_layer(
    name: str, real_data: Path, told: list[Notification]
) -> None:
    assert opened(real_data / "awkward" / name) == []
    [one] = told
    assert one.message.startswith(f"{name} was not opened: ")
    assert str(real_data) not in one.message
    assert "Traceback" not in one.message


@pytest.mark.parametrize(
    ("name", "kind", "limits"),
    [
        ("ct/torso_totalseg_3mm.nii.gz", "Image", (-160, 240)),
        ("mri/stroke_T1.nii.gz", "Image", (0, 201)),
        ("awkward/lung_elastix.mha", "Image", (-160, 240)),
        ("dicom/brain_mr_tagged_ct", "Image", (0, 446)),
        ("dicom/abdomen_ct_jpeg2000", "Image", (-160, 240)),
        ("labelled/spinal_cord_mr/labels/t2.nii.gz", "Labels", None),
        ("labelled/totalseg_multiorgan/labels/ct_a.nii.gz", "Labels", None),
        ("labelled/hippocampus_mr/labels/hippocampus_003.nii.gz", "Labels", None),
        ("labelled/hippocampus_mr/images/hippocampus_003.nii.gz", "Image", None),
    ],
)
def test_real_files_open_as_what_they_are(
    name: str, kind: str, limits: tuple[float, float] | None, real_data: Path
) -> None:
    [layer] = opened(real_data / name)
    assert type(layer).__name__ == kind
    assert limits is None or tuple(layer.contrast_limits) == limits
    path = real_data / name
    source = read_volume(path)
    on_grid = writers.on_own_grid(*layer.as_layer_data_tuple()[:2])
    assert on_grid.geometry == source.geometry
    np.testing.assert_array_equal(on_grid.array, source.array)


def test_every_series_of_a_folder_is_opened_where_nobody_can_be_asked(
    real_data: Path, told: list[Notification]
) -> None:
    made = opened(real_data / "dicom")
    assert [type(layer) for layer in made].count(Image) == 5
    assert told[0].message.startswith("dicom: 5 DICOM series are opened")
    assert "" not in [layer.name for layer in made]


def test_contours_beside_a_series_are_labels_on_it(real_data: Path, told: list[Notification]) -> None:
    folder = real_data / "dicom" / "sarcoma_STS008_ct_rtstruct"
    image, labels = opened(folder)
    assert isinstance(labels, Labels)
    assert labels.data.shape == image.data.shape
    assert list(labels.features["structure"]) == ["GTV_Mass_CT"]
    truth = read_volume(real_data / "labelled" / "sarcoma_ct" / "labels" / "STS_008.nii.gz")
    ours = layers.volume_from_layer(labels)
    both = np.count_nonzero((ours.array > 0) & (reorient(truth, "LPS").array > 0))
    assert 2 * both / (np.count_nonzero(ours.array) + np.count_nonzero(truth.array)) > 0.95
    assert not any("ignored" in one.message for one in told)


def test_a_damaged_structure_set_is_told_and_the_scan_opens(
    real_data: Path, told: list[Notification], tmp_path: Path
) -> None:
    folder = tmp_path / "series"
    shutil.copytree(real_data / "dicom" / "sarcoma_STS008_mr_rtstruct", folder)
    contours = folder / "RS.dcm"
    contours.write_bytes(contours.read_bytes()[:4000])
    [image] = opened(folder)
    assert isinstance(image, Image)
    assert "RT structure set RS.dcm is not shown" in told[-1].message


def test_a_folder_without_dicom_is_left_to_other_readers(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert readers.get_reader(str(tmp_path)) is None
    assert readers.get_reader(str(tmp_path / "notes.txt")) is None


def test_a_sidecar_of_names_makes_any_numbers_labels(tmp_path: Path) -> None:
    array = np.arange(7 * 9 * 11, dtype=np.uint16).reshape(7, 9, 11) % 200
    structures = tuple(Structure(f"region {n}", n) for n in range(1, 200))
    path = write_labels(LabelVolume((array,), GRIDS[0], structures), tmp_path / "atlas.nii.gz")
    [layer] = opened(path)
    assert isinstance(layer, Labels)
    assert label_layers.labels_from_layer(layer).structures[41].name == "region 42"
