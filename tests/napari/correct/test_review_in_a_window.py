"""The dock in real viewers: keys, two windows, closing in the middle, a crash, and what the window's thread spends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from review_driving import close, open_case, paint, rest

import genesis_core as gc
from genesis_core.studies.review import Review, read_draft, read_states
from napari_genesis.correct.review_dock import ReviewDock

pytestmark = pytest.mark.gui
Open = Callable[..., ReviewDock]


@pytest.fixture
def review(workspace: Path) -> Review:
    return Review.open(workspace / "reviews" / "thorax")


def test_the_keys_work_in_the_whole_window_and_napari_keeps_its_own(
    viewer_in_a_window: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    viewer = viewer_in_a_window
    dock = open_dock(viewer, review.folder)
    window = viewer.window._qt_window
    window.activateWindow()
    canvas = window._qt_viewer.canvas.native
    canvas.setFocus()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    order = [row.case for row in dock.rows]

    def press(key: Any, *modifiers: Any) -> None:
        held = Qt.KeyboardModifier.NoModifier
        for one in modifiers:
            held |= one
        qtbot.keyClick(canvas, key, held)
        rest(qtbot, dock)

    control, shift, alt = (
        Qt.KeyboardModifier.ControlModifier,
        Qt.KeyboardModifier.ShiftModifier,
        Qt.KeyboardModifier.AltModifier,
    )
    press(Qt.Key.Key_N)
    assert dock.cases.name == order[0]
    press(Qt.Key.Key_N)
    assert dock.cases.name == order[1]
    press(Qt.Key.Key_N, shift)
    assert dock.cases.name == order[0]
    labels = dock.work.case.labels[0]
    press(Qt.Key.Key_2, alt)
    assert labels.selected_label == 2
    before = dock.parts.case.places.count.text()
    press(Qt.Key.Key_J)
    assert dock.parts.case.places.count.text() != before
    # napari's own: F fills, P paints, Ctrl+Z and Ctrl+Shift+Z go back and forth.
    press(Qt.Key.Key_F)
    assert labels.mode == "fill"
    press(Qt.Key.Key_P)
    assert labels.mode == "paint"
    count = int(np.count_nonzero(labels.data == 2))
    painted = paint(labels, 2)
    press(Qt.Key.Key_Z, control)
    assert int(np.count_nonzero(labels.data == 2)) == count
    press(Qt.Key.Key_Z, control, shift)
    assert int(np.count_nonzero(labels.data == 2)) == painted
    press(Qt.Key.Key_F, control, shift)
    assert read_states(review)[order[0]].flagged
    press(Qt.Key.Key_Return, control)
    assert read_states(review)[order[0]].state == "accepted"
    press(Qt.Key.Key_R, control, shift)
    assert read_states(review)[order[1]].state == "rejected"
    press(Qt.Key.Key_Z, control, alt)
    assert order[1] not in read_states(review)
    # Behind another tab the dock's keys do nothing.
    name = dock.cases.name
    dock.hide()
    press(Qt.Key.Key_N)
    press(Qt.Key.Key_Return, control)
    assert dock.cases.name == name
    assert [state.state for state in read_states(review).values()].count("accepted") == 1


def test_two_windows_review_side_by_side(
    viewer_in_a_window: Any, preferences: Any, make_napari_viewer: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    other_viewer = make_napari_viewer(show=True)
    first, second = open_dock(viewer_in_a_window, review.folder), open_dock(other_viewer, review.folder)
    paint(open_case(qtbot, first, "new_0"), 2)
    open_case(qtbot, second, "new_1")
    assert [layer.name for layer in other_viewer.layers][:2] == ["new_1", "new_1: corrections"]
    first.cases.accept()
    rest(qtbot, first)
    open_case(qtbot, second, "new_0")
    # What the one has accepted, the other shows as such.
    assert not second.work.case.labels[0].editable
    assert not second.parts.buttons.accept_button.isEnabled()
    close(viewer_in_a_window, first)
    assert second.work.case.labels[0] in other_viewer.layers


def test_closing_the_dock_right_after_a_stroke_loses_nothing(
    viewer_in_a_window: Any, open_dock: Open, review: Review, qtbot: Any
) -> None:
    viewer = viewer_in_a_window
    dock = open_dock(viewer, review.folder)
    liver = paint(open_case(qtbot, dock, "new_0"), 2)
    close(viewer, dock)
    qtbot.waitUntil(lambda: read_draft(review, "new_0") is not None, timeout=10_000)
    kept = read_draft(review, "new_0")
    assert kept is not None
    assert int(np.count_nonzero(kept.as_map() == 2)) == liver
    # The layers are the user's now; the dock left nothing else behind.
    assert [layer.name for layer in viewer.layers] == ["new_0", "new_0: corrections"]
    again = open_dock(viewer, review.folder)
    assert int(np.count_nonzero(open_case(qtbot, again, "new_0").data == 2)) == liver


def test_closing_the_viewer_while_it_ranks_and_paints_stops_the_one_and_keeps_the_other(
    viewer_in_a_window: Any, open_dock: Open, review: Review, workspace: Path, qtbot: Any
) -> None:
    viewer = viewer_in_a_window
    dock = open_dock(viewer, review.folder)
    paint(open_case(qtbot, dock, "new_0"), 2)
    dock.ranking.start(
        ["rank", str(workspace / "scans"), "--model", str(workspace / "runs" / "first"), "--out", str(workspace / "r")],
        "r",
    )
    process = dock.ranking._process
    assert process is not None
    viewer.close()
    qtbot.waitUntil(lambda: process.poll() is not None, timeout=60_000)
    qtbot.waitUntil(lambda: read_draft(review, "new_0") is not None, timeout=10_000)


_PAINTER = """
    import sys, time
    from pathlib import Path
    from qtpy.QtWidgets import QApplication
    from napari.components import ViewerModel
    from napari_genesis.correct.review_dock import ReviewDock

    application = QApplication([])
    dock = ReviewDock(ViewerModel(), Path(sys.argv[2]))
    dock.show()
    dock.open_review(Path(sys.argv[1]))
    while dock.work.case is None:
        application.processEvents()
        if dock.rows:
            dock.cases.open("new_0")
        time.sleep(0.01)
    layer = dock.work.case.labels[0]
    layer.brush_size = 6
    layer.paint((14, 20, 20), 2)
    print("painted", int((layer.data == 2).sum()), flush=True)
    while True:
        application.processEvents()
        time.sleep(0.01)
