"""Choices that every training has: how long, and on which device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QWidget

from genesis_core.training.settings import TrainingSettings
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.fields import FormField
from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.jobs.devices import Device
from napari_genesis.training.training_draft import BUDGETS, TrainingDraft


class BudgetChoice(QWidget):
    """chosen(kind): another kind of budget. steps_chosen(number): another number of steps."""

    chosen = Signal(str)
    steps_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kinds = choice_box("budget", "How long it trains. A run can be stopped, and gone on with, at any time.")
        self.kinds.addItems(list(BUDGETS))
        self.steps = _steps_editor(self)
        self.problem = SmallLabel()
        self.problem.setAccessibleName("why this number cannot be")
        self.steps.refused.connect(self.problem.show_text)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.kinds, 0, 0)
        layout.addWidget(self.steps, 0, 1)
        layout.addWidget(self.problem, 1, 0, 1, 2)
        self.kinds.activated.connect(lambda row: self.chosen.emit(BUDGETS[row]))
        self.steps.moved.connect(lambda value, _settled: self.steps_chosen.emit(value))

    def show_draft(self, draft: TrainingDraft) -> None:
        """Show a draft's budget, without a signal."""
        self.kinds.setCurrentText(draft.budget)
        self.steps.setVisible(draft.hours is None)
        self.steps.show_value(draft.steps)


class DeviceChoice(QComboBox):
    """The devices there are, the best first, with their free memory; before they are known, "auto" alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        as_choice(self, "device", "Where it trains; one run at a time, others wait.")
        self._devices: Sequence[Device] = ()
        self._unknown = "looking for devices…"

    @property
    def key(self) -> str:
        """The device that is chosen, as settings have it."""
        return str(self.currentData())

    def show_devices(self, devices: Sequence[Device], chosen: str) -> bool:
        """List the devices; return whether the chosen one is among them, or may be."""
        self._devices = devices
        with QSignalBlocker(self):
            self.clear()
            if devices:
                self.addItem(f"auto: {devices[0].key}, {devices[0].in_words()}", "auto")
                for one in devices:
                    self.addItem(f"{one.key}: {one.in_words()}", one.key)
            else:
                self.addItem(f"auto ({self._unknown})", "auto")
            row = self.findData(chosen)
            if row < 0 and not devices:
                self.addItem(chosen, chosen)
                row = self.count() - 1
            self.setCurrentIndex(max(row, 0))
        return row >= 0

    def show_problem(self, problem: str) -> None:
        """Say why the devices are not known; those that were known before stay listed."""
        self._unknown = f"not known: {problem}"
        self.show_devices(self._devices, self.key)

    def show_choice(self, chosen: str) -> bool:
        """Show which device is chosen; return whether it is there, or may be."""
        return self.show_devices(self._devices, chosen) if chosen != self.key else True

    def free(self, chosen: str) -> int | None:
        """Return the bytes of memory that are free on a device; None if that is not known."""
        if chosen == "auto":
            return self._devices[0].free if self._devices else None
        return {one.key: one.free for one in self._devices}.get(chosen)


def choice_box(name: str, tip: str) -> QComboBox:
    """Return a combo box that fits into a narrow dock and lets the wheel pass."""
    box = QComboBox()
    as_choice(box, name, tip)
    return box


def as_choice(box: QComboBox, name: str, tip: str) -> None:
    """Let a combo box fit into a narrow dock and let the wheel pass. name: for screen readers."""
    pass_wheel_on(box)
    box.setAccessibleName(name)
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(10)


def _steps_editor(parent: QWidget) -> NumberEditor:
    info = TrainingSettings.model_fields["max_steps"]
    field = FormField.of("max_steps", info)
    # Bounds and unit as declared; here a number is always given.
    editor = NumberEditor(replace(field, annotation=int).quantity, parent, widest="1,000,000")
    editor.name_for_screen_readers("steps", field.description)
    return editor
