"""A line in which a value is typed: it says what it refuses, leaves it there to be mended, and knows the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QLineEdit, QWidget

from genesis_core.errors import SettingsError
from napari_genesis.forms.drawing import paint_focus


class Entry(QLineEdit):
    """Shows a value as text. entered(value): another value was typed, with Return or by leaving the line.

    refused(reason): what was typed cannot be; it stays until it is mended or Escape brings the value back. An empty
    reason takes that back.
    """

    entered = Signal(object)
    refused = Signal(str)

    def __init__(self, write: Callable[[Any], str], parse: Callable[[str], Any], parent: QWidget | None = None) -> None:
        """Build the line. write: the text of a value. parse: its value again, or SettingsError with the reason."""
        super().__init__(parent)
        self._write = write
        self._parse = parse
        self._value: Any = None
        self._shown: str | None = None
        self.editingFinished.connect(self.commit)

    @property
    def value(self) -> Any:
        """The value shown, whatever is being typed."""
        return self._value

    def show_value(self, value: Any) -> None:
        """Show a value without a signal; an equal value leaves alone what is being typed."""
        if self._shown is None or value != self._value:
            self.show_anew(value)

    def show_anew(self, value: Any) -> None:
        """Show a value without a signal, in the place of what is being typed."""
        self._value = value
        self._shown = self._write(value)
        self.setText(self._shown)
        self.setCursorPosition(0)

    def commit(self) -> None:
        """Take what was typed."""
        # A rounded text that nobody touched must not round the value.
        if self.text() == self._shown:
            self.refused.emit("")
            return
        try:
            value = self._parse(self.text())
        except SettingsError as problem:
            self.refused.emit(str(problem))
            return
        self.refused.emit("")
        changed = value != self._value
        self.show_anew(value)
        if changed:
            self.entered.emit(value)

    def event(self, event: Any) -> bool:
        undo = event.type() == QEvent.Type.ShortcutOverride and (
            event.matches(QKeySequence.StandardKey.Undo) or event.matches(QKeySequence.StandardKey.Redo)
        )
        # With nothing typed there is nothing to undo in here: the key is for whoever undoes changes of settings.
        if undo and not self.isModified():
            event.ignore()
            return False
        return super().event(event)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        if event.key() == Qt.Key.Key_Escape and self.text() != self._shown:
            self.show_anew(self._value)
            self.refused.emit("")
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)
