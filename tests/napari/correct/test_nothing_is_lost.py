"""Strokes and decisions where something goes wrong, or goes too fast: a share that fails, a full disk, a key held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QMessageBox
from review_driving import open_case, paint, press, rest

from genesis_core.errors import VolumeError
from genesis_core.studies.review import Review, read_decisions, read_draft, read_states
from napari_genesis.correct.keys import DECIDING
from napari_genesis.correct.review_dock import ReviewDock

Open = Callable[..., ReviewDock]


@pytest.fixture
def review(workspace: Path) -> Review:
    return Review.open(workspace / "reviews" / "thorax")


@pytest.fixture
def dock(viewer: Any, open_dock: Open, review: Review) -> ReviewDock:
    return open_dock(viewer, review.folder)


def kept(review: Review, case: str) -> int:
    """How many voxels of the liver a draft holds."""
    draft = read_draft(review, case)
    assert draft is not None
    return int(np.count_nonzero(draft.as_map() == 2))


def full(*_: Any, **__: Any) -> None:
    raise VolumeError("drafts/new_0.seg.nrrd: cannot be written (No space left on device)")


def gone(*_: Any) -> None:
    raise OSError(5, "Input/output error", "share")


def test_a_review_that_cannot_be_read_once_costs_no_stroke_and_no_decision(
    dock: ReviewDock, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = open_case(qtbot, dock, "new_0")
    with monkeypatch.context() as failing:
        failing.setattr("napari_genesis.correct.review_choice.read_review", gone)
        dock.choice.reload()
        rest(qtbot, dock)
        assert "could not be read" in dock.parts.trouble.text()
        liver = paint(labels, 2)
        dock.work.keep()
        rest(qtbot, dock)
    assert kept(review, "new_0") == liver
    press(qtbot, dock.parts.buttons.accept_button)
    rest(qtbot, dock)
    assert read_states(review)["new_0"].state == "accepted"
    assert dock.parts.trouble.text() == ""


def test_a_review_that_could_not_be_read_is_read_again_by_itself(
    viewer: Any, open_dock: Open, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_genesis.correct.review_choice._LIST_EVERY", 1000)
    dock = open_dock(viewer, review.folder)
    with monkeypatch.context() as failing:
        failing.setattr("napari_genesis.correct.review_choice.read_review", gone)
        dock.choice.reload()
        rest(qtbot, dock)
        assert dock.parts.trouble.text()
    qtbot.waitUntil(lambda: not dock.parts.trouble.text(), timeout=10_000)
    assert len(dock.rows) == 3


def test_strokes_on_a_case_whose_review_was_just_left_are_kept(dock: ReviewDock, review: Review, qtbot: Any) -> None:
    labels = open_case(qtbot, dock, "new_0")
    paint(labels, 2)
    dock.open_review(None)
    liver = paint(labels, 2, (6, 12, 12))
    rest(qtbot, dock)
    assert dock.work.case is None
    assert kept(review, "new_0") == liver


def test_a_layer_taken_away_on_a_full_disk_is_kept_as_soon_as_there_is_room(
    viewer: Any, dock: ReviewDock, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_genesis.correct.case_work._TRY_AGAIN", 50)
    labels = open_case(qtbot, dock, "new_0")
    liver = paint(labels, 2)
    with monkeypatch.context() as failing:
        failing.setattr("genesis_core.studies.review.write_draft", full)
        viewer.layers.remove(labels)
        rest(qtbot, dock)
        assert "No space left on device" in dock.parts.trouble.text()
    qtbot.waitUntil(lambda: read_draft(review, "new_0") is not None, timeout=5000)
    rest(qtbot, dock)
    assert kept(review, "new_0") == liver
    assert next(row for row in dock.rows if row.case == "new_0").state == "draft"


def test_a_draft_that_fails_as_the_dock_closes_is_said_by_napari_and_logged(
    dock: ReviewDock, qtbot: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    monkeypatch.setattr("genesis_core.studies.review.write_draft", full)
    paint(open_case(qtbot, dock, "new_0"), 2)
    dock.work.leave()
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert "No space left on device" in said[0]
    assert said[0] in caplog.text


def test_a_key_that_decides_acts_once_however_long_it_is_held(dock: ReviewDock) -> None:
    repeats = {one.key().toString(): one.autoRepeat() for one in dock.findChildren(QShortcut)}
    assert {key: repeats[key] for key in DECIDING} == dict.fromkeys(DECIDING, False)
    # Through places and cases one may leaf.
    assert repeats["J"]


def test_a_decision_pressed_twice_is_one_decision_about_the_case_that_was_seen(
    dock: ReviewDock, review: Review, qtbot: Any
) -> None:
    open_case(qtbot, dock, dock.rows[0].case)
    for decide in (dock.cases.accept, dock.cases.reject):
        decide()
        decide()
        rest(qtbot, dock)
        assert dock.parts.trouble.text() == ""
        # The next case is there, with the brush in hand.
        assert dock.work.case.labels[0].mode == "paint"
    assert [one.kind for one in read_decisions(review)] == ["accepted", "rejected"]
    dock.cases.deciding.undo()
    dock.cases.deciding.undo()
    rest(qtbot, dock)
    assert [one.kind for one in read_decisions(review)] == ["accepted", "rejected", "undone"]


def test_a_draft_is_given_up_only_by_who_is_sure(
    dock: ReviewDock, review: Review, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = QMessageBox.StandardButton.No

    def question(parent: Any, title: str, text: str) -> Any:
        asked.append(text)
        return answer

    monkeypatch.setattr(QMessageBox, "question", question)
    labels = open_case(qtbot, dock, "new_0")
    proposed = labels.data.copy()
    liver = paint(labels, 2)
    dock.work.keep()
    rest(qtbot, dock)
    dock.parts.buttons.give_up_action.trigger()
    rest(qtbot, dock)
    assert "new_0" in asked[0]
    assert "cannot be brought back" in asked[0]
    assert kept(review, "new_0") == liver
    answer = QMessageBox.StandardButton.Yes
    dock.parts.buttons.give_up_action.trigger()
    rest(qtbot, dock)
    assert read_draft(review, "new_0") is None
    np.testing.assert_array_equal(dock.work.case.labels[0].data, proposed)
    assert next(row for row in dock.rows if row.case == "new_0").state == "open"
    assert "The draft of new_0 is given up" in dock.parts.said.shown
