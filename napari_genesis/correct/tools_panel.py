"""Tools beside napari's own: a brush bound to values of the scan, removal of pieces, smoothing, nnInteractive."""

from __future__ import annotations

import importlib.util
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_genesis.correct.label_edits import Change, drop_smaller, keep_largest, smooth
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.wheel import pass_wheel_on

NNINTERACTIVE = "napari_nninteractive"
# The slider has so many places, whatever the values are.
_PLACES = 1000


class ToolsPanel(QWidget):
    """limits_changed(low and high, or None): what the brush is bound to. range_wanted(): that of the structure.

    edit_wanted(Change, margin in mm): an edit of the structure. hand_over(): nnInteractive shall take the case.
    """

    limits_changed = Signal(object)
    range_wanted = Signal()
    edit_wanted = Signal(object, float)
    hand_over = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bound = QCheckBox("paint only between these values of the scan")
        self.bound.setToolTip(
            "What a stroke, a polygon or a fill draws elsewhere is taken back when the mouse is released.\n"
            "Erasing is free. Undo works as always."
        )
        self.range: Any = _range_slider()
        self.range.setAccessibleName("values that are painted on")
        pass_wheel_on(self.range)
        self.words = QLabel()
        self.words.setAccessibleName("values that are painted on, in words")
        self.fit = QToolButton()
        self.fit.setText("from structure")
        self.fit.setToolTip("The values between which nine tenths of the chosen structure lie now.")
        self.smallest = _number(Quantity(False, 0.001, 1000.0, unit="ml", shows_unit=True), 0.1, "smallest piece")
        self.radius = _number(Quantity(False, 0.5, 20.0, unit="mm", shows_unit=True), 2.0, "radius of smoothing")
        self.largest = _button("Keep the largest piece", "Pieces of the chosen structure that do not touch it go.")
        self.drop = _button("Drop pieces under", "Of the chosen structure. One undo brings all back.")
        self.smooth = _button("Smooth over", "Details of the chosen structure narrower than this go.")
        self.interactive = _button(
            "Prompt with nnInteractive", "Opens napari-nninteractive on this scan: points, boxes and scribbles."
        )
        self.interactive.setVisible(has_nninteractive())
        self.said = SmallLabel()
        self.said.setAccessibleName("what was done")
        self._unit = ""
        self._arrange()
        self.bound.toggled.connect(lambda _: self._changed())
        self.range.valueChanged.connect(lambda _: self._moved())
        self.fit.clicked.connect(self.range_wanted)
        self.largest.clicked.connect(lambda: self.edit_wanted.emit(keep_largest, 0.0))
        self.drop.clicked.connect(lambda: self.edit_wanted.emit(self._drop(), 0.0))
        self.smooth.clicked.connect(
            lambda: self.edit_wanted.emit(smooth(float(self.radius.value)), 2 * float(self.radius.value))
        )
        self.interactive.clicked.connect(self.hand_over)
        self._changed()

    @property
    def limits(self) -> tuple[float, float] | None:
        """What the brush is bound to; None while it is free."""
        if not self.bound.isChecked():
            return None
        low, high = self.range.value()
        return float(low), float(high)

    def show_scan(self, low: float, high: float, first: tuple[float, float], unit: str) -> None:
        """Begin with another scan: the reach of the slider, where it stands at first, the unit of the values."""
        self._unit = unit
        with QSignalBlocker(self.range):
            self.range.setRange(low, max(high, low + 1e-6))
            step = (high - low) / _PLACES
            self.range.setSingleStep(max(1.0, round(step)) if high - low > 50 else step)
            self.range.setValue(first)
        self.bound.setChecked(False)
        self.said.show_text("")
        self._changed()

    def show_range(self, limits: tuple[float, float]) -> None:
        """Show the range of a structure, and bind the brush to it."""
        low, high = max(limits[0], self.range.minimum()), min(limits[1], self.range.maximum())
        self.range.setValue((low, max(low, high)))
        self.bound.setChecked(True)

    def show_busy(self, busy: bool) -> None:
        """Hold back further edits while one is computed."""
        for button in (self.largest, self.drop, self.smooth):
            button.setEnabled(not busy)

    def _drop(self) -> Change:
        return drop_smaller(float(self.smallest.value))

    def _moved(self) -> None:
        self._say()
        if self.bound.isChecked():
            self.limits_changed.emit(self.limits)

    def _changed(self) -> None:
        on = self.bound.isChecked()
        self.range.setEnabled(on)
        self.words.setEnabled(on)
        self._say()
        self.limits_changed.emit(self.limits)

    def _say(self) -> None:
        low, high = self.range.value()
        unit = f" {self._unit}" if self._unit else ""
        self.words.setText(f"{low:,.4g} to {high:,.4g}{unit}".replace("-", "\N{MINUS SIGN}"))

    def _arrange(self) -> None:
        below = QHBoxLayout()
        below.addWidget(self.words, 1)
        below.addWidget(self.fit)
        grid = QGridLayout()
        grid.setContentsMargins(0, 4, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.largest, 0, 0, 1, 2)
        grid.addWidget(self.drop, 1, 0)
        grid.addWidget(self.smallest, 1, 1)
        grid.addWidget(self.smooth, 2, 0)
        grid.addWidget(self.radius, 2, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.bound)
        layout.addWidget(self.range)
        layout.addLayout(below)
        layout.addLayout(grid)
        layout.addWidget(self.said)
        layout.addWidget(self.interactive)


def has_nninteractive() -> bool:
    """Whether napari-nninteractive is installed."""
    return importlib.util.find_spec(NNINTERACTIVE) is not None


def _range_slider() -> Any:
    from superqt import QDoubleRangeSlider

    return QDoubleRangeSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]


def _number(quantity: Quantity, value: float, name: str) -> NumberEditor:
    editor = NumberEditor(quantity, widest="999.9 ml")
    editor.name_for_screen_readers(name, name)
    editor.show_value(value)
    return editor


def _button(text: str, tip: str) -> Any:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
