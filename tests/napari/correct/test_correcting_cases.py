"""Cases are opened, painted on, kept as drafts, accepted, rejected, flagged and taken back, as a user does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from review_driving import open_case, paint, press, rest

from genesis_core.errors import VolumeError
from genesis_core.studies.review import Review, read_decisions, read_draft, read_states
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.reading import read_volume
from napari_genesis.correct.review_dock import ReviewDock

Open = Callable[..., ReviewDock]


@pytest.fixture
def review(workspace: Path) -> Review:
    return Review.open(workspace / "reviews" / "thorax")


@pytest.fixture
def dock(viewer: Any, open_dock: Open, review: Review) -> ReviewDock:
    return open_dock(viewer, review.folder)


def test_a_case_opens_as_its_scan_and_labels_to_paint_on(viewer: Any, dock: ReviewDock, qtbot: Any) -> None:
    own = viewer.add_image(np.zeros((4, 4, 4)), name="mine")
    labels = open_case(qtbot, dock, "new_1")
    assert [layer.name for layer in viewer.layers] == ["mine", "new_1", "new_1: corrections", "Genesis place"]
    assert list(labels.features["structure"]) == ["lung", "liver"]
    assert np.allclose(labels.colormap.map(2)[:3], np.array((230, 159, 0)) / 255, atol=0.01)
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"
    assert labels.scale == pytest.approx(viewer.layers["new_1"].scale)
    volumes = [dock.parts.case.structures.item(row, 1).text() for row in (0, 1)]
    assert [float(text.replace(",", "")) for text in volumes] == pytest.approx(
        list(dock.work.case.proposal.volumes_ml.values()), rel=1e-3
    )
    open_case(qtbot, dock, "new_2")
    assert [layer.name for layer in viewer.layers if layer.name != "Genesis place"] == [
        "mine",
        "new_2",
        "new_2: corrections",
    ]
    assert viewer.layers["mine"] is own


def test_corrections_are_drafts_by_themselves_and_are_there_again(
    viewer: Any, dock: ReviewDock, review: Review, qtbot: Any
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    assert read_draft(review, "new_0") is None
    liver = paint(labels, 2)
    qtbot.waitUntil(lambda: read_draft(review, "new_0") is not None, timeout=10_000)
    rest(qtbot, dock)
    drawn = read_draft(review, "new_0")
    assert drawn is not None
    assert int(np.count_nonzero(drawn.as_map() == 2)) == liver
    assert "Draft kept" in dock.parts.case.draft.shown
    labels.undo()
    qtbot.waitUntil(lambda: read_draft(review, "new_0") is None, timeout=10_000)
    paint(labels, 2)
    open_case(qtbot, dock, "new_1")
    assert read_states(review)["new_0"].state == "draft"
    again = open_case(qtbot, dock, "new_0")
    assert int(np.count_nonzero(again.data == 2)) == liver
    assert "as you left them" in dock.parts.said.shown


def test_an_accepted_case_is_a_labelled_case_and_can_be_taken_back(
    dock: ReviewDock, review: Review, qtbot: Any
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    liver = paint(labels, 2)
    dock.parts.case.note.setText("dome was missing")
    press(qtbot, dock.parts.buttons.accept_button)
    rest(qtbot, dock)
    assert dock.work.case is not None
    assert dock.work.case.case != "new_0"
    state = read_states(review)["new_0"]
    assert (state.state, state.note) == ("accepted", "dome was missing")
    written = read_labels(review.corrected / "labels" / "new_0.nii.gz")
    assert int(np.count_nonzero(written.as_map() == 2)) == liver
    assert read_volume(review.corrected / "images" / "new_0.nii.gz").array.shape == written.geometry.shape
    assert "1 accepted" in dock.parts.facts.shown
    assert "new_0 is accepted" in dock.parts.said.shown
    accepted = open_case(qtbot, dock, "new_0")
    assert not accepted.editable
    assert not dock.parts.buttons.accept_button.isEnabled()
    dock.parts.buttons.undo_action.trigger()
    rest(qtbot, dock)
    assert read_states(review)["new_0"].state == "draft"
    assert not (review.corrected / "labels" / "new_0.nii.gz").exists()
    assert dock.work.case.labels[0].editable
    assert int(np.count_nonzero(dock.work.case.labels[0].data == 2)) == liver


def test_a_case_is_rejected_and_flagged(dock: ReviewDock, review: Review, qtbot: Any) -> None:
    open_case(qtbot, dock, "new_2")
    press(qtbot, dock.parts.buttons.flag_button)
    rest(qtbot, dock)
    assert read_states(review)["new_2"].flagged
    assert dock.parts.buttons.flag_button.text() == "Unflag"
    dock.parts.case.note.setText("motion")
    press(qtbot, dock.parts.buttons.reject_button)
    rest(qtbot, dock)
    assert read_states(review)["new_2"].state == "rejected"
    assert [one.kind for one in read_decisions(review)] == ["flagged", "rejected"]


def test_a_full_disk_is_told_and_costs_no_correction(
    dock: ReviewDock, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    liver = paint(labels, 2)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "corrected")

    monkeypatch.setattr("genesis_core.studies.review.correction.write_correction", full)
    press(qtbot, dock.parts.buttons.accept_button)
    rest(qtbot, dock)
    assert "No space left on device" in dock.parts.trouble.text()
    assert dock.work.case is not None
    assert dock.work.case.case == "new_0"
    assert dock.work.case.labels[0] is labels
    assert labels.editable
    kept = read_draft(review, "new_0")
    assert kept is not None
    assert int(np.count_nonzero(kept.as_map() == 2)) == liver
    assert read_states(review)["new_0"].state == "draft"


def test_a_draft_that_cannot_be_written_keeps_its_case_open(
    viewer: Any, dock: ReviewDock, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    paint(labels, 2)

    def full(*_: Any, **__: Any) -> None:
        raise VolumeError("drafts/new_0.seg.nrrd: cannot be written (No space left on device)")

    monkeypatch.setattr("genesis_core.studies.review.write_draft", full)
    dock.show_page("queue")
    dock.cases.open("new_1")
    rest(qtbot, dock)
    assert "No space left on device" in dock.parts.trouble.text()
    assert labels in viewer.layers
    assert dock.work.case is not None
    assert dock.work.case.case == "new_0"


def test_a_layer_the_user_deletes_is_kept_as_a_draft(viewer: Any, dock: ReviewDock, review: Review, qtbot: Any) -> None:
    labels = open_case(qtbot, dock, "new_0")
    paint(labels, 2)
    viewer.layers.remove(labels)
    rest(qtbot, dock)
    assert dock.work.case is None
    assert read_draft(review, "new_0") is not None
    assert len(viewer.layers) == 0


def test_what_is_painted_while_the_next_case_is_read_is_kept_too(dock: ReviewDock, review: Review, qtbot: Any) -> None:
    labels = open_case(qtbot, dock, "new_0")
    dock.cases.open("new_1")
    assert dock.work.pending == "new_1"
    liver = paint(labels, 2)
    rest(qtbot, dock)
    assert dock.cases.name == "new_1"
    kept = read_draft(review, "new_0")
    assert kept is not None
    assert int(np.count_nonzero(kept.as_map() == 2)) == liver


def test_the_next_case_takes_the_layers_over_and_no_undo_reaches_back(
    viewer: Any, dock: ReviewDock, review: Review, qtbot: Any
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    paint(labels, 2)
    again = open_case(qtbot, dock, "new_1")
    assert again is labels
    proposed = read_labels(dock.work.case.proposal.label)
    before = again.data.copy()
    assert np.count_nonzero(before == 2) == np.count_nonzero(proposed.as_map() == 2)
    again.undo()
    assert np.array_equal(again.data, before)
    assert again.editable
    assert again.mode == "paint"
