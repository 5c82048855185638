"""The published organ-wise rules: one piece an organ, two lungs by side, lesions inside their organ, a cut vein."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genesis_core.errors import SettingsError
from genesis_core.inference.organ_rules import apply_organ_rules, check_organ_rules
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.resampling import reorient
from genesis_core.volumes.volume import Geometry, Volume

SPACING = (1.5, 1.5, 1.5)


def _labels(shape: tuple[int, int, int], geometry: Geometry | None = None, **masks: NDArray[Any]) -> LabelVolume:
    """Every structure in a layer of its own, numbered from 1."""
    structures = tuple(Structure(name, number + 1, None, number) for number, name in enumerate(masks))
    layers = tuple((mask * (number + 1)).astype(np.uint8) for number, mask in enumerate(masks.values()))
    return LabelVolume(layers, geometry or Geometry(shape, SPACING), structures)


def _box(shape: tuple[int, int, int], *ranges: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*each) for each in ranges)] = True
    return mask


def _after(labels: LabelVolume, name: str) -> NDArray[np.bool_]:
    done = apply_organ_rules(labels)
    return done.mask(next(structure for structure in done.structures if structure.name == name))


def test_an_organ_keeps_its_largest_piece_and_the_input_is_not_changed() -> None:
    shape = (12, 12, 12)
    large, speck = _box(shape, (1, 6), (1, 6), (1, 6)), _box(shape, (9, 11), (9, 11), (9, 11))
    labels = _labels(shape, liver=large | speck, thyroid=large | speck)
    np.testing.assert_array_equal(_after(labels, "liver"), large)
    np.testing.assert_array_equal(_after(labels, "thyroid"), large | speck)
    np.testing.assert_array_equal(labels.layers[0] > 0, large | speck)
    assert any(note.startswith("liver: 0.027 ml removed") for note in apply_organ_rules(labels).notes)


def test_lesions_keep_the_largest_pieces_up_to_their_number_and_above_their_size() -> None:
    shape = (40, 20, 20)
    colon = np.zeros(shape, bool)
    # Cubes of 5: 125 voxels of 1.5 mm are above 100; those of 4 are not; the fourth largest is one too many.
    for number, edge in enumerate((4, 5, 5, 5, 6)):
        start = number * 8
        colon |= _box(shape, (start, start + edge), (1, 1 + edge), (1, 1 + edge))
    found = _after(_labels(shape, colon_tumor=colon), "colon_tumor")
    assert [int(found[start : start + 8].sum()) for start in range(0, 40, 8)] == [0, 125, 125, 0, 216]


def test_sizes_are_those_of_the_published_voxels_on_any_grid() -> None:
    shape = (20, 20, 20)
    # 64 voxels of 3 mm are as much as 512 of 1.5 mm.
    mask = _box(shape, (4, 8), (4, 8), (4, 8))
    kept = _after(_labels(shape, Geometry(shape, (3.0, 3.0, 3.0)), pancreas_tumor=mask), "pancreas_tumor")
    assert kept.sum() == 64
    assert not _after(_labels(shape, pancreas_tumor=mask), "pancreas_tumor").any()


def test_tumours_of_liver_and_kidneys_lie_in_the_organ_grown_by_three_millimetres() -> None:
    shape = (30, 30, 30)
    liver = _box(shape, (5, 20), (5, 20), (5, 20))
    tumour = _box(shape, (12, 28), (8, 16), (8, 16))
    found = _after(_labels(shape, liver=liver, liver_tumor=tumour), "liver_tumor")
    np.testing.assert_array_equal(found, tumour & _box(shape, (3, 22), (3, 22), (3, 22)))
    coarse = Geometry(shape, (1.5, 1.5, 3.0))
    found = _after(_labels(shape, coarse, liver=liver, liver_tumor=tumour), "liver_tumor")
    np.testing.assert_array_equal(found, tumour & _box(shape, (4, 21), (3, 22), (3, 22)))
    edge = _box(shape, (0, 30), (0, 30), (0, 30))
    kidney = _labels(shape, kidney_left=edge, kidney_right=~edge, kidney_tumor=tumour)
    np.testing.assert_array_equal(_after(kidney, "kidney_tumor"), tumour)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIR"])
def test_lungs_are_told_apart_by_where_they_lie_in_the_body(codes: str) -> None:
    shape = (10, 16, 24)
    # In LPS x grows toward the patient's left.
    right, left = _box(shape, (1, 9), (2, 14), (1, 9)), _box(shape, (1, 9), (2, 14), (14, 22))
    hole, speck = _box(shape, (4, 6), (6, 8), (4, 6)), _box(shape, (0, 1), (0, 1), (11, 13))
    drawn_right = (right & ~hole) | _box(shape, (1, 9), (2, 14), (14, 17)) | speck
    drawn_left = left & ~drawn_right
    turned = [
        reorient(Volume(mask.astype(np.uint8), Geometry(shape, SPACING)), codes)
        for mask in (drawn_left, drawn_right, left, right)
    ]
    masks = [volume.array.astype(bool) for volume in turned]
    labels = _labels(turned[0].shape, turned[0].geometry, lung_left=masks[0], lung_right=masks[1])
    np.testing.assert_array_equal(_after(labels, "lung_left"), masks[2])
    np.testing.assert_array_equal(_after(labels, "lung_right"), masks[3])


def test_lungs_that_touch_keep_the_sides_they_were_drawn_with() -> None:
    shape = (10, 16, 24)
    right, left = _box(shape, (1, 9), (2, 14), (1, 12)), _box(shape, (1, 9), (2, 14), (12, 22))
    speck = _box(shape, (0, 2), (0, 1), (0, 1))
    labels = _labels(shape, lung_left=left | speck, lung_right=right)
    np.testing.assert_array_equal(_after(labels, "lung_left"), left)
    np.testing.assert_array_equal(_after(labels, "lung_right"), right)


def _two_blocks(bridge: tuple[tuple[int, int], ...]) -> tuple[NDArray[np.bool_], ...]:
    """Both lungs and what joins them, drawn as if nearly all were the left one; in LPS the left one has higher x."""
    shape = (40, 30, 60)
    right, left = _box(shape, (2, 38), (4, 26), (4, 26)), _box(shape, (2, 38), (4, 26), (34, 56))
    return right, left, _box(shape, *bridge)


@pytest.mark.parametrize("codes", ["LPS", "RAI"])
def test_slices_where_the_lungs_run_together_are_taken_out(codes: str) -> None:
    right, left, bridge = _two_blocks(((37, 38), (0, 30), (0, 60)))
    expected = [lung & ~_box(lung.shape, (37, 38), (0, 30), (0, 60)) for lung in (left, right)]
    masks = [
        reorient(Volume(mask.astype(np.uint8), Geometry(mask.shape, SPACING)), codes)
        for mask in (left | right | bridge, np.zeros_like(left), *expected)
    ]
    labels = _labels(
        masks[0].shape,
        masks[0].geometry,
        lung_left=masks[0].array.astype(bool),
        lung_right=masks[1].array.astype(bool),
    )
    np.testing.assert_array_equal(_after(labels, "lung_left"), masks[2].array.astype(bool))
    np.testing.assert_array_equal(_after(labels, "lung_right"), masks[3].array.astype(bool))


def test_a_slice_in_the_middle_is_not_taken_out_since_that_would_cut_each_lung_in_two() -> None:
    right, left, bridge = _two_blocks(((20, 21), (0, 30), (0, 60)))
    labels = _labels(left.shape, lung_left=left | right | bridge, lung_right=np.zeros_like(left))
    for name, lung in (("left", left), ("right", right)):
        found = _after(labels, f"lung_{name}")
        assert (found & lung).sum() == lung.sum()
        assert (found & ~lung & ~bridge).sum() == 0


def test_lungs_that_hang_together_are_parted_where_they_are_narrowest() -> None:
    # Through all slices, so that none stands out; four voxels wide, where the lungs are 22.
    right, left, bridge = _two_blocks(((2, 38), (12, 16), (26, 34)))
    labels = _labels(left.shape, lung_left=left | right | bridge, lung_right=np.zeros_like(left))
    found = {name: _after(labels, f"lung_{name}") for name in ("left", "right")}
    # Half of the bridge each; voxels as far from one as from the other belong to none.
    np.testing.assert_array_equal(found["left"], left | (bridge & _box(left.shape, (0, 40), (0, 30), (30, 60))))
    np.testing.assert_array_equal(found["right"], right | (bridge & _box(left.shape, (0, 40), (0, 30), (0, 30))))


@pytest.mark.parametrize(("place", "side"), [((4, 26), "right"), ((34, 56), "left")])
def test_one_lung_alone_is_the_one_of_its_side(place: tuple[int, int], side: str) -> None:
    shape = (20, 20, 60)
    lung = _box(shape, (2, 18), (2, 18), place)
    half = _box(shape, (2, 18), (2, 10), place)
    labels = _labels(shape, lung_left=lung & half, lung_right=lung & ~half)
    other = "left" if side == "right" else "right"
    np.testing.assert_array_equal(_after(labels, f"lung_{side}"), lung)
    assert not _after(labels, f"lung_{other}").any()


def test_vessels_stay_in_all_their_pieces_and_a_lesion_of_just_the_least_size_goes() -> None:
    shape = (12, 24, 24)
    two = _box(shape, (1, 6), (1, 6), (1, 6)) | _box(shape, (9, 11), (9, 11), (9, 11))
    labels = _labels(shape, hepatic_vessel=two, portal_vein_and_splenic_vein=two)
    np.testing.assert_array_equal(_after(labels, "hepatic_vessel"), two)
    np.testing.assert_array_equal(_after(labels, "portal_vein_and_splenic_vein"), two)
    hundred = _box(shape, (1, 5), (1, 6), (1, 6))
    assert hundred.sum() == 100
    assert not _after(_labels(shape, colon_tumor=hundred), "colon_tumor").any()


def test_a_tumour_of_a_kidney_may_lie_in_any_of_the_two_largest_pieces_of_both_kidneys() -> None:
    shape = (30, 12, 30)
    first, second = _box(shape, (2, 12), (2, 10), (2, 10)), _box(shape, (2, 12), (2, 10), (20, 28))
    tumour = _box(shape, (4, 10), (3, 9), (21, 27))
    # Both drawn as the left kidney, which keeps one piece.
    labels = _labels(shape, kidney_left=first | second, kidney_right=np.zeros(shape, bool), kidney_tumor=tumour)
    np.testing.assert_array_equal(_after(labels, "kidney_tumor"), tumour)


@pytest.mark.parametrize("codes", ["LPS", "LPI", "SAR"])
def test_the_portal_vein_ends_with_the_pancreas(codes: str) -> None:
    shape = (20, 10, 10)
    masks = [_box(shape, (2, 18), (4, 6), (4, 6)), _box(shape, (8, 12), (3, 8), (3, 8))]
    expected = _box(shape, (8, 18), (4, 6), (4, 6))
    vein, pancreas, wanted = (
        reorient(Volume(mask.astype(np.uint8), Geometry(shape, SPACING)), codes) for mask in (*masks, expected)
    )
    labels = _labels(
        vein.shape,
        vein.geometry,
        portal_vein_and_splenic_vein=vein.array.astype(bool),
        pancreas=pancreas.array.astype(bool),
    )
    np.testing.assert_array_equal(_after(labels, "portal_vein_and_splenic_vein"), wanted.array.astype(bool))


def test_rules_for_structures_that_are_not_there_do_nothing_and_foreign_models_are_refused() -> None:
    shape = (6, 6, 6)
    empty = np.zeros(shape, bool)
    names = ["lung_left", "lung_right", "liver", "liver_tumor", "pancreas", "portal_vein_and_splenic_vein"]
    labels = _labels(shape, **dict.fromkeys(names, empty))
    assert apply_organ_rules(labels).notes == ()
    check_organ_rules("suprem", ["liver", "thyroid"])
    check_organ_rules("none", ["thyroid"])
    with pytest.raises(SettingsError, match="segments none of them"):
        check_organ_rules("suprem", ["thyroid"])
