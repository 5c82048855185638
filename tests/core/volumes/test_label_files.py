"""Labels come back from a file as they were drawn, named as the file names them; nothing is guessed or dropped."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from test_damaged_scans import damage
from test_reading_formats import nifti_bytes, save

from genesis_core.errors import VolumeError
from genesis_core.volumes.label_placing import place_labels
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.resampling import same_grid
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

SHAPE = (4, 5, 6)
GRID = Geometry(SHAPE, (1.0, 2.0, 3.0), (7.0, -8.0, 9.0))
MAP = np.zeros(SHAPE, "u1")
MAP[1], MAP[2, :2] = 1, 2
NAMED = (Structure("liver", 1, (200, 30, 40)), Structure("gall bladder", 2))


def nifti(path: Path, array: np.ndarray, **more: object) -> Path:
    return save(path, nifti_bytes(array, affine=np.eye(4), **more))  # type: ignore[arg-type]


def seg_nrrd(path: Path, voxels: np.ndarray, remarks: str, origin: str = "(7,-8,9)") -> Path:
    """A segmentation as 3D Slicer writes it; voxels (z, y, x) or (z, y, x, layer)."""
    sizes = [str(n) for n in voxels.shape[2::-1]]
    layers = voxels.ndim == 4
    head = (
        f"NRRD0004\n# Complete NRRD file format specification at:\ntype: unsigned char\ndimension: {voxels.ndim}\n"
        f"space: left-posterior-superior\nsizes: {' '.join(([str(voxels.shape[3])] if layers else []) + sizes)}\n"
        f"space directions: {'none ' if layers else ''}(1,0,0) (0,2,0) (0,0,3)\n"
        f"kinds: {'list ' if layers else ''}domain domain domain\nencoding: gzip\nspace origin: {origin}\n{remarks}\n"
    )
    path.write_bytes(head.encode() + gzip.compress(voxels.astype("u1").tobytes()))
    return path


@st.composite
def label_volumes(draw: st.DrawFn, most_layers: int = 3) -> LabelVolume:
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    turn[:, 0] *= draw(st.sampled_from([1, -1]))
    spacing = draw(st.tuples(*[st.floats(0.1, 10.0)] * 3))
    origin = draw(st.tuples(*[st.floats(-400, 400)] * 3))
    highest = draw(st.sampled_from([1, 2, 200, 255, 256, 65_535, 65_536, 2**31]))
    chance = np.random.default_rng(draw(st.integers(0, 99)))
    values = np.unique([0, highest, *chance.integers(0, highest, 3, endpoint=True)])
    count = draw(st.integers(1, most_layers))
    layers = tuple(chance.choice(values, shape).astype(np.min_scalar_type(highest)) for _ in range(count))
    names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=9) | st.just("a \\n b\\")
    colours = st.none() | st.tuples(*[st.integers(0, 255)] * 3)
    structures = tuple(
        Structure(draw(names), int(value), draw(colours), layer)
        for layer in range(count)
        for value in values[1:]
        if draw(st.booleans())
    )
    return LabelVolume(layers, Geometry(shape, spacing, origin, tuple(turn.ravel().tolist())), structures)


@given(labels=label_volumes())
@settings(deadline=None, max_examples=80)
def test_a_segmentation_comes_back_with_names_colours_and_layers(
    tmp_path_factory: pytest.TempPathFactory, labels: LabelVolume
) -> None:
    path = write_labels(labels, tmp_path_factory.mktemp("seg") / "case.seg.nrrd")
    again = read_labels(path)
    assert again.structures == labels.structures
    assert len(again.layers) == len(labels.layers)
    for layer, before in zip(again.layers, labels.layers, strict=True):
        np.testing.assert_array_equal(layer, before)
    assert same_grid(again.geometry, labels.geometry, 1e-9)
    image = sitk.ReadImage(str(path))
    seen = sitk.GetArrayFromImage(image).reshape(*labels.geometry.shape, -1)
    np.testing.assert_array_equal(seen, np.stack(labels.layers, axis=-1))
    np.testing.assert_allclose(image.GetOrigin(), labels.geometry.origin, atol=1e-4)


@given(labels=label_volumes(most_layers=1), ending=st.sampled_from([".nii", ".nii.gz"]))
@settings(deadline=None, max_examples=60)
def test_a_label_map_comes_back_with_names_and_colours(
    tmp_path_factory: pytest.TempPathFactory, labels: LabelVolume, ending: str
) -> None:
    path = write_labels(labels, tmp_path_factory.mktemp("nii") / f"case{ending}")
    again = read_labels(path)
    if labels.structures:
        assert again.structures == labels.structures
    np.testing.assert_array_equal(again.as_map(), labels.as_map())
    assert again.as_map().dtype == np.min_scalar_type(int(labels.as_map().max()))
    assert same_grid(again.geometry, labels.geometry)
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj).transpose(), labels.as_map())


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_whole_numbers_of_every_type_are_labels(tmp_path: Path, kind: str) -> None:
    labels = read_labels(nifti(tmp_path / "seg.nii.gz", MAP.astype(kind)))
    assert labels.as_map().dtype == np.uint8
    np.testing.assert_array_equal(labels.as_map(), MAP)
    assert labels.structures == (Structure("label 1", 1), Structure("label 2", 2))
    assert labels.notes == ()


def test_floats_a_little_off_whole_numbers_are_labels(tmp_path: Path) -> None:
    labels = read_labels(nifti(tmp_path / "seg.nii", MAP.astype("f4") - np.float32(0.0004)))
    np.testing.assert_array_equal(labels.as_map(), MAP)
    scaled = read_labels(nifti(tmp_path / "scaled.nii", MAP * 100, slope=(0.01, 0.0)))
    np.testing.assert_array_equal(scaled.as_map(), MAP)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (MAP * 0.3, "fractions .*probabilities.*threshold"),
        (MAP * 1.5, "fractions .such as 1.5.*nearest neighbour"),
        (MAP - 1.0, "negative numbers .down to -1"),
        (MAP.astype("i2") - 1000, "negative"),
        (np.where(MAP, np.nan, 0.0), "50 voxels are not a finite number|not a finite number"),
        (np.where(MAP, np.inf, 0.0), "not a finite number"),
        (MAP * 1e30, "not exact as float64"),
        (np.arange(70_000.0).reshape(10, 70, 100), "more than 65,535 different numbers"),
        (np.arange(70_000, dtype="i8").reshape(10, 70, 100) * 1000, "more than 65,535 different numbers"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = nifti(tmp_path / "seg.nii.gz", array)
    with pytest.raises(VolumeError, match=words) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_numbers_without_a_name_stay_and_are_counted(tmp_path: Path) -> None:
    labels = read_labels(nifti(tmp_path / "seg.nii", MAP), [Structure("liver", 1), Structure("spleen", 9)])
    np.testing.assert_array_equal(labels.as_map(), MAP)
    assert [structure.name for structure in labels.structures] == ["liver", "spleen"]
    assert labels.notes == ("Numbers that belong to no structure, left as they are: 2 (12 voxels).",)


def test_an_empty_map_is_read_and_said(tmp_path: Path) -> None:
    labels = read_labels(nifti(tmp_path / "seg.nii", MAP * 0))
    assert labels.structures == ()
    assert labels.notes == ("Nothing is drawn in it.",)


def test_a_four_dimensional_map_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"2 frames.*seg\.nrrd"):
        read_labels(nifti(tmp_path / "seg.nii", np.stack([MAP, MAP])))


def test_the_json_of_another_program_beside_a_label_map_names_nothing(tmp_path: Path) -> None:
    nifti(tmp_path / "seg.nii.gz", MAP)
    (tmp_path / "seg.json").write_text('{"EchoTime": 0.03}')
    assert [structure.name for structure in read_labels(tmp_path / "seg.nii.gz").structures] == ["label 1", "label 2"]
    (tmp_path / "seg.json").write_text('{"structures": [{"name": "liver", "value": -1}]}')
    with pytest.raises(VolumeError, match=r"seg\.json: -1 is no number"):
        read_labels(tmp_path / "seg.nii.gz")


LAYERS = np.zeros((*SHAPE, 2), "u1")
LAYERS[1, ..., 0], LAYERS[2, ..., 0], LAYERS[1:3, :2, :, 1] = 1, 3, 1
SLICER = (
    "Segment0_Color:=0.5 0.25 1\nSegment0_ColorAutoGenerated:=0\nSegment0_ID:=Segment_1\nSegment0_LabelValue:=3\n"
    "Segment0_Layer:=0\nSegment0_Name:=Tumour \\\\ größer\nSegment0_Tags:=TerminologyEntry:Category~85756007|\n"
    "Segment1_ColorAutoGenerated:=1\nSegment1_Color:=0.1 0.2 0.3\nSegment1_LabelValue:=1\nSegment1_Layer:=1\n"
    "Segment1_Name:=Liver\nSegmentation_ReferenceImageExtentOffset:=10 20 30\n"
)


def test_a_segmentation_of_slicer_is_read_with_its_overlap(tmp_path: Path) -> None:
    labels = read_labels(seg_nrrd(tmp_path / "case.seg.nrrd", LAYERS, SLICER))
    assert labels.structures == (
        Structure("Tumour \\ größer", 3, (128, 64, 255), 0),
        Structure("Liver", 1, None, 1),
    )
    np.testing.assert_array_equal(labels.mask(labels.structures[0]), LAYERS[..., 0] == 3)
    np.testing.assert_array_equal(labels.mask(labels.structures[1]), LAYERS[..., 1] == 1)
    assert labels.notes == ("Numbers that belong to no structure, left as they are: 1 (30 voxels).",)
    with pytest.raises(VolumeError, match="overlap"):
        labels.as_map()


def test_segments_are_found_by_name_whatever_their_numbers(tmp_path: Path) -> None:
    path = seg_nrrd(tmp_path / "case.seg.nrrd", LAYERS, SLICER)
    labels = read_labels(path, [Structure("liver", 1), Structure("tumour \\ größer", 2), Structure("spleen", 3)])
    # The file does not name the spleen: nobody looked for it.
    liver, tumour = labels.structures
    assert (liver.layer, tumour.layer, tumour.value, tumour.colour) == (1, 0, 2, (128, 64, 255))
    np.testing.assert_array_equal(labels.mask(tumour), LAYERS[..., 0] == 3)
    np.testing.assert_array_equal(labels.mask(liver), LAYERS[..., 1] == 1)
    # The unnamed number 1 of the first layer must not become the liver, nor take a number that was asked for.
    assert set(np.unique(labels.layers[0])).isdisjoint({1, 3})
    assert labels.notes[0] == "Not named in this file: 'spleen'."
    assert "found by name" in labels.notes[1]
    with pytest.raises(VolumeError, match=r"'Tumour .*'Liver', and none of them is 'kidney'"):
        read_labels(path, [Structure("kidney", 1)])


def test_an_old_segmentation_has_a_layer_for_each_segment(tmp_path: Path) -> None:
    old = "Segment0_ID:=a\nSegment0_Name:=lung\nSegment1_ID:=b\nSegment1_Name:=heart\n"
    labels = read_labels(seg_nrrd(tmp_path / "old.seg.nrrd", (LAYERS > 0), old))
    assert labels.structures == (Structure("lung", 1, None, 0), Structure("heart", 1, None, 1))


@pytest.mark.parametrize(
    ("remarks", "words"),
    [
        ("Segment0_Name:=a\nSegment0_Layer:=7\n", "2 layer"),
        ("Segment0_Name:=a\nSegment0_LabelValue:=x\n", "LabelValue should be a whole number"),
        ("Segment0_Name:=a\nSegment0_LabelValue:=0\n", "numbers start at 1"),
        ("Segment0_Name:=a\nSegment1_Name:=b\nSegment2_Name:=c\n", "3 segments cannot share 2"),
        (
            "Segment0_LabelValue:=1\nSegment0_Layer:=0\nSegment1_LabelValue:=1\nSegment1_Layer:=0\n",
            "values of their own",
        ),
    ],
)
def test_a_segmentation_that_contradicts_itself_is_refused(tmp_path: Path, remarks: str, words: str) -> None:
    path = seg_nrrd(tmp_path / "bad.seg.nrrd", LAYERS, remarks)
    with pytest.raises(VolumeError, match=words) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_a_cropped_segmentation_lies_where_its_own_origin_says(tmp_path: Path) -> None:
    scan = Geometry((10, 12, 14), (1.0, 2.0, 3.0), (2.0, -14.0, 0.0))
    one = "Segment0_Name:=a\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"
    labels = read_labels(seg_nrrd(tmp_path / "cut.seg.nrrd", MAP == 1, one))
    assert labels.geometry.origin == (7.0, -8.0, 9.0)
    placed = place_labels(labels, scan)
    np.testing.assert_array_equal(placed.as_map()[3:7, 3:8, 5:11], MAP == 1)
    assert placed.as_map().sum() == (MAP == 1).sum()
    assert "a block cut out of the second" in placed.notes[-1]


@given(labels=label_volumes(), pad=st.tuples(*[st.integers(0, 3)] * 6), codes=st.sampled_from(["LPS", "RAS", "SRA"]))
@settings(deadline=None, max_examples=40)
def test_placing_labels_on_their_scan_moves_nothing_in_the_patient(
    labels: LabelVolume, pad: tuple[int, ...], codes: str
) -> None:
    from genesis_core.volumes.resampling import reorient

    own = labels.geometry
    origin = (own.affine @ [-pad[0], -pad[2], -pad[4], 1])[:3][::-1]
    shape = tuple(n + pad[2 * a] + pad[2 * a + 1] for a, n in enumerate(own.shape))
    scan = Geometry(shape, own.spacing, tuple(float(v) for v in origin), own.direction)
    scan = reorient(Volume(np.zeros(shape, "u1"), scan), codes).geometry
    placed = place_labels(labels, scan)
    for before, after in zip(labels.layers, placed.layers, strict=True):
        for index in np.argwhere(before)[:10]:
            place = np.linalg.solve(scan.affine, own.affine @ [*index, 1])[:3]
            assert np.abs(place - np.rint(place)).max() < 1e-4
            assert after[tuple(np.rint(place).astype(int))] == before[tuple(index)]
        assert np.count_nonzero(before) == np.count_nonzero(after)


def test_labels_that_do_not_fit_their_scan_are_not_placed() -> None:
    labels = LabelVolume((MAP,), GRID, NAMED, "case.seg.nrrd")
    with pytest.raises(
        VolumeError, match=r"case\.seg\.nrrd: lies on another grid.*spacing 1 x 2 x 3 against 1 x 2 x 4"
    ):
        place_labels(labels, Geometry(SHAPE, (1.0, 2.0, 4.0), GRID.origin))
    with pytest.raises(VolumeError, match="30 voxels are drawn outside"):
        place_labels(labels, Geometry((1, 5, 6), (1.0, 2.0, 3.0), (7.0, -8.0, 15.0)))


def test_a_plain_volume_of_another_format_is_a_label_map_too(tmp_path: Path) -> None:
    for ending in (".mha", ".mhd", ".nrrd"):
        path = write_volume(Volume(MAP, GRID), tmp_path / f"seg{ending}")
        np.testing.assert_array_equal(read_labels(path, NAMED).as_map(), MAP)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("rounds", [150, pytest.param(4000, marks=pytest.mark.slow)])
def test_any_damage_gives_a_clear_error_or_labels_on_the_right_grid(tmp_path: Path, rounds: int) -> None:
    chance = random.Random(rounds)
    path = seg_nrrd(tmp_path / "case.seg.nrrd", LAYERS, SLICER)
    named = write_labels(LabelVolume((MAP,), GRID, NAMED), tmp_path / "map.nii.gz")
    for target, read in ((path, path), (tmp_path / "map.json", named)):
        data = target.read_bytes()
        messages = []
        for _ in range(rounds):
            target.write_bytes(damage(data, chance))
            try:
                assert read_labels(read).geometry.shape == SHAPE
            except VolumeError as problem:
                messages.append(str(problem))
        target.write_bytes(data)
        assert messages
        assert all(str(tmp_path) in message for message in messages)


def test_real_label_maps_are_read_as_their_volumes_are(real_data: Path) -> None:
    paths = [*(real_data / "labelled").glob("*/labels*/*.nii.gz"), *(real_data / "ct/derived_labels").glob("*.nii.gz")]
    assert len(paths) > 90
    for path in paths:
        labels, volume = read_labels(path), read_volume(path)
        np.testing.assert_array_equal(labels.as_map(), volume.array)
        assert labels.geometry == volume.geometry
        assert {s.value for s in labels.structures} == set(np.unique(volume.array).astype(int).tolist()) - {0}
