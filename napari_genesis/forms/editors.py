"""Editors for what is not a number: a check box, a choice, and a line of YAML for any other field."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

from napari_genesis.forms.drawing import paint_focus
from napari_genesis.forms.entry import Entry
from napari_genesis.forms.fields import FormField


class SwitchEditor(QCheckBox):
    """A check box. moved(value, settled): the user changed it, which is settled at once."""

    moved = Signal(object, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.clicked.connect(lambda checked: self.moved.emit(bool(checked), True))

    @property
    def value(self) -> bool:
        """The value shown."""
        return self.isChecked()

    def show_value(self, value: bool) -> None:
        """Show a value without a signal."""
        self.setChecked(value)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)


class ChoiceEditor(QComboBox):
    """A choice among options. moved(value, settled): the user chose one, which is settled at once."""

    moved = Signal(object, bool)

    def __init__(self, options: tuple[Any, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = options
        self.addItems([str(option).replace("_", " ") for option in options])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.activated.connect(self._choose)
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The value shown."""
        return self._value

    def show_value(self, value: Any) -> None:
        """Show a value without a signal."""
        self._value = value
        self.setCurrentIndex(self._options.index(value))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(60, super().minimumSizeHint().height())

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        event.ignore()

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)

    def _choose(self, index: int) -> None:
        changed = self._options[index] != self._value
        self._value = self._options[index]
        if changed:
            self.moved.emit(self._value, True)


class TextEditor(Entry):
    """A line of YAML. moved(value, settled): a valid value was typed, which is settled at once."""

    moved = Signal(object, bool)

    def __init__(self, field: FormField, parent: QWidget | None = None) -> None:
        super().__init__(field.text, field.parse, parent)
        self.entered.connect(lambda value: self.moved.emit(value, True))