"""


def test_corrections_survive_the_sudden_death_of_napari(
    viewer: Any, open_dock: Open, review: Review, tmp_path: Path, qtbot: Any
) -> None:
    words = [sys.executable, "-c", textwrap.dedent(_PAINTER), str(review.folder), str(tmp_path / "other.yaml")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline().split()
        began = time.monotonic()
        qtbot.waitUntil(lambda: (review.folder / "drafts" / "new_0.seg.nrrd").is_file(), timeout=10_000)
        assert time.monotonic() - began < 5
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    dock = open_dock(viewer, review.folder)
    assert next(row for row in dock.rows if row.case == "new_0").state == "draft"
    labels = open_case(qtbot, dock, "new_0")
    assert int(np.count_nonzero(labels.data == 2)) == int(said[1])
    assert "as you left them" in dock.parts.said.shown


_ACCEPTER = """
    import os, sys, time
    from pathlib import Path
    import napari
    from qtpy.QtWidgets import QApplication
    from napari_genesis.correct.review_dock import ReviewDock

    def rest(seconds=0.5):
        end = time.monotonic() + seconds
        while time.monotonic() < end or dock.work.busy or dock.edits.busy or any(lane.busy for lane in dock.lanes):
            QApplication.processEvents()
            time.sleep(0.01)

    viewer = napari.Viewer(show=True)
    dock = ReviewDock(viewer, Path(sys.argv[2]))
    viewer.window.add_dock_widget(dock, name="Review", area="right")
    rest()
    dock.open_review(Path(sys.argv[1]))
    rest()
    for case in ("new_0", "new_1", "new_0", "new_1"):
        dock.cases.open(case)
        rest()
        print(dock.cases.name, *(layer.name for layer in viewer.layers), sep="|", flush=True)
    dock.cases.accept()
    rest()
    print(dock.cases.name, dock.parts.trouble.text(), flush=True)
    os._exit(0)
"""


def test_the_next_case_may_be_of_another_kind_of_voxels(review: Review, workspace: Path, tmp_path: Path) -> None:
    scan = workspace / "scans" / "new_1.nii.gz"
    volume = gc.read_volume(scan)
    gc.write_volume(replace(volume, array=volume.array.astype(np.float32)), scan, overwrite=True)
    words = [sys.executable, "-c", textwrap.dedent(_ACCEPTER), str(review.folder), str(tmp_path / "other.yaml")]
    # In a process of its own, since napari died of it.
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, other = (f"{case}|{case}|{case}: corrections|Genesis place" for case in ("new_0", "new_1"))
    lines = [line for line in ended.stdout.splitlines() if line.startswith("new_")]
    assert lines[:4] == [one, other, one, other]
    assert lines[4].strip() in ("new_0", "new_2")
    assert read_states(review)["new_1"].state == "accepted"
