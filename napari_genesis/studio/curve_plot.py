"""The intensity curve that was drawn, over the histogram of the sub-volume: what each grey value becomes.

Both axes are the training range, written in scan units. A recipe without an intensity curve shows the straight line.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

from genesis_core.corruptions.draw import Draw
from genesis_core.volumes.intensity import IntensityMap
from napari_genesis.studio.quiet_plot import QuietPlot, small_font, with_alpha

_HEIGHT = 100
_POINTS = 257
_FAINT = 60
# Orange and blue, which people with any of the common colour-vision deficiencies tell apart on dark and on light.
_CURVE, _OTHER = "#e69f00", "#56b4e9"


class CurvePlot(QWidget):
    """Histogram of the original, the curve of the recipe, and that of a second recipe it is compared with."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = QuietPlot()
        self.plot.setFixedHeight(_HEIGHT)
        self.plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.02)
        self.plot.setToolTip(
            "Grey: how often each intensity occurs in the sub-volume (to the right), and what it becomes (up).\n"
            "A falling line inverts the image."
        )
        self.bars = self.plot.plot([0, 1], [0], stepMode="center", fillLevel=0)
        self.straight = self.plot.plot([0, 1], [0, 1])
        self.other = self.plot.plot([], [])
        self.curve = self.plot.plot([], [])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        self._axes: tuple[IntensityMap, str] | None = None
        self._x = np.linspace(0, 1, _POINTS, dtype=np.float32)
        self._paint()

    def show_curves(self, draw: Draw | None, other: Draw | None) -> None:
        """Draw the intensity curves among the steps of a draw; one without any leaves the straight line."""
        for line, one in ((self.curve, draw), (self.other, other)):
            values = self._x.copy()
            mapped = False
            for step in one.steps if one else ():
                if callable(step.decided):
                    values, mapped = step.decided(values), True
            line.setData(self._x, values) if mapped else line.setData([], [])

    def show_histogram(self, counts: NDArray[np.int64], intensity: IntensityMap, unit: str) -> None:
        """Draw how often each intensity occurs, in equal parts of [0, 1], and write scan units at the axes."""
        # The root shows rare tissue beside air that is everywhere.
        heights = np.sqrt(counts / max(counts.max(), 1))
        self.bars.setData(np.linspace(0, 1, len(counts) + 1), heights)
        if (intensity, unit) == self._axes:
            return
        self._axes = (intensity, unit)
        span = intensity.high - intensity.low
        ticks = [(at, f"{intensity.low + at * span:.4g}") for at in (0, 0.25, 0.5, 0.75, 1)]
        self.plot.getAxis("bottom").setTicks([[*ticks[:2], (0.5, f"{ticks[2][1]} {unit}"), *ticks[3:]]])
        self.plot.getAxis("left").setTicks([ticks[::2]])

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._paint()

    def _paint(self) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        faint = with_alpha(text, _FAINT)
        for name in ("bottom", "left"):
            axis = self.plot.getAxis(name)
            axis.setPen(faint)
            axis.setTextPen(text)
            axis.setStyle(tickFont=small_font(self))
        self.bars.setBrush(faint)
        self.bars.setPen(None)
        self.straight.setPen(pg.mkPen(faint, style=Qt.PenStyle.DashLine))
        self.other.setPen(pg.mkPen(_OTHER, width=2))
        self.curve.setPen(pg.mkPen(_CURVE, width=2))
