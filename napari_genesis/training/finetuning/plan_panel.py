"""What would be done with the folder that is chosen, in compact rows: the reasons are tooltips, and a text."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_genesis.jobs.plan_asking import FoundPlan
from napari_genesis.training.finetuning.plan_words import plan_rows, plan_text
from napari_genesis.training.progress_panel import Notice
from napari_genesis.training.text_dialogue import TextDialogue


class PlanPanel(QWidget):
    """Shows one plan at a time."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plan: FoundPlan | None = None
        self.head = QLabel("plan")
        self.why = QPushButton("Why…")
        self.why.setToolTip("The plan with the reason of everything that is decided.")
        self.why.clicked.connect(self._show_text)
        self.cells: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(8, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(1, 1)
        self.warnings = Notice("warnings of the plan")
        self.problem = Notice("problem of the plan")
        top = QHBoxLayout()
        top.addWidget(self.head, 1)
        top.addWidget(self.why)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(top)
        layout.addLayout(self._grid)
        for widget in (self.problem, self.warnings):
            layout.addWidget(widget)
        self.hide()

    def show_plan(self, plan: FoundPlan | None, *, waiting: bool) -> None:
        """Show a plan; None: none is known. waiting: another one is being made."""
        self.plan = plan
        self.setVisible(plan is not None or waiting)
        self.head.setText("plan: being made…" if waiting else "plan")
        settings = None if plan is None else plan.settings
        rows = [] if plan is None or settings is None else plan_rows(settings, plan.reasons)
        while len(self.cells) < len(rows):
            name, value = QLabel(), QLabel()
            value.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            row = len(self.cells)
            self._grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(value, row, 1)
            self.cells.append((name, value))
        for number, (name, value) in enumerate(self.cells):
            for label in (name, value):
                label.setVisible(number < len(rows))
                label.setEnabled(not waiting)
            if number < len(rows):
                name.setText(rows[number].name)
                value.setText(rows[number].value)
                value.setAccessibleName(rows[number].name)
                for label in (name, value):
                    label.setToolTip(rows[number].reason)
        self.why.setVisible(bool(rows))
        self.problem.say([plan.problem.partition("\n")[0]] if plan is not None and plan.problem and not waiting else [])
        self.warnings.say(list(plan.warnings) if plan is not None else [])

    def _show_text(self) -> None:
        plan = self.plan
        if plan is not None and plan.settings is not None:
            text = plan_text(plan.settings, plan.reasons, plan.warnings)
            head = "What the run would decide from the data, the source and this machine; what you set is obeyed."
            TextDialogue("The plan, and why", head, text, parent=self).show()
