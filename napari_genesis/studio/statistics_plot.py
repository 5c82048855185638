"""How much of a sub-volume a recipe changes, over many draws: a histogram that fills up, its median, the current draw.

Below it stands how fast this machine corrupts. Nothing is computed here but counts and a median.
"""

from __future__ import annotations

from statistics import median

import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QPalette, QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from genesis_core.corruptions.statistics import CHANGED, DrawStatistics, Throughput
from napari_genesis.studio.quiet_plot import QuietPlot, small_font, with_alpha

_HEIGHT = 112
# Bars of 5 %: a hundred draws fill them, and the dock's width shows them apart.
_BINS = 20
# Between two repaints while draws arrive, in milliseconds: a thousand a second need no thousand pictures.
_REPAINT = 50
_FAINT, _BARS = 70, 110


class StatisticsPlot(QWidget):
    """Histogram of the changed fraction of voxels. Draws arrive one by one with `add`, after `start`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._changed: list[float] = []
        self._total = 0
        self._current: float | None = None
        self.caption = QLabel()
        self.caption.setTextFormat(Qt.TextFormat.RichText)
        self.caption.setAccessibleName("changed voxels over many draws")
        self.plot = _plot()
        self.plot.setFixedHeight(_HEIGHT)
        self.plot.setToolTip(
            f"How many draws change how much of this sub-volume, by more than {CHANGED:.0%} of the range from 0 to 1.\n"
            "Dashed: the median. Solid: the draw that is shown now."
        )
        self.bars = pg.BarGraphItem(
            x0=[100 * n / _BINS for n in range(_BINS)], width=100 / _BINS, height=[0] * _BINS, y0=0
        )
        self.median_line = pg.InfiniteLine(angle=90, movable=False)
        self.current_line = pg.InfiniteLine(angle=90, movable=False)
        for item in (self.bars, self.median_line, self.current_line):
            self.plot.addItem(item)
        self.speed = QLabel()
        self.speed.setWordWrap(True)
        self.speed.setAccessibleName("speed of the corruption")
        self.speed.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.caption)
        layout.addWidget(self.plot)
        layout.addWidget(self.speed)
        layout.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REPAINT)
        self._timer.timeout.connect(self._fill)
        self._colour()
        self._fill()

    def start(self, total: int) -> None:
        """Forget the draws so far; `total` are to come."""
        self._changed.clear()
        self._total = total
        self._soon()

    def add(self, draw: DrawStatistics) -> None:
        """Take one more draw into the histogram."""
        self._changed.append(draw.changed)
        self._soon()

    def show_current(self, changed: float | None) -> None:
        """Mark the draw that is shown now by its changed fraction, in [0, 1]; None takes the mark away."""
        self._current = changed
        self._soon()

    def show_speed(self, speed: Throughput | None) -> None:
        """Say how fast this machine corrupts; None says nothing."""
        self.speed.setText("" if speed is None else speed_in_words(speed))
        self.speed.setVisible(speed is not None)

    def _soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _fill(self) -> None:
        counts = [0] * _BINS
        for changed in self._changed:
            counts[min(int(changed * _BINS), _BINS - 1)] += 1
        most = max(*counts, 1)
        self.bars.setOpts(height=counts)
        self.plot.setYRange(0, most, padding=0.06)
        self.plot.getAxis("left").setTicks([[(0, "0"), (most, str(most))]])
        middle = median(self._changed) if self._changed else None
        for line, value in ((self.median_line, middle), (self.current_line, self._current)):
            line.setVisible(value is not None)
            if value is not None:
                line.setValue(100 * value)
        self._write(middle)

    def _write(self, middle: float | None) -> None:
        done = len(self._changed)
        parts = []
        if total := max(self._total, done):
            counted = f"{done:,}" if done == total else f"{done:,} of {total:,}"
            parts.append(f"{counted} draw{'' if total == 1 else 's'}")
        if middle is not None:
            parts.append(f"┆ median {middle:.0%}")
        if self._current is not None:
            parts.append(f"<b>┃</b> this draw {self._current:.0%}")
        self.caption.setText(" &nbsp; ".join(parts) or "&nbsp;")

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._colour()
            self._soon()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Take the theme's colours, which a widget has only once it is shown."""
        super().showEvent(event)
        self._colour()
        self._soon()

    def _colour(self) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        small = small_font(self)
        for name, label in (("bottom", "changed voxels (%)"), ("left", "draws")):
            axis = self.plot.getAxis(name)
            axis.setPen(with_alpha(text, _FAINT))
            axis.setTextPen(text)
            axis.setStyle(tickFont=small)
            axis.setLabel(label, **{"font-size": f"{small.pointSizeF():.1f}pt", "color": text.name()})
        self.bars.setOpts(brush=with_alpha(text, _BARS), pen=None)
        self.median_line.setPen(pg.mkPen(text, width=1.5, style=Qt.PenStyle.DashLine))
        self.current_line.setPen(pg.mkPen(text, width=3))


def speed_in_words(speed: Throughput) -> str:
    """Return a sentence about the sub-volumes a second of one thread and of all."""
    text = f"This machine: {_rounded(speed.one_thread)} sub-volumes a second on one core"
    return f"{text}, {_rounded(speed.all_threads)} on {speed.threads}" if speed.threads > 1 else text


def _rounded(rate: float) -> str:
    """Return a rate with as many digits as repeat from one measurement to the next."""
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 10 else f"{rate:.2g}"


def _plot() -> QuietPlot:
    plot = QuietPlot()
    plot.setXRange(0, 100, padding=0.02)
    bottom = plot.getAxis("bottom")
    bottom.setTicks([[(percent, str(percent)) for percent in range(0, 101, 25)]])
    # Else 0 and 100, which reach beyond the axis, would be left out.
    bottom.setStyle(hideOverlappingLabels=False)
    bottom.setHeight(30)
    # At the bottom, what pyqtgraph lets the label hang out of its axis.
    plot.plotItem.layout.setContentsMargins(0, 4, 12, 5)
    # A fixed width: the bars shall not move while the numbers beside them grow.
    plot.getAxis("left").setWidth(44)
    return plot
