"""Ways to drive a Review dock as a user does, and to wait until it is at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

from napari_genesis.correct.review_dock import ReviewDock

PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"


def rest(qtbot: Any, dock: ReviewDock) -> None:
    """Wait until nothing is read, written or computed, and all of it is shown. A ranking may go on."""
    for _ in range(3):
        qtbot.waitUntil(
            lambda: not (dock.work.busy or dock.edits.busy or any(lane.busy for lane in dock.lanes)), timeout=60_000
        )
        QApplication.processEvents()


def press(qtbot: Any, button: Any) -> None:
    """Press a button that is there to be pressed."""
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def open_case(qtbot: Any, dock: ReviewDock, case: str) -> Any:
    """Open a case from the queue by its row; return its Labels layer."""
    dock.show_page("queue")
    dock.parts.queue.list.choose(case)
    press(qtbot, dock.parts.buttons.open_button)
    rest(qtbot, dock)
    assert dock.work.case is not None
    assert dock.work.case.case == case
    return dock.work.case.labels[0]


def paint(layer: Any, value: int, at: tuple[int, int, int] = (14, 20, 20), size: int = 6) -> int:
    """Paint a blob as the brush does; return how many voxels have the value then."""
    layer.brush_size = size
    with layer.block_history():
        layer.paint(at, value)
    return int(np.count_nonzero(layer.data == value))


def close(viewer: Any, dock: ReviewDock) -> None:
    """Close the dock as its cross does, and let Qt delete what was in it."""
    if hasattr(viewer, "window"):
        viewer.window.remove_dock_widget(dock)
    else:
        dock.close()
        dock.deleteLater()
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def picture(viewer: Any, name: str) -> None:
    """Keep a screenshot of the whole window."""
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
