"""The loss of a run, step by step, with its validations, the baselines it has to beat, and other runs beside it.

For any training: the baselines are named by whoever makes the plot. Lines are changed in place, a few times a second at
most, whatever arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QMenu, QVBoxLayout, QWidget

from genesis_core.training.events import Event
from napari_genesis.forms.actions import make_more
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.jobs.view import Curve, RunView
from napari_genesis.training.curve_data import drawable, smoothed, thinned
from napari_genesis.training.plots import colour_axes, plot_in_dock

_HEIGHT = 190
# Between two repaints, in milliseconds.
_REPAINT = 400
_WINDOWS = (1, 5, 20, 50, 100, 500)
# Told apart on dark and on light by people with any of the common colour-vision deficiencies (Okabe and Ito).
_TRAINING, _VALIDATION = "#56b4e9", "#e69f00"
_OTHERS = ("#009e73", "#cc79a7", "#d55e00", "#0072b2")


class LossCurves(QWidget):
    """Curves of one run. compare_wanted(paths): other runs were chosen to be drawn beside it.

    baselines: key in the events of validations -> what it is called, for the dashed lines.
    """

    compare_wanted = Signal(object)

    def __init__(self, baselines: Mapping[str, str], height: int = _HEIGHT, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = dict(baselines)
        self._view: RunView | None = None
        self._others: tuple[RunView, ...] = ()
        self._compared: list[Path] = []
        self.plot = plot_in_dock(height, {"left": LossAxis("left")})
        self.raw = self.plot.plot([], [])
        self.training = self.plot.plot([], [])
        self.baselines = {key: self.plot.plot([], []) for key in self._names}
        self.others = [self.plot.plot([], []) for _ in _OTHERS]
        self.validation = self.plot.plot([], [], symbol="o", symbolSize=5)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        self.words.setAccessibleName("what the lines are")
        self.log = QCheckBox("log")
        self.log.setToolTip("A logarithmic loss axis: late progress shows as well as early.")
        self.log.setChecked(True)
        self.window_size = QComboBox()
        pass_wheel_on(self.window_size)
        self.window_size.setAccessibleName("smoothing of the training loss")
        self.window_size.setToolTip("The training loss is drawn as the mean of so many steps; faint: every step.")
        for window in _WINDOWS:
            self.window_size.addItem("no smoothing" if window == 1 else f"mean of {window} steps", window)
        self.window_size.setCurrentIndex(_WINDOWS.index(20))
        self.menu = QMenu()
        self.compare = make_more(self.menu, "Draw the validations of other runs beside these.", "compare")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REPAINT)
        self._timer.timeout.connect(self._draw)
        self.log.toggled.connect(lambda _: self._set_log())
        self.window_size.activated.connect(lambda _: self._draw())
        self._arrange()
        self._set_log()

    def show_run(self, view: RunView) -> None:
        """Draw a run, soon."""
        anew = self._view is None or self._view.path != view.path
        self._view = view
        if anew:
            self._draw()
        elif not self._timer.isActive():
            self._timer.start()

    def show_others(self, views: Sequence[RunView]) -> None:
        """Draw the validations of other runs, soon."""
        self._others = tuple(views)[: len(_OTHERS)]
        if not self._timer.isActive():
            self._timer.start()

    def offer(self, paths: Sequence[Path]) -> None:
        """List the runs that can be compared; those that are stay chosen."""
        if paths == [action.data() for action in self.menu.actions()]:
            return
        self.menu.clear()
        compared = [path for path in self._compared if path in paths]
        for path in paths:
            action = self.menu.addAction(path.name.replace("&", "&&"))
            assert action is not None
            action.setData(path)
            action.setCheckable(True)
            action.setChecked(path in compared)
            action.toggled.connect(lambda on, path=path: self._choose(path, on))
        self.compare.setEnabled(bool(paths))
        if compared != self._compared:
            self._compared = compared
            self.compare_wanted.emit(list(compared))

    def _choose(self, path: Path, on: bool) -> None:
        self._compared = [one for one in self._compared if one != path] + ([path] if on else [])
        self.compare_wanted.emit(list(self._compared))

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.log)
        row.addWidget(self.window_size)
        row.addStretch(1)
        row.addWidget(self.compare)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.plot)
        layout.addWidget(self.words)
        layout.addLayout(row)

    def _set_log(self) -> None:
        self.plot.setLogMode(x=False, y=self.log.isChecked())
        self._draw()

    def _draw(self) -> None:
        view = self._view
        if view is None:
            return
        log, window = self.log.isChecked(), int(self.window_size.currentData())
        steps, losses = thinned(view.steps, view.losses)
        self.raw.setData(steps, drawable(losses, log=log), connect="finite")
        means = thinned(view.steps, smoothed(view.losses, window))[1]
        self.training.setData(steps, drawable(means, log=log), connect="finite")
        at, values = held_out(view.validations)
        self.validation.setData(at, drawable(values, log=log), connect="finite")
        end = max([1.0, *(float(one[-1]) for one in (view.steps, at) if len(one))])
        shown = {}
        for key, line in self.baselines.items():
            value = view.figures.get(key)
            good = isinstance(value, int | float) and (value > 0 or not log)
            line.setData([0, end], [value, value]) if good else line.setData([], [])
            if isinstance(value, int | float):
                shown[key] = value
        for index, line in enumerate(self.others):
            at, values = held_out(self._others[index].validations) if index < len(self._others) else held_out(())
            line.setData(at, drawable(values, log=log), connect="finite")
        self._write(view, shown)

    def _write(self, view: RunView, baselines: Mapping[str, float]) -> None:
        parts = []
        if len(view.steps):
            parts.append(f"<font color='{_TRAINING}'>━</font>&nbsp;training")
        if view.validations:
            name = "validation" if "loss" in view.figures else "check on training scans"
            parts.append(f"<font color='{_VALIDATION}'>●</font>&nbsp;{name}")
        marks = ("╌", "┈")
        parts += [f"{marks[n % 2]}&nbsp;{self._names[key].replace(' ', '&nbsp;')}" for n, key in enumerate(baselines)]
        parts += [
            f"<font color='{colour}'>━</font>&nbsp;{escape(other.name)}"
            for colour, other in zip(_OTHERS, self._others, strict=False)
        ]
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
        hint = pg.mkColor(_TRAINING)
        hint.setAlpha(70)
        self.raw.setPen(pg.mkPen(hint, width=1))
        self.training.setPen(pg.mkPen(_TRAINING, width=2))
        self.validation.setPen(pg.mkPen(_VALIDATION, width=2))
        self.validation.setSymbolBrush(_VALIDATION)
        self.validation.setSymbolPen(None)
        styles = (Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)
        for number, line in enumerate(self.baselines.values()):
            line.setPen(pg.mkPen(text, width=1.2, style=styles[number % 2]))
        for colour, line in zip(_OTHERS, self.others, strict=True):
            line.setPen(pg.mkPen(colour, width=1.5))


def held_out(validations: Sequence[Event]) -> tuple[Curve, Curve]:
    """Return steps and losses of validations; of those without a held-out loss, that on training scans."""
    found = [
        (event["step"], loss)
        for event in validations
        if isinstance(loss := event.get("loss", event.get("train_loss")), int | float)
    ]
    pairs = np.array(found, dtype=float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


class LossAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis whose logarithmic ticks are few enough to be read: 1, 2 and 5 of each decade, or 1 alone."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> Any:  # noqa: N802
        if not self.logMode:
            return super().tickValues(minVal, maxVal, size)
        low, high = sorted((minVal, maxVal))
        digits = (1.0, 2.0, 5.0) if high - low < 2 else (1.0,)
        places = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        ticks = [place + float(np.log10(digit)) for place in places for digit in digits]
        shown = [tick for tick in ticks if low <= tick <= high]
        # Between two of them, a few that are evenly spread.
        return [(1.0, shown if len(shown) > 1 else list(np.linspace(low, high, 4)[1:-1]))]

    def logTickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:  # noqa: N802
        return [f"{10.0**value:.2g}" for value in values]
