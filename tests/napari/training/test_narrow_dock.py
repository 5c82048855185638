"""Tabs of several docks at the side of a window: their names can be read."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabBar, QWidget

from napari_genesis.training.narrow_dock import WIDTH, NarrowDock


def test_tabs_have_the_names_of_our_docks_alone_and_whole(qtbot: Any) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QWidget())
    docks = []
    for name in ("Runs (napari-genesis)", "Apply (napari-genesis)", "Fine-tune (napari-genesis)", "other (plugin)"):
        dock = QDockWidget(name)
        # Ours, and one that does not know of tabs.
        dock.setWidget(NarrowDock() if name.startswith("Fine") else QWidget())
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        if docks:
            window.tabifyDockWidget(docks[-1], dock)
        docks.append(dock)
    docks[2].raise_()
    window.show()
    qtbot.waitExposed(window)
    qtbot.waitUntil(lambda: docks[0].windowTitle() == "Runs", timeout=5_000)
    assert [dock.windowTitle() for dock in docks] == ["Runs", "Apply", "Fine-tune", "other (plugin)"]
    (bar,) = window.findChildren(QTabBar)
    assert bar.elideMode() == Qt.TextElideMode.ElideNone
    assert bar.usesScrollButtons()
    assert docks[2].widget().sizeHint().width() == WIDTH
