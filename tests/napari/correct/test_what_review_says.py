"""What stands where the user looks: cases that are open already, reasons beside buttons, the right name in the bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from review_driving import open_case, paint, rest

from genesis_core.studies.review import Review, read_draft
from napari_genesis.correct.place_box import NAME as BOX
from napari_genesis.correct.review_dock import ReviewDock

pytestmark = pytest.mark.gui
Open = Callable[..., ReviewDock]


@pytest.fixture
def review(workspace: Path) -> Review:
    return Review.open(workspace / "reviews" / "thorax")


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.name != BOX]


def leave(dock: ReviewDock) -> None:
    """What closing a dock does to a viewer; the widget itself is left to the end of the test."""
    dock.cases.box.remove()
    dock.work.leave()
    dock.hide()


def test_a_case_that_is_open_already_is_gone_on_with(viewer: Any, open_dock: Open, review: Review, qtbot: Any) -> None:
    dock = open_dock(viewer, review.folder)
    labels = open_case(qtbot, dock, "new_0")
    paint(labels, 2)
    dock.work.keep()
    rest(qtbot, dock)
    leave(dock)
    assert names(viewer) == ["new_0", "new_0: corrections"]
    again = open_dock(viewer, review.folder)
    labels.visible = False
    # By way of another case, whose layers go.
    open_case(qtbot, again, "new_1")
    assert open_case(qtbot, again, "new_0") is labels
    assert names(viewer) == ["new_0", "new_0: corrections"]
    assert labels.visible
    assert labels.editable
    liver = paint(labels, 2, (6, 12, 12))
    again.work.keep()
    rest(qtbot, again)
    kept = read_draft(review, "new_0")
    assert kept is not None
    assert int(np.count_nonzero(kept.as_map() == 2)) == liver


def test_what_was_painted_after_the_dock_was_closed_is_left_alone(
    viewer: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    dock = open_dock(viewer, review.folder)
    labels = open_case(qtbot, dock, "new_0")
    leave(dock)
    # What the dock kept of it last is not to hold what is painted now.
    qtbot.waitUntil(lambda: not dock.work.lane.busy)
    paint(labels, 2)
    painted = labels.data.copy()
    again = open_dock(viewer, review.folder)
    assert open_case(qtbot, again, "new_0") is not labels
    np.testing.assert_array_equal(labels.data, painted)
    assert names(viewer) == ["new_0", "new_0: corrections", "new_0 [1]", "new_0: corrections [1]"]


def test_the_reason_stands_beside_a_button_that_cannot_be_pressed(
    viewer: Any, open_dock: Open, review: Review, workspace: Path, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_dock(viewer)
    why, setup = dock.parts.buttons.why_not, dock.parts.setup
    assert why.isVisible()
    assert why.shown == "Choose a folder of scans."
    setup.scans.setText(str(tmp_path / "nowhere"))
    assert why.shown == "There is no such folder of scans."
    (tmp_path / "empty").mkdir()
    setup.scans.setText(str(tmp_path / "empty"))
    assert why.shown == "This folder of scans is empty."
    setup.scans.setText(str(workspace / "scans"))
    setup.name.setText("a/b")
    assert why.shown.startswith("'a/b' is no name of a folder")
    assert not dock.parts.buttons.begin_button.isEnabled()
    setup.name.setText("a b")
    assert not why.isVisible()
    assert dock.parts.buttons.begin_button.isEnabled()
    dock.open_review(review.folder)
    rest(qtbot, dock)
    dock.show_page("continue")
    assert not dock.parts.buttons.jobs.start_button.isEnabled()
    assert dock.parts.buttons.jobs.why_not.isVisible()
    assert "Accept a case first" in dock.parts.buttons.jobs.why_not.shown
    open_case(qtbot, dock, "new_0")
    assert not why.isVisible()
    dock.cases.accept()
    rest(qtbot, dock)
    open_case(qtbot, dock, "new_0")
    assert not dock.parts.buttons.accept_button.isEnabled()
    assert "undo that first" in why.shown


def test_the_status_bar_names_the_case_that_is_open(viewer: Any, open_dock: Open, review: Review, qtbot: Any) -> None:
    dock = open_dock(viewer, review.folder)
    open_case(qtbot, dock, "new_0")
    viewer.mouse_over_canvas = True
    viewer.cursor.position = tuple(viewer.dims.point)
    assert "new_0" in str(viewer.status)
    open_case(qtbot, dock, "new_1")
    assert "new_1" in str(viewer.status)
    assert "new_0" not in str(viewer.status)
    # By its key, the mouse is elsewhere.
    viewer.mouse_over_canvas = False
    open_case(qtbot, dock, "new_2")
    assert viewer.status == "Ready"


def test_the_keyboard_goes_from_the_queue_to_the_case_and_on(
    viewer: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    dock = open_dock(viewer, review.folder)
    parts = dock.parts
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow, timeout=5000)
    parts.queue.list.setFocus()
    first = dock.rows[0].case
    parts.queue.list.choose(first)
    qtbot.keyClick(parts.queue.list, Qt.Key.Key_Return)
    rest(qtbot, dock)
    assert dock.cases.name == first
    assert QApplication.focusWidget() is parts.case.structures
    # Down and Return: the second structure is painted with.
    qtbot.keyClick(parts.case.structures, Qt.Key.Key_Down)
    qtbot.keyClick(parts.case.structures, Qt.Key.Key_Return)
    assert dock.work.case.labels[0].selected_label == 2
    seen = []
    for _ in range(30):
        seen.append(QApplication.focusWidget())
        qtbot.keyClick(seen[-1], Qt.Key.Key_Tab)
    order = [parts.case.structures, parts.case.tools.largest, parts.case.note, parts.buttons.accept_button]
    places = [seen.index(widget) for widget in order]
    assert places == sorted(places)
    for button, key in (
        (parts.buttons.accept_button, "Ctrl+Return"),
        (parts.case.next, "N"),
        (parts.case.places.next, "J"),
    ):
        assert key in button.toolTip()
