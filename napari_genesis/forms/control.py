"""One row of a form: the field's name, its editor, a button back to the default, and lines for notes and problems."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_genesis.forms.drawing import PictureButton
from napari_genesis.forms.editors import ChoiceEditor, SwitchEditor, TextEditor
from napari_genesis.forms.fields import MISSING, FormField
from napari_genesis.forms.number import NumberEditor

Editor = NumberEditor | SwitchEditor | ChoiceEditor | TextEditor
# Rows of different forms line up: labels have room for so many characters, and longer ones break.
_LABEL_CHARACTERS = 14


class Control(QWidget):
    """One field. changed(name, value, settled): the user changed it; settled is False while a slider is dragged.

    What differs from the default has a bold label and a button that returns to it; so does a double click on the label
    or the slider. Shown values emit nothing.
    """

    changed = Signal(str, object, bool)

    def __init__(self, field: FormField, default_name: str = "default", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.editor = _make_editor(field, self)
        self.label = FieldLabel(field.label, self)
        self.reset_button = PictureButton("reset", f"{field.label}: return to the {default_name}", self)
        self.note = SmallLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self.problem = SmallLabel(self)
        self.problem.setAccessibleName(f"{field.label}: problem")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(0)
        layout.addWidget(self.label, 0, 0)
        layout.addWidget(self.editor, 0, 1)
        layout.addWidget(self.reset_button, 0, 2)
        layout.addWidget(self.note, 1, 0, 1, 2)
        layout.addWidget(self.problem, 2, 0, 1, 3)
        layout.setColumnStretch(1, 1)
        _keep_room(self.reset_button)
        self.reset_button.hide()
        self.set_note(field.unit if field.unit.startswith("of the ") else "")

        lines = field.explain(default_name)
        tip = f"<qt>{'<br>'.join(escape(line) for line in lines)}</qt>"
        self.label.setToolTip(tip)
        self.editor.setToolTip(tip)
        name = f"{field.label}, {field.unit}" if field.unit and field.quantity.shows_unit else field.label
        if isinstance(self.editor, NumberEditor):
            self.editor.name_for_screen_readers(name, "\n".join(lines))
        else:
            self.editor.setAccessibleName(name)
            self.editor.setAccessibleDescription("\n".join(lines))
        self.editor.moved.connect(self._move)
        if isinstance(self.editor, NumberEditor | TextEditor):
            self.editor.refused.connect(self.problem.show_text)
        if isinstance(self.editor, NumberEditor):
            self.editor.reset_wanted.connect(self.reset)
        self.label.reset_wanted.connect(self.reset)
        self.reset_button.clicked.connect(self.reset)

    @property
    def value(self) -> Any:
        """The value shown."""
        return self.editor.value

    @property
    def modified(self) -> bool:
        """Whether the value differs from the default."""
        return self.field.default is not MISSING and bool(self.value != self.field.default)

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets that take the keyboard's focus, in their order."""
        editors = self.editor.parts if isinstance(self.editor, NumberEditor) else (self.editor,)
        return (*editors, self.reset_button)

    def show_value(self, value: Any) -> None:
        """Show a value without a signal; an equal value leaves alone what is being typed or dragged."""
        if value != self.editor.value:
            self.problem.show_text("")
        self.editor.show_value(value)
        self._mark()

    def set_note(self, text: str) -> None:
        """Show a line under the editor, such as what a fraction amounts to; an empty text hides it."""
        self.note.show_text(text)

    def reset(self) -> None:
        """Return to the default, as if the user had typed it."""
        if self.modified:
            self.editor.show_value(self.field.default)
            self._move(self.field.default, True)

    def _move(self, value: Any, settled: bool) -> None:
        self.problem.show_text("")
        self._mark()
        self.changed.emit(self.field.name, value, settled)

    def _mark(self) -> None:
        modified = self.modified
        if modified == self.reset_button.isHidden():
            # A button that vanishes would hand the focus on to whatever comes next.
            if not modified and self.reset_button.hasFocus():
                self.parts[0].setFocus()
            self.reset_button.setVisible(modified)
            self.label.embolden(modified)


class FieldLabel(QLabel):
    """A field's name, in a column of fixed width. reset_wanted(): a double click."""

    reset_wanted = Signal()

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    def embolden(self, bold: bool) -> None:
        """Make the text bold, or not."""
        font = self.font()
        font.setBold(bold)
        self.setFont(font)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(self.fontMetrics().averageCharWidth() * _LABEL_CHARACTERS, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(self.sizeHint().width(), super().minimumSizeHint().height())

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802
        self.reset_wanted.emit()


class SmallLabel(QLabel):
    """A line in small letters that is there only while it has something to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self._text = ""
        self.hide()

    @property
    def shown(self) -> str:
        """The text, without its markup."""
        return self._text

    def show_text(self, text: str) -> None:
        """Show a text; an empty one hides the line."""
        if text == self._text:
            return
        self._text = text
        # Lines break between phrases, not inside a number with its unit or a size.
        kept = re.sub(r"(?<=\d) (?=[%\w])|(?<=\bx) (?=\d)", "\u00a0", escape(text))
        self.setText("<small>{}</small>".format(kept.replace("\n", "<br>")))
        self.setVisible(bool(text))


def _make_editor(field: FormField, parent: QWidget) -> Editor:
    if field.kind == "number":
        return NumberEditor(field.quantity, parent)
    if field.kind == "switch":
        return SwitchEditor(parent)
    if field.kind == "choice":
        return ChoiceEditor(field.options, parent)
    return TextEditor(field, parent)


def _keep_room(widget: QWidget) -> None:
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)
