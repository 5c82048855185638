"""A number with a slider and a box, or with a box alone where it has no bounds on both sides."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_genesis.forms.number_box import NumberBox
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.scale import Number
from napari_genesis.forms.slider import Slider


class NumberEditor(QWidget):
    """Shows and changes a number.

    moved(value, settled): the user changed it; settled is False during a drag. refused(reason): what was typed cannot
    be; an empty reason takes that back. reset_wanted(): the slider was double-clicked.
    """

    moved = Signal(object, bool)
    refused = Signal(str)
    reset_wanted = Signal()

    def __init__(self, quantity: Quantity, parent: QWidget | None = None, *, widest: str = "1,000,000") -> None:
        """Build the editor. widest: a text the box must have room for; boxes under each other are equally wide."""
        super().__init__(parent)
        self._quantity = quantity
        self._value: Number | None = None
        self._waiting: Number | None = None
        self._dragged = False
        # Made in the order in which the Tab key visits them.
        self.slider = None if quantity.scale is None else Slider(quantity.scale.places[-1], self)
        self.box = NumberBox(quantity, widest, self)
        self.box.entered.connect(self._change)
        self.box.stepped.connect(self._step)
        self.box.refused.connect(self.refused)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        if self.slider is not None and quantity.scale is not None:
            self.slider.setEnabled(len(quantity.scale.values) > 1)
            self.slider.dragged.connect(self._drag)
            self.slider.let_go.connect(self._let_go)
            self.slider.stepped.connect(self._step)
            self.slider.jumped.connect(self._jump)
            self.slider.reset_wanted.connect(self.reset_wanted)
            layout.addWidget(self.slider, 1)
        else:
            layout.addStretch(1)
        layout.addWidget(self.box)

    @property
    def value(self) -> Any:
        """The value shown."""
        return self._value

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets that take the keyboard's focus, in their order."""
        return (self.box,) if self.slider is None else (self.slider, self.box)

    def show_value(self, value: Number) -> None:
        """Show a value without a signal. A handle in the user's hand stays there; equal values change nothing."""
        if value == self._value:
            self._waiting = None
            return
        if self.slider is not None and self.slider.isSliderDown():
            self._waiting = value
            return
        self._show(value)

    def name_for_screen_readers(self, name: str, description: str) -> None:
        """Give both parts an accessible name and description."""
        for part in self.parts:
            part.setAccessibleName(name)
            part.setAccessibleDescription(description)

    def _show(self, value: Number) -> None:
        self._value = value
        self._waiting = None
        self.box.show_anew(value)
        if self.slider is not None and self._quantity.scale is not None:
            self.slider.setValue(self._quantity.scale.place_of(value))

    def _change(self, value: Number) -> None:
        changed = value != self._value
        self._show(value)
        if changed:
            self.moved.emit(value, True)

    def _step(self, steps: int) -> None:
        if self._value is not None:
            self._change(self._quantity.stepped(self._value, steps))

    def _jump(self, place: int) -> None:
        if self._quantity.scale is not None:
            self._change(self._quantity.scale.value_at(place))

    def _drag(self, place: int) -> None:
        if self._quantity.scale is None:
            return
        value = self._quantity.scale.value_at(place)
        if value == self._value:
            return
        # The handle stays under the mouse, between two values if it must.
        self._value = value
        self._dragged = True
        self.box.show_anew(value)
        self.moved.emit(value, False)

    def _let_go(self) -> None:
        value = self._value if self._waiting is None or self._dragged else self._waiting
        moved, self._dragged = self._dragged, False
        if value is not None:
            self._show(value)
            if moved:
                self.moved.emit(value, True)
