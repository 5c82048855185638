"""Dice, IoU and volume errors: exact counts, exact words for what is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.errors import VolumeError
from genesis_core.metrics.overlap import Overlap, label_codes, overlap, overlaps

MASKS = arrays(np.bool_, (3, 4, 5))
MAPS = arrays(np.int16, (3, 4, 5), elements=st.integers(-1, 5))


def box(shape: tuple[int, int, int], *ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def test_two_shifted_boxes_have_the_overlap_one_can_work_out_by_hand() -> None:
    one = box((10, 10, 10), (2, 6), (2, 6), (2, 6))
    two = box((10, 10, 10), (2, 6), (2, 6), (4, 8))
    counts = overlap(one, two)
    assert counts == Overlap(both=32, prediction=64, reference=64)
    assert counts.dice == 0.5
    assert counts.iou == pytest.approx(1 / 3)
    assert counts.relative_volume_error == 0


def test_a_volume_error_is_signed_and_in_millilitres() -> None:
    counts = overlap(box((4, 20, 20), (0, 4), (0, 10), (0, 20)), box((4, 20, 20), (0, 4), (0, 5), (0, 20)))
    assert counts.volume_error_ml((0.5, 2.0, 5.0)) == pytest.approx(400 * 5 / 1000)
    assert counts.relative_volume_error == 1.0


def test_two_empty_masks_have_no_dice_and_no_iou_rather_than_one() -> None:
    counts = overlap(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool))
    assert (counts.dice, counts.iou, counts.relative_volume_error) == (None, None, None)
    assert counts.volume_error_ml((1, 1, 1)) == 0


@pytest.mark.parametrize("missed", [True, False])
def test_a_structure_on_one_side_only_has_dice_zero(missed: bool) -> None:
    full, empty = np.ones((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    counts = overlap(empty, full) if missed else overlap(full, empty)
    assert (counts.dice, counts.iou) == (0, 0)
    assert counts.relative_volume_error == (-1 if missed else None)


@given(one=MASKS, two=MASKS)
@settings(deadline=None)
def test_dice_is_symmetric_bounded_and_follows_from_iou(one: np.ndarray, two: np.ndarray) -> None:
    counts, swapped = overlap(one, two), overlap(two, one)
    assert counts.dice == swapped.dice
    if counts.dice is not None and counts.iou is not None:
        assert 0 <= counts.iou <= counts.dice <= 1
        assert counts.dice == pytest.approx(2 * counts.iou / (1 + counts.iou))
        assert (counts.dice == 1) == bool((one == two).all())


@given(one=MAPS, two=MAPS, order=st.permutations(range(3)))
@settings(deadline=None)
def test_one_pass_over_label_maps_counts_what_mask_by_mask_counting_does(
    one: np.ndarray, two: np.ndarray, order: list[int]
) -> None:
    pairs = [(1, 1), (3, 2), (5, 5), (2, 4)]
    expected = [overlap(one == first, two == second) for first, second in pairs]
    assert list(overlaps(one, two, pairs)) == expected
    assert list(overlaps(one.transpose(order), two.transpose(order), pairs)) == expected


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_every_whole_number_type_is_counted(dtype: type[np.generic]) -> None:
    labels = np.array([[[0, 1, 1]]]).astype(dtype)
    assert overlaps(labels, labels, [(1, 1)])[0] == Overlap(2, 2, 2)


def test_numbers_larger_than_any_label_and_below_zero_belong_to_no_structure() -> None:
    huge = np.array([[[1, 70_000, 2**63]]], np.uint64)
    assert label_codes(huge, [1, 70_000]).tolist() == [[[1, 2, 0]]]
    assert label_codes(np.array([[[-1, 0, 3]]], np.int8), [3]).tolist() == [[[0, 0, 1]]]


def test_maps_of_different_shapes_or_of_fractions_are_refused() -> None:
    with pytest.raises(VolumeError, match="cannot be compared"):
        overlap(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool))
    with pytest.raises(VolumeError, match="whole numbers"):
        overlaps(np.ones((1, 1, 1)), np.ones((1, 1, 1), int), [(1, 1)])
