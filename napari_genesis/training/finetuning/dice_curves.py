"""Dice per structure over the steps of a training, each in the structure's colour, the mean in bold.

These are the Dice of the validations' sub-volumes; that of whole held-out scans comes at the end, and stands below.
Lines are changed in place, a few times a second at most.
"""

from __future__ import annotations

from html import escape

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_genesis.jobs.view import NamedColour, RunView
from napari_genesis.studio.quiet_plot import QuietPlot
from napari_genesis.training.finetuning.dice_data import DiceLine, dice_lines, mean_line, structures_of
from napari_genesis.training.plots import colour_axes, plot_in_dock

_HEIGHT = 170
# Between two repaints, in milliseconds.
_REPAINT = 400
# More structures than these are a cloud: then the mean stands out, and the legend names the worst.
_NAMED = 12


class DiceCurves(QWidget):
    """Curves of one training, a fold or a run of one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: RunView | None = None
        self._structures: tuple[NamedColour, ...] = ()
        self.plot = plot_in_dock(_HEIGHT)
        self.plot.setYRange(0, 1, padding=0.07)
        self.plot.getAxis("left").setTicks([[(tick / 5, f"{tick / 5:.1f}") for tick in range(6)]])
        self.plot.showGrid(y=True, alpha=0.15)
        self.lines: dict[str, pg.PlotDataItem] = {}
        self.mean = self.plot.plot([], [], symbol="o", symbolSize=5)
        self.mean.setZValue(1)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        self.words.setAccessibleName("Dice per structure")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REPAINT)
        self._timer.timeout.connect(self._draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plot)
        layout.addWidget(self.words)

    def share_steps(self, plot: QuietPlot) -> None:
        """Show the same steps as another plot, which stands below."""
        self.plot.setXLink(plot)

    def show_run(self, view: RunView, whole: RunView) -> None:
        """Draw a training, soon. whole: the run it is a fold of, or itself."""
        structures = structures_of(whole)
        anew = self._view is None or self._view.path != view.path or structures != self._structures
        self._view, self._structures = view, structures
        if anew:
            self._draw()
        elif not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        view = self._view
        if view is None:
            return
        lines = dice_lines(view, self._structures)
        for name in set(self.lines) - {line.name for line in lines}:
            self.plot.removeItem(self.lines.pop(name))
        for line in lines:
            if line.name not in self.lines:
                self.lines[line.name] = self.plot.plot([], [])
            item = self.lines[line.name]
            item.setPen(pg.mkPen(line.colour, width=1.5))
            item.setData(line.steps, line.values, connect="finite")
        mean = mean_line(view)
        # The mean of one structure is that structure.
        show_mean = len(lines) != 1
        self.mean.setData(mean.steps if show_mean else [], mean.values if show_mean else [], connect="finite")
        if not show_mean:
            only = self.lines[lines[0].name]
            only.setPen(pg.mkPen(lines[0].colour, width=2.5))
        self._write(lines, mean if show_mean else None)

    def _write(self, lines: list[DiceLine], mean: DiceLine | None) -> None:
        parts = []
        if mean is not None and mean.latest is not None:
            parts.append(f"<b>━&nbsp;mean&nbsp;{mean.latest:.3f}</b>")
        shown = lines
        if len(lines) > _NAMED:
            shown = sorted(lines, key=lambda one: np.inf if one.latest is None else one.latest)[:_NAMED]
        for line in shown:
            name = escape(line.name).replace(" ", "&nbsp;")
            value = "–" if line.latest is None else f"{line.latest:.3f}"
            parts.append(f"<font color='{pg.mkColor(line.colour).name()}'>━</font>&nbsp;{name}&nbsp;{value}")
        if len(lines) > len(shown):
            parts.append(f"and&nbsp;{len(lines) - len(shown)}&nbsp;better&nbsp;ones")
        self.words.setText("<small>" + " &nbsp; ".join(parts) + "</small>")

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._colour()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Take the theme's colours, which a widget has only once it is shown."""
        super().showEvent(event)
        self._colour()

    def _colour(self) -> None:
        text = colour_axes(self.plot, self)
        self.mean.setPen(pg.mkPen(text, width=2.5))
        self.mean.setSymbolBrush(text)
        self.mean.setSymbolPen(None)
