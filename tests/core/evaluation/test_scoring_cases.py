"""Scores of one case: which structures are compared, and what counts when one side is empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from boxes_as_labels import labels
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import VolumeError
from genesis_core.metrics.overlap import overlap
from genesis_core.metrics.surface import surface_scores
from genesis_core.studies.evaluation.scoring import score_case
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry


def test_structures_with_names_are_matched_by_name_whatever_their_numbers() -> None:
    prediction = labels({1: (2, 2, 2), 2: (6, 10, 10)}, {1: "Spleen", 2: "left_kidney"})
    reference = labels({7: (6, 10, 10), 3: (2, 2, 4)}, {7: "Left Kidney", 3: "spleen"})
    score = score_case(prediction, reference)
    assert score.matched_by == "name"
    assert [one.structure for one in score.structures] == ["Left Kidney", "spleen"]
    assert score.structures[0].dice == 1
    assert score.structures[1].dice == pytest.approx(4 / 6)


def test_without_names_on_one_side_the_numbers_count_and_the_names_are_kept() -> None:
    score = score_case(labels({1: (2, 2, 2), 2: (6, 10, 10)}), labels({1: (2, 2, 2)}, {1: "liver"}))
    assert score.matched_by == "number"
    assert [(one.structure, one.presence) for one in score.structures] == [
        ("liver", "both"),
        ("label 2", "only predicted"),
    ]


def test_what_only_one_side_draws_has_dice_zero_and_no_distance_and_what_nobody_draws_has_nothing() -> None:
    names = {1: "liver", 2: "tumour", 3: "cyst"}
    prediction = labels({1: (2, 2, 2), 3: (6, 10, 10)}, names)
    reference = labels({1: (2, 2, 2), 2: (6, 10, 4)}, names)
    scores = {one.structure: one for one in score_case(prediction, reference).structures}
    for name, presence in (("tumour", "missed"), ("cyst", "only predicted")):
        assert scores[name].presence == presence
        assert (scores[name].dice, scores[name].iou, scores[name].nsd, scores[name].hd95_mm) == (0, 0, 0, None)
    assert scores["tumour"].relative_volume_error == -1
    assert scores["cyst"].relative_volume_error is None
    empty = {one.structure: one for one in score_case(labels({}, names), labels({}, names)).structures}
    assert {one.presence for one in empty.values()} == {"absent in both"}
    assert all(one.value(metric) is None for one in empty.values() for metric in ("dice", "nsd", "volume_error_ml"))


def test_overlapping_structures_in_layers_are_scored_as_their_masks_are() -> None:
    rng = np.random.default_rng(5)
    volumes = []
    for _ in range(2):
        layers = tuple((rng.random((6, 8, 9)) < 0.4).astype(np.uint8) * number for number in (1, 2))
        structures = (Structure("whole", 1, None, 0), Structure("core", 2, None, 1))
        volumes.append(LabelVolume(layers, Geometry((6, 8, 9), (0.7, 1.1, 2.0)), structures))
    # The reference has them in the other order.
    turned = LabelVolume(
        volumes[1].layers[::-1], volumes[1].geometry, (Structure("whole", 1, None, 1), Structure("core", 2, None, 0))
    )
    for score in score_case(volumes[0], turned, 1.5).structures:
        masks = [
            volume.mask(next(s for s in volume.structures if s.name == score.structure))
            for volume in (volumes[0], turned)
        ]
        assert score.dice == overlap(*masks).dice
        surfaces = surface_scores(*masks, (0.7, 1.1, 2.0), 1.5)
        assert (score.hd95_mm, score.nsd) == (surfaces.hd95, surfaces.nsd)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Geometry((12, 20, 23), (1.0, 1.5, 3.0)), "12 x 20 x 24"),
        (Geometry((12, 20, 24), (1.0, 1.5, 2.0)), "spacing"),
        (Geometry((12, 20, 24), (1.0, 1.5, 3.0), (0.0, 0.0, 4.0)), "4.0 mm apart"),
        (Geometry((12, 20, 24), (1.0, 1.5, 3.0), direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)), "RAS"),
    ],
)
def test_another_grid_is_refused_in_words(other: Geometry, words: str) -> None:
    prediction = labels({1: (2, 2, 2)})
    reference = LabelVolume((np.zeros(other.shape, np.uint8),), other, ())
    with pytest.raises(VolumeError, match=words):
        score_case(prediction, reference)


def test_rounding_in_a_header_is_no_other_grid() -> None:
    prediction = labels({1: (2, 2, 2)})
    moved = replace(prediction, geometry=replace(prediction.geometry, origin=(0.001, -0.002, 0.01)))
    assert score_case(prediction, moved).structures[0].dice == 1


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    prediction = labels({1: (2, 2, 2), 2: (6, 10, 10)}, {1: "lung-left", 2: "Lung left"})
    with pytest.raises(VolumeError, match="cannot be told apart"):
        score_case(prediction, labels({1: (2, 2, 2)}, {1: "lung left"}))


@given(shift=st.tuples(*[st.integers(-2, 2)] * 3), order=st.permutations(range(3)))
@settings(deadline=None, max_examples=25)
def test_scores_do_not_depend_on_the_order_of_the_axes(shift: tuple[int, int, int], order: list[int]) -> None:
    corner = tuple(4 + step for step in shift)
    one, two = labels({1: (4, 4, 4)}), labels({1: (corner[0], corner[1], corner[2])})
    straight = score_case(one, two).structures[0]
    turned = []
    for volume in (one, two):
        array = volume.layers[0].transpose(order)
        spacing = tuple(volume.geometry.spacing[::-1][axis] for axis in order)[::-1]
        turned.append(LabelVolume((array,), Geometry(array.shape, spacing), volume.structures))
    other = score_case(*turned).structures[0]
    assert other.dice == straight.dice
    assert other.volume_error_ml == pytest.approx(straight.volume_error_ml)
    assert other.hd95_mm == pytest.approx(straight.hd95_mm)
    assert other.nsd == pytest.approx(straight.nsd)
