"""The Apply dock in a real viewer: what needs a window, its canvas, its task list and its end."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from apply_driving import close, run
from napari.layers import Layer
from qtpy.QtCore import Qt, QThreadPool
from qtpy.QtWidgets import QApplication

from napari_genesis.apply.apply_dock import ApplyDock

pytestmark = pytest.mark.gui
Open = Callable[..., ApplyDock]


@pytest.fixture
def viewer(viewer_in_a_window: Any) -> Any:
    return viewer_in_a_window


def test_the_dock_is_closed_while_it_works(many_windows: Callable[..., ApplyDock], viewer: Any, qtbot: Any) -> None:
    dock = many_windows()
    gone = weakref.ref(dock)
    close(viewer, dock)
    del dock
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=60_000)
    QApplication.processEvents()
    assert len(viewer.layers) == 1
    assert not [one.name for one in threading.enumerate() if one.name.startswith("genesis-apply")]
    gc.collect()
    assert gone() is None


def test_the_viewer_is_closed_while_it_works(many_windows: Callable[..., ApplyDock], viewer: Any, qtbot: Any) -> None:
    many_windows()
    status = viewer.window._task_status_manager.get_status()
    assert any("segmenting thorax" in one for one in status)
    viewer.close()
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=60_000)


def test_the_camera_the_slice_and_other_layers_stay(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    other = viewer.add_image(np.arange(24.0).reshape(2, 3, 4), name="other", units=("mm",) * 3)
    viewer.layers.selection.active = scan
    viewer.dims.set_current_step(0, 7)
    dock = open_dock("restorer")
    before = (viewer.scene.camera.zoom, viewer.dims.current_step, other.data.copy(), np.asarray(scan.data).copy())
    run(qtbot, dock)
    assert viewer.scene.camera.zoom == before[0]
    assert viewer.dims.current_step == before[1]
    assert np.array_equal(other.data, before[2])
    assert np.array_equal(scan.data, before[3])


def test_it_fits_a_small_window_and_one_part_scrolls(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("segmenter")
    dock.parts.options_section.unfold(True)
    run(qtbot, dock)
    assert dock.parts.width() <= 362
    window = viewer.window._qt_window
    for button in (dock.parts.start, dock.parts.cancel, dock.parts.more):
        corner = button.mapTo(window, button.rect().bottomRight())
        assert window.rect().contains(corner)
    assert dock.parts.area.horizontalScrollBar().maximum() == 0
    assert dock.parts.area.verticalScrollBar().maximum() > 0


def test_every_control_is_reached_by_the_keyboard(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("restorer")
    dock.parts.options_section.unfold(True)
    run(qtbot, dock)
    parts = dock.parts
    assert parts.residual.editor is not None
    wanted = {
        parts.models.models: "model",
        parts.target.use_layer: "open layer",
        parts.target.combos[0]: "scan",
        parts.results_section.fold: "Result: show or hide",
        parts.residual.editor.slider: "threshold",
        parts.residual.make: "Make Labels",
        parts.start: "Restore",
        parts.more: "more",
    }
    QApplication.setActiveWindow(dock.window())
    parts.models.models.setFocus()
    reached = set()
    for _ in range(60):
        widget = QApplication.focusWidget()
        if widget is None or widget in reached:
            break
        reached.add(widget)
        qtbot.keyClick(widget, Qt.Key.Key_Tab)
    for widget, name in wanted.items():
        assert widget in reached, name
        assert name in (widget.accessibleName() or widget.text())


def test_a_click_on_a_structure_goes_to_its_middle(open_dock: Open, viewer: Any, scan: Layer, qtbot: Any) -> None:
    dock = open_dock("segmenter")
    run(qtbot, dock)
    layer = viewer.layers["segmentation of thorax (segmenter)"]
    name, value = next((n, v) for n, v in (("lung", 2), ("heart", 5)) if (layer.data == v).any())
    viewer.dims.set_current_step(0, 0)
    zoom, centre = viewer.scene.camera.zoom, viewer.scene.camera.center
    table = dock.parts.table
    row = next(row for row in range(table.rowCount()) if table.item(row, 0).text() == name)
    place = table.visualItemRect(table.item(row, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    z, y, x = viewer.dims.current_step
    counts = (layer.data == value).sum(axis=(1, 2)).cumsum()
    assert z == int(np.argmax(2 * counts >= counts[-1]))
    for axis, index in enumerate((z, y, x)):
        assert (np.take(layer.data, index, axis=axis) == value).any()
    assert (viewer.scene.camera.zoom, viewer.scene.camera.center) == (zoom, centre)
