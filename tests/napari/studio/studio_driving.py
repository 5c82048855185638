"""Ways to drive a Studio as a user does, and to wait until it is at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.studio import Studio

PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"


def rest(qtbot: Any, studio: Studio) -> None:
    """Wait until nothing is computed and everything computed is shown."""
    for _ in range(3):
        qtbot.waitUntil(lambda: not studio.session.busy, timeout=120_000)
        QApplication.processEvents()


def voxels(viewer: Any) -> np.ndarray:
    """Return what the preview shows, in scan units."""
    return np.asarray(viewer.layers[NAME].data)


def expected(studio: Studio) -> np.ndarray:
    """What the recipe makes of the box, in HU."""
    scan, box = studio.session.scan, studio.session.box
    assert scan is not None
    assert box is not None
    original = scan.unit(box)
    return scan.map.from_unit(studio.session.draft.recipe()(original, seed=studio.session.seed))


def close(viewer: Any, studio: Studio) -> None:
    """Close the dock as its cross does, and let Qt delete what was in it."""
    viewer.window.remove_dock_widget(studio)
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def press(qtbot: Any, widget: Any, key: Qt.Key, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key in a widget that has the focus, in a window that is active also where there is no window manager."""
    QApplication.setActiveWindow(widget.window())
    widget.setFocus()
    qtbot.keyClick(widget, key, modifier)


def type_into(qtbot: Any, box: Any, text: str) -> None:
    """Type a value into a line in place of the one that is there."""
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def picture(viewer: Any, name: str) -> None:
    """Keep a screenshot of the whole window."""
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
