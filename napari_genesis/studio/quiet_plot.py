"""A plot to look at: no menu, no zoom, no focus; colours of the theme instead of pyqtgraph's global ones."""

from __future__ import annotations

from collections.abc import Mapping

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont, QFontInfo, QWheelEvent
from qtpy.QtWidgets import QWidget


class QuietPlot(pg.PlotWidget):  # type: ignore[misc]
    """A pyqtgraph plot that never reacts to the mouse, and lets the wheel scroll the dock.

    axes: side ("left", "bottom") -> an axis of another kind than usual.
    """

    def __init__(self, axes: Mapping[str, pg.AxisItem] | None = None) -> None:
        super().__init__(background=None, axisItems=dict(axes or {}))
        # A cached background would keep the colour of the theme before.
        self.setCacheMode(self.CacheModeFlag.CacheNone)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(False, False)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        if event is not None:
            event.ignore()


def with_alpha(colour: QColor, alpha: int) -> QColor:
    """Return a colour with another opacity, 0 to 255."""
    result = QColor(colour)
    result.setAlpha(alpha)
    return result


def small_font(widget: QWidget) -> QFont:
    """Return the widget's font in the size of axis labels."""
    font = widget.font()
    font.setPointSizeF(max(QFontInfo(font).pointSizeF() * 0.8, 6.0))
    return font
