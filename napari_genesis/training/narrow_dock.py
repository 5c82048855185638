"""A dock at napari's side: of the width that it is made for, as high as there is room, and short of name in a tab.

napari calls a dock by its own name and the plugin's, which no row of three tabs has room for.
"""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QSizePolicy, QTabBar, QWidget

from napari_genesis.preferences import PLUGIN

WIDTH = 360


class NarrowDock(QWidget):
    """Asks for its width, and no more of the canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(WIDTH)
        # napari fills the height of a dock that does not ask for it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Give the tabs of our docks names that can be read."""
        super().showEvent(event)
        window = self.window()
        if isinstance(window, QMainWindow):
            shorten_tabs(window)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(WIDTH, super().sizeHint().height())


def shorten_tabs(window: QMainWindow) -> None:
    """Let tabs of our docks show their own name alone, whole, and scroll where there are too many.

    napari's own title bar and its menu keep the plugin's name: they do not follow the title of the dock.
    """
    ours = f" ({PLUGIN})"
    for dock in window.findChildren(QDockWidget):
        title = dock.windowTitle()
        if title.endswith(ours):
            dock.setWindowTitle(title.removesuffix(ours))
    # Those that hold docks are the window's own children; tabs inside of docks are left alone.
    for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
        bar.setElideMode(Qt.TextElideMode.ElideNone)
        bar.setUsesScrollButtons(True)
