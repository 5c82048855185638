"""Edits of a structure as voxels that change, and the brush that is bound to values of the scan."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from genesis_core.volumes.label_volume import Structure
from napari_genesis.correct.label_edits import (
    box_around,
    drop_smaller,
    edit,
    keep_largest,
    smooth,
    usual_range,
    volumes_ml,
)
from napari_genesis.correct.threshold_brush import ThresholdBrush

LIVER = Structure("liver", 2)
SPACING = (2.0, 1.0, 1.0)


def drawn() -> np.ndarray:
    """A liver of 4 x 10 x 10 voxels, a crumb of one voxel, another structure beside it."""
    labels = np.zeros((12, 30, 30), np.uint8)
    labels[4:8, 10:20, 10:20] = 2
    labels[1, 2, 3] = 2
    labels[4:8, 20:25, 10:20] = 1
    return labels


def test_small_pieces_go_and_nothing_else_changes() -> None:
    labels = drawn()
    before = labels.copy()
    for change in (keep_largest, drop_smaller(0.1)):
        found = edit(labels, LIVER, SPACING, change)
        assert np.array_equal(labels, before)
        assert [axis.tolist() for axis in found.indices] == [[1], [2], [3]]
        assert found.values.tolist() == [0]
        assert "1 piece of 0.002 ml" in found.said


def test_smoothing_removes_a_spike_and_leaves_other_structures_alone() -> None:
    labels = drawn()
    labels[5, 15, 20:26] = 2
    found = edit(labels, LIVER, SPACING, smooth(2.0), margin=4.0)
    after = labels.copy()
    after[found.indices] = found.values
    assert not (after[5, 15, 22:26] == 2).any()
    assert np.array_equal(after == 1, labels == 1)
    whole = np.count_nonzero(drawn() == 2)
    assert np.count_nonzero(after == 2) == pytest.approx(whole, rel=0.15)


def test_a_structure_at_the_border_is_not_eaten_there() -> None:
    labels = np.full((6, 6, 6), 2, np.uint8)
    assert edit(labels, LIVER, SPACING, smooth(3.0), margin=6.0).count == 0


def test_nothing_drawn_is_nothing_to_change() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    found = edit(labels, LIVER, SPACING, keep_largest)
    assert found.count == 0
    assert found.said == "liver: nothing is drawn."
    assert box_around(labels, 2) is None
    assert usual_range(labels, labels, 2) is None


def test_volumes_are_counted_in_millilitres() -> None:
    assert volumes_ml(drawn(), SPACING) == pytest.approx({1: 0.4, 2: 0.802})


def test_the_usual_range_leaves_out_a_tenth() -> None:
    labels = drawn()
    scan = np.zeros(labels.shape, np.int16)
    scan[labels == 2] = np.arange(np.count_nonzero(labels == 2)) % 101
    low, high = usual_range(scan, labels, 2) or (0, 0)
    assert low == pytest.approx(5, abs=1)
    assert high == pytest.approx(95, abs=1)


@pytest.fixture
def layer() -> Labels:
    made = Labels(drawn())
    made.brush_size = 6
    made.n_edit_dimensions = 3
    return made


def stroke(layer: Labels, value: int) -> None:
    with layer.block_history():
        for column in (3, 5, 7):
            layer.paint((3, 5, column), value)


def test_a_bound_brush_paints_only_between_the_values_and_undoes_in_one_step(layer: Labels) -> None:
    scan = np.indices(layer.data.shape)[2].astype(np.int16)
    brush = ThresholdBrush(layer, scan)
    before = layer.data.copy()
    stroke(layer, 2)
    free = layer.data.copy()
    layer.undo()
    brush.limits = (4, 6)
    stroke(layer, 2)
    bound = layer.data.copy()
    allowed = (scan >= 4) & (scan <= 6)
    assert np.array_equal(bound, np.where(allowed, free, before))
    assert (bound != before).any()
    layer.undo()
    assert np.array_equal(layer.data, before)
    layer.redo()
    assert np.array_equal(layer.data, bound)


def test_a_bound_brush_erases_freely_and_can_be_let_go(layer: Labels) -> None:
    scan = np.zeros(layer.data.shape, np.int16)
    brush = ThresholdBrush(layer, scan)
    brush.limits = (10, 20)
    with layer.block_history():
        layer.paint((5, 15, 15), 0)
    assert layer.data[5, 15, 15] == 0
    before = layer.data.copy()
    stroke(layer, 2)
    assert np.array_equal(layer.data, before)
    brush.close()
    stroke(layer, 2)
    assert not np.array_equal(layer.data, before)


def test_a_bound_brush_also_binds_fill_and_polygon(layer: Labels) -> None:
    scan = np.indices(layer.data.shape)[1].astype(np.int16)
    brush = ThresholdBrush(layer, scan)
    brush.limits = (0, 12)
    layer.n_edit_dimensions = 2
    layer.fill((5, 15, 15), 1)
    assert (layer.data[5, 10:13, 10:20] == 1).all()
    assert (layer.data[5, 13:20, 10:20] == 2).all()
    layer.undo()
    assert np.array_equal(layer.data, drawn())
