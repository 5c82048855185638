"""A slider that asks before it moves: it shows a place, and says what the user did to it.

The wheel passes it by, so that the panel around it scrolls; a click beside the handle brings the handle there.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QWidget

from napari_genesis.forms.drawing import paint_focus

_STEPS = {
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_PageUp: 10,
    Qt.Key.Key_PageDown: -10,
}


def step_of(key: int) -> int:
    """Return by how many values a key moves a number, up or down; 0 for any other key."""
    return next((steps for known, steps in _STEPS.items() if known == key), 0)


class Slider(QSlider):
    """A horizontal slider with places from 0 to `top`.

    dragged(place): the handle is where the mouse took it. let_go(): the mouse button was released. stepped(steps): a
    key asks for a value some steps further. jumped(place): a key asks for an end. reset_wanted(): a double click.
    """

    dragged = Signal(int)
    let_go = Signal()
    stepped = Signal(int)
    jumped = Signal(int)
    reset_wanted = Signal()

    def __init__(self, top: int, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, top)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.sliderMoved.connect(self.dragged)
        self.sliderReleased.connect(self.let_go)

    def handle(self) -> QRect:
        """Return where the handle is, in the slider's pixels."""
        return self._part(QStyle.SubControl.SC_SliderHandle)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(48, super().minimumSizeHint().height())

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802
        position = event.position().toPoint()
        handle = self.handle()
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        if handle.contains(position):
            super().mousePressEvent(event)
            return
        groove = self._part(QStyle.SubControl.SC_SliderGroove)
        left = groove.left() + handle.width() // 2
        place = QStyle.sliderValueFromPosition(
            self.minimum(), self.maximum(), position.x() - left, groove.width() - handle.width()
        )
        self.setSliderPosition(place)
        # The handle is under the mouse now, which takes hold of it.
        super().mousePressEvent(event)
        self.dragged.emit(place)

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_wanted.emit()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        key = event.key()
        if steps := step_of(key):
            self.stepped.emit(steps)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.jumped.emit(self.minimum() if key == Qt.Key.Key_Home else self.maximum())
        else:
            event.ignore()

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        event.ignore()

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)

    def _part(self, part: QStyle.SubControl) -> QRect:
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        style: Any = self.style()
        rectangle: QRect = style.subControlRect(QStyle.ComplexControl.CC_Slider, option, part, self)
        return rectangle
