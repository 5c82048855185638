"""How plots of a training look: one width of the left axis, so that plots below each other share their steps."""

from __future__ import annotations

from collections.abc import Mapping

import pyqtgraph as pg
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QWidget

from napari_genesis.studio.quiet_plot import QuietPlot, small_font, with_alpha

_AXIS_WIDTH = 46
_FAINT = 70


def plot_in_dock(height: int, axes: Mapping[str, pg.AxisItem] | None = None) -> QuietPlot:
    """Return a plot, `height` pixels high. axes: side -> an axis of another kind than usual."""
    plot = QuietPlot(axes)
    plot.setFixedHeight(height)
    plot.getAxis("left").setWidth(_AXIS_WIDTH)
    plot.plotItem.layout.setContentsMargins(0, 4, 10, 2)
    return plot


def colour_axes(plot: QuietPlot, widget: QWidget) -> QColor:
    """Give a plot's axes the theme's colours and small figures; return the colour of text."""
    text = widget.palette().color(QPalette.ColorRole.WindowText)
    for side in ("bottom", "left"):
        axis = plot.getAxis(side)
        axis.setPen(with_alpha(text, _FAINT))
        axis.setTextPen(text)
        axis.setStyle(tickFont=small_font(widget))
    return text
