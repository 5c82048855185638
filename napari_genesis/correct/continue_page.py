"""Continuing training with what was accepted: how it begins, how long, where; the rounds so far; the run at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.correct.reviews import ReviewRead
from napari_genesis.correct.rounds_panel import RoundsPanel
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.job import Job
from napari_genesis.training.choices import DeviceChoice, choice_box
from napari_genesis.training.run_page import RunPage
from napari_genesis.training.training_draft import HOURS

_SUGGESTED, _STEPS = "suggested", "steps"
# Before the core's suggestion is known.
_STEPS_AT_FIRST = 500
_STARTS = {
    "previous": (
        "go on from the last checkpoint",
        "Quick, and usually enough for a few new cases. The schedule of the last training is over, so the learning "
        "rate is warmed up and falls again, with a fresh optimiser; every fold goes on from its own model.",
    ),
    "source": (
        "begin again from the source",
        "As long as the first training, on all cases from the start: the fair comparison, and the better choice once "
        "many cases are new or a structure was drawn wrongly everywhere.",
    ),
}
_FROZEN = (
    "Whoever was held out in round 0 stays held out in every round, and corrected cases only train: the Dice of the "
    "rounds can be compared. Accepting never starts a training by itself."
)


@dataclass(frozen=True)
class ContinueChoice:
    """How a training is continued. max_steps, max_hours: None where it is left to the core's suggestion."""

    start: Literal["previous", "source"] = "previous"
    max_steps: int | None = None
    max_hours: float | None = None
    device: str = "auto"


class ContinuePage(QWidget):
    """edited(): another choice."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rounds = RoundsPanel()
        self.what = QLabel()
        self.what.setWordWrap(True)
        self.what.setAccessibleName("what is new")
        self.starts = {kind: QRadioButton(words) for kind, (words, _) in _STARTS.items()}
        self._group = QButtonGroup(self)
        self.budget = choice_box("budget", "How long it trains. A run can be stopped, and gone on with, at any time.")
        self.device = DeviceChoice()
        # Of the preferences, until the user picks another.
        self._device, self._device_is_picked = "auto", False
        for words in (_SUGGESTED, *HOURS, _STEPS):
            self.budget.addItem(words, words)
        self.steps = NumberEditor(Quantity(True, 1, None))
        self.steps.name_for_screen_readers("steps", "How many steps it trains.")
        self._suggested = _STEPS_AT_FIRST
        self.steps.show_value(self._suggested)
        self.form = self._make_form()
        self.run = RunPage({}, ("", ""))
        # Rounds are compared by their Dice, in the table above.
        self.run.curves.compare.hide()
        self._arrange()
        for button in self.starts.values():
            button.toggled.connect(lambda on: self.edited.emit() if on else None)
        self.budget.currentIndexChanged.connect(lambda _: self._changed())
        self.device.activated.connect(lambda _: self._pick_device())
        self.steps.moved.connect(lambda _value, _settled: self.edited.emit())
        self.show_devices(())
        self.show_job(None, [])
        self._changed()

    @property
    def choice(self) -> ContinueChoice:
        """What is chosen."""
        start: Literal["previous", "source"] = "source" if self.starts["source"].isChecked() else "previous"
        budget = self.budget.currentData()
        steps = int(self.steps.value) if budget == _STEPS else None
        return ContinueChoice(start, steps, HOURS.get(budget), self.device.key)

    def show_review(self, read: ReviewRead | None) -> None:
        """Show the rounds, and what is new since the last."""
        self.rounds.show_rounds(() if read is None else read.rounds, {} if read is None else read.colours)
        if read is None:
            self.what.setText("No review is open.")
            return
        last = read.rounds[-1].number if read.rounds else 0
        if read.since:
            cases = "case is" if read.since == 1 else "cases are"
            self.what.setText(f"{read.since} accepted {cases} new since round {last}; {read.accepted} in all.")
        elif read.accepted:
            self.what.setText(f"No case was accepted since round {last}; {read.accepted} in all.")
        else:
            self.what.setText("No case is accepted yet. Correct and accept some first; a handful is worth a round.")

    def show_suggestion(self, steps: int | None) -> None:
        """Show how many steps the core suggests; None while that is not known."""
        self.budget.setItemText(0, _SUGGESTED if steps is None else f"{_SUGGESTED}: {steps:,} steps")
        if steps is not None:
            # The number to begin with, until the user has another.
            if self.steps.value == self._suggested:
                self.steps.show_value(steps)
            self._suggested = steps

    def show_devices(self, devices: Sequence[Device]) -> None:
        """List the devices there are, the best first; before they are known, "auto" alone."""
        self.device.show_devices(devices, self._device)

    def prefer_device(self, device: str) -> None:
        """Take the device of the preferences, unless the user picked another one here."""
        if not self._device_is_picked:
            self._device = device
            self.device.show_choice(device)
            self.edited.emit()

    def _pick_device(self) -> None:
        self._device, self._device_is_picked = self.device.key, True
        self.edited.emit()

    def show_job(self, job: Job | None, ahead: list[str]) -> None:
        """Show a training at work in place of the form; None: the form."""
        self.form.setVisible(job is None)
        self.run.setVisible(job is not None)
        if job is not None:
            self.run.show_job(job, ahead)
            self.run.previews.hide()

    def _changed(self) -> None:
        self.steps.setVisible(self.budget.currentData() == _STEPS)
        self.edited.emit()

    def _make_form(self) -> QWidget:
        form = QWidget()
        column = QVBoxLayout(form)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.what)
        for kind, button in self.starts.items():
            self._group.addButton(button)
            tip = SmallLabel()
            tip.show_text(_STARTS[kind][1])
            tip.setContentsMargins(22, 0, 0, 3)
            column.addWidget(button)
            column.addWidget(tip)
        self.starts["previous"].setChecked(True)
        budget = QHBoxLayout()
        budget.setSpacing(4)
        budget.addWidget(self.budget, 1)
        budget.addWidget(self.steps)
        grid = QGridLayout()
        grid.setContentsMargins(0, 4, 0, 4)
        grid.setVerticalSpacing(6)
        grid.addWidget(QLabel("budget"), 0, 0)
        grid.addLayout(budget, 0, 1)
        grid.addWidget(QLabel("device"), 1, 0)
        grid.addWidget(self.device, 1, 1)
        grid.setColumnStretch(1, 1)
        column.addLayout(grid)
        frozen = SmallLabel()
        frozen.setAccessibleName("about held-out cases")
        frozen.show_text(_FROZEN)
        column.addWidget(frozen)
        return form

    def _arrange(self) -> None:
        scrolled = QWidget()
        column = QVBoxLayout(scrolled)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(8)
        for widget in (self.rounds, self.form, self.run):
            column.addWidget(widget)
        column.addStretch(1)
        area: Any = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(scrolled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
