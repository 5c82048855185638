"""Curves of the selected runs over their steps: of one run all there is, of several the same figure of each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, QSignalBlocker, Qt
from qtpy.QtGui import QColor, QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.runs.curves import RunCurve, drawn, quantities
from napari_genesis.training.curve_data import drawable, smoothed, thinned
from napari_genesis.training.loss_curves import LossAxis
from napari_genesis.training.plots import colour_axes, plot_in_dock

_HEIGHT = 170
_SMOOTH = 20
# As many as people tell apart, also with any of the common colour-vision deficiencies (Okabe and Ito).
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2")
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)
MOST = len(COLOURS)


class CurvesPlot(QWidget):
    """Lines are made once and changed in place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = plot_in_dock(_HEIGHT, {"left": LossAxis("left")})
        self.lines: list[pg.PlotDataItem] = []
        self.mean = self.plot.plot([], [])
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        self.words.setAccessibleName("what the lines are")
        self.quantity = QComboBox()
        pass_wheel_on(self.quantity)
        self.quantity.setAccessibleName("what is drawn")
        self.quantity.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.log = QCheckBox("log")
        self.log.setToolTip("A logarithmic axis: late progress shows as well as early.")
        self.log.setChecked(True)
        self._curves: tuple[RunCurve, ...] = ()
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.quantity)
        row.addWidget(self.log)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plot)
        layout.addWidget(self.words)
        layout.addLayout(row)
        self.quantity.activated.connect(lambda _: self._draw())
        self.log.toggled.connect(lambda _: self._draw())

    def show_curves(self, curves: Sequence[RunCurve]) -> None:
        """Draw these; the figure that was chosen stays, where they have it."""
        self._curves = tuple(curves)
        offered = quantities(self._curves)
        if [self.quantity.itemData(row) for row in range(self.quantity.count())] != [key for key, _ in offered]:
            before = self.quantity.currentData()
            with QSignalBlocker(self.quantity):
                self.quantity.clear()
                for key, name in offered:
                    self.quantity.addItem(name, key)
                keys = [key for key, _ in offered]
                self.quantity.setCurrentIndex(keys.index(before) if before in keys else 0)
        self.setVisible(bool(offered))
        self._draw()

    def _draw(self) -> None:
        key = self.quantity.currentData()
        if key is None:
            return
        log = self.log.isChecked() and key != "mean_dice"
        self.log.setVisible(key != "mean_dice")
        self.plot.setLogMode(x=False, y=log)
        single = len({curve.path for curve in self._curves}) == 1
        shown = []
        for number, curve in enumerate(self._curves):
            colour = QColor(COLOURS[self._colour_of(number, single=single)])
            if single and key == "validation" and not curve.fold and len(curve.steps):
                # Of one run, the loss of training is drawn behind that of validation.
                shown.append((curve, "training", QColor(COLOURS[0]), "training"))
                colour = QColor(COLOURS[1])
            shown.append((curve, key, colour, self._name(curve, single=single)))
        while len(self.lines) < len(shown):
            self.lines.append(self.plot.plot([], []))
        end = 1.0
        for number, line in enumerate(self.lines):
            if number >= len(shown):
                line.setData([], [])
                continue
            curve, what, colour, _ = shown[number]
            steps, values = drawn(curve, what)
            if what == "training":
                steps, values = thinned(steps, smoothed(values, _SMOOTH))
            line.setPen(pg.mkPen(colour, width=2, style=_STYLES[number // MOST % 2]))
            few = len(steps) < 30 and what != "training"
            line.setSymbol("o" if few else None)
            line.setSymbolSize(4)
            line.setSymbolBrush(colour)
            line.setSymbolPen(None)
            line.setData(steps, drawable(values, log=log), connect="finite")
            end = max(end, float(steps[-1]) if len(steps) else 1.0)
        mean = self._mean_of(key) if single else None
        self.mean.setData(*(([0, end], [mean, mean]) if mean is not None else ([], [])))
        self._write(
            [(colour, name) for curve, what, colour, name in shown if len(drawn(curve, what)[0])], mean is not None
        )

    def _colour_of(self, number: int, *, single: bool) -> int:
        """Return a run's place among the colours: folds of one run share one, unless it is alone."""
        if single:
            return number % MOST
        paths = list(dict.fromkeys(curve.path for curve in self._curves))
        return paths.index(self._curves[number].path) % MOST

    def _name(self, curve: RunCurve, *, single: bool) -> str:
        fold = f"fold {curve.fold}" if curve.fold else ""
        if single:
            return fold or ("validation" if curve.loss_key == "loss" else "check on training scans")
        return curve.name

    def _mean_of(self, key: str) -> float | None:
        """Return what returning the mean scores, by the latest validation of the one run."""
        if key not in ("validation", "training") or not self._curves:
            return None
        _, means = self._curves[0].validated("return_mean")
        return float(means[-1]) if len(means) and np.isfinite(means[-1]) and means[-1] > 0 else None

    def _write(self, shown: Sequence[tuple[QColor, str]], mean: bool) -> None:
        told = dict.fromkeys((colour.name(), name) for colour, name in shown)
        parts = [f"<font color='{colour}'>━</font>&nbsp;{escape(name)}" for colour, name in told]
        if mean:
            parts.append("╌&nbsp;returning&nbsp;the&nbsp;mean")
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
        self.mean.setPen(pg.mkPen(text, width=1.2, style=Qt.PenStyle.DashLine))
