"""The page of the open case: which one, what is noticeable, structures, places, tools, and a note for the decision."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QScrollArea, QToolButton, QVBoxLayout, QWidget

from napari_genesis.apply.section import Section
from napari_genesis.correct.places_panel import PlacesPanel
from napari_genesis.correct.structures_panel import StructuresPanel
from napari_genesis.correct.tools_panel import ToolsPanel
from napari_genesis.forms.control import SmallLabel

_NONE = "No case is open. Open one from the queue (double click or Return), or press N for the next one."


class CasePage(QWidget):
    """stepped(+1 or -1): another case is wanted."""

    stepped = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = QLabel()
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setAccessibleName("case")
        self.back, self.next = QToolButton(), QToolButton()
        for button, text, name, key, steps in (
            (self.back, "◂", "previous case", "Shift+N", -1),
            (self.next, "▸", "next case that is to do", "N", 1),
        ):
            button.setText(text)
            button.setAccessibleName(name)
            button.setToolTip(f"{name.capitalize()}: {key}. Corrections are kept as a draft.")
            button.clicked.connect(lambda _=False, steps=steps: self.stepped.emit(steps))
        self.facts = SmallLabel()
        self.facts.setAccessibleName("about the case")
        self.structures = StructuresPanel()
        self.places = PlacesPanel()
        self.tools = ToolsPanel()
        self.tools_section = Section("Tools", self.tools)
        self.tools_section.unfold(True)
        self.draft = SmallLabel()
        self.draft.setAccessibleName("draft")
        self.note = QLineEdit()
        self.note.setPlaceholderText("note for the decision (optional)")
        self.note.setAccessibleName("note for the decision")
        self._room = 0
        self._text = ""
        self._arrange()
        self.show_none()

    def show_none(self) -> None:
        """Show that no case is open."""
        self._write_name("no case is open")
        self.facts.show_text(_NONE)
        self.draft.show_text("")
        self.structures.show_structures(())
        self.places.show_places(())
        for widget in self._parts:
            widget.hide()

    def show_case(self, name: str, facts: Sequence[str]) -> None:
        """Show a case. facts: what is noticeable, a sentence each."""
        self._write_name(name)
        self.facts.show_text(" ".join(facts))
        self.note.clear()
        for widget in self._parts:
            widget.show()

    @property
    def _parts(self) -> tuple[QWidget, ...]:
        return (self.structures, self.places, self.tools_section, self.note)

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._write_name(self._text)

    def _write_name(self, text: str) -> None:
        self._text = text
        room = max(self.width() - 90, 120)
        self.name.setText(self.name.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room))
        self.name.setToolTip(text)

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.name, 1)
        head.addWidget(self.back)
        head.addWidget(self.next)
        scrolled = QWidget()
        column = QVBoxLayout(scrolled)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(6)
        for widget in (self.facts, self.structures, self.places, self.tools_section):
            column.addWidget(widget)
        column.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(scrolled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(head)
        layout.addWidget(self.area, 1)
        layout.addWidget(self.draft)
        layout.addWidget(self.note)
