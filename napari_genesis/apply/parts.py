"""Where the parts of the Apply dock stand: model and scan above, one scrolled part, progress and actions below."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.apply.card_panel import CardPanel
from napari_genesis.apply.model_list import ModelList
from napari_genesis.apply.options_panel import OptionsPanel
from napari_genesis.apply.progress import Progress
from napari_genesis.apply.residual_panel import ResidualPanel
from napari_genesis.apply.section import Section
from napari_genesis.apply.structures_picker import StructuresPicker
from napari_genesis.apply.structures_table import StructuresTable
from napari_genesis.apply.target_panel import TargetPanel
from napari_genesis.forms.actions import make_more

WIDTH = 360


class ApplyParts(QWidget):
    """The widgets of the dock, laid out, not yet connected to anything. copy_command(): from the menu."""

    copy_command = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self.models = ModelList()
        self.target = TargetPanel()
        self.outcome = QLabel()
        self.outcome.setAccessibleName("result")
        self.notes = QLabel()
        self.notes.setAccessibleName("notes on the result")
        self.table = StructuresTable()
        self.residual = ResidualPanel()
        self.results = QWidget()
        self.results_section = Section("Result", self.results)
        self.structures = StructuresPicker()
        self.structures_section = Section("Structures", self.structures)
        self.options = OptionsPanel()
        self.options_section = Section("Options", self.options)
        self.card = CardPanel()
        self.card_section = Section("Model card", self.card)
        self.trouble = QLabel()
        self.trouble.setAccessibleName("problem")
        self.status = QLabel()
        self.status.setAccessibleName("status")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("progress")
        # Its place is kept, so that nothing moves when it goes.
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.bar.setFixedHeight(6)
        self.bar.hide()
        self.start = QPushButton("Apply")
        self.cancel = QPushButton("Cancel")
        self.cancel.setEnabled(False)
        menu = QMenu()
        self.copy_action = QAction("Copy as command", menu)
        self.copy_action.triggered.connect(lambda _=False: self.copy_command.emit())
        menu.addAction(self.copy_action)
        self.more = make_more(menu, "The same as a command, to be copied.")
        for label in (self.outcome, self.notes, self.trouble, self.status):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._arrange()
        self.clear_results()
        self.show_trouble("")

    def show_trouble(self, text: str) -> None:
        """Show a problem in words; an empty one takes it away."""
        self.trouble.setText(text)
        self.trouble.setVisible(bool(text))

    def show_ready(self, action: str, reason: str) -> None:
        """Show what the button does while nothing runs, and why it cannot be pressed, if so."""
        self.start.setText(action)
        self.start.setEnabled(not reason)
        self.cancel.setEnabled(False)
        self.bar.hide()
        self.status.setText(reason)
        for widget in (self.models, self.target, self.structures, self.options):
            widget.setEnabled(True)

    def show_running(self, progress: Progress, stopping: bool) -> None:
        """Show how far the work is; while it runs nothing about it can be changed."""
        self.start.setEnabled(False)
        self.cancel.setEnabled(not stopping)
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        self.bar.show()
        words = "stopping after this window" if stopping else progress.words
        self.status.setText(f"{words[0].upper()}{words[1:]}")
        for widget in (self.models, self.target, self.structures, self.options):
            widget.setEnabled(False)

    def show_outcome(self, outcome: str, notes: Sequence[str], *, table: bool = False, residual: bool = False) -> None:
        """Show what came of the work; table, residual: which part belongs to it."""
        self.outcome.setText(outcome)
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self.table.setVisible(table)
        self.residual.setVisible(residual)
        self.results_section.show()
        self.results_section.unfold(True)
        self.area.ensureVisible(0, 0)

    def clear_results(self) -> None:
        """Show no result."""
        self.residual.forget()
        self.results_section.hide()

    def _arrange(self) -> None:
        inner = QVBoxLayout(self.results)
        inner.setContentsMargins(22, 0, 0, 0)
        inner.setSpacing(4)
        for widget in (self.outcome, self.table, self.residual, self.notes):
            inner.addWidget(widget)
        scrolled = QWidget()
        column = QVBoxLayout(scrolled)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(6)
        for section in (self.results_section, self.structures_section, self.options_section, self.card_section):
            column.addWidget(section)
        column.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(scrolled)
        actions = QHBoxLayout()
        actions.addWidget(self.start, 1)
        actions.addWidget(self.cancel)
        actions.addWidget(self.more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        layout.addWidget(self.models)
        layout.addWidget(self.target)
        layout.addWidget(self.area, 1)
        for row in (self.trouble, self.status, self.bar):
            layout.addWidget(row)
        layout.addLayout(actions)
