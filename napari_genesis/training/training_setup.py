"""What the form of every training has: a draft, its budget and device, how long it would take, and why it cannot start.

What a training learns from, and what else is chosen, is said by those that derive from it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.preparing import why_not_named
from napari_genesis.jobs.step_time import StepTime, TimedSettings
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.choices import BudgetChoice, DeviceChoice
from napari_genesis.training.estimating import StepTimes, estimate
from napari_genesis.training.training_draft import TrainingDraft


class TrainingSetup(QWidget):
    """Shows a draft and changes it. edited(): the draft, or what is known of what it names, is another."""

    edited = Signal()

    def __init__(self, draft: TrainingDraft, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.draft = draft
        self._busy = False
        self._free_name = ""
        self._asked: TimedSettings | None = None
        # What does not fit together in the draft.
        self.problem = ""
        self.times = StepTimes(self)
        self.times.found.connect(self._timed)
        self.budget_choice = BudgetChoice()
        self.budget = self.budget_choice.kinds
        self.device = DeviceChoice()
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setAccessibleName("estimate")
        self.budget_choice.chosen.connect(lambda kind: self.edit(self.draft.with_budget(kind)))
        self.budget_choice.steps_chosen.connect(lambda steps: self.edit(replace(self.draft, steps=steps)))
        self.device.activated.connect(lambda _: self.edit(self.draft.with_device(self.device.key)))

    # What those that derive from it say.

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return (self.times.lane,)

    @property
    def why_not(self) -> str:
        """What is missing before this can be started, in a sentence; empty if nothing is."""
        raise NotImplementedError

    def stop(self) -> None:
        """Look no further into what was chosen."""
        self.times.give_up()

    def timed_settings(self) -> TimedSettings | None:
        """Return the settings of one training whose steps are worth timing; None where they are not known yet."""
        raise NotImplementedError

    def trainings(self, settings: TimedSettings) -> int:
        """Return how many such trainings are done, one after the other."""
        return 1

    # What is the same for all.

    def show_all(self) -> None:
        """Show the draft: here what every training has of it."""
        self.budget_choice.show_draft(self.draft)
        self.device.show_choice(self.draft.device)
        try:
            self.draft.resolved()
            self.problem = why_not_named(self.draft.name)
        except GenesisError as problem:
            self.problem = str(problem)

    @property
    def can_start(self) -> bool:
        """Whether there is anything to train on, and nothing speaks against it."""
        return not self.why_not

    def edit(self, draft: TrainingDraft) -> None:
        """Take another draft."""
        self.draft = draft
        self.show_all()
        self.edited.emit()

    def show_devices(self, devices: Sequence[Device]) -> None:
        """List the devices there are, the best first; before they are known, "auto" alone."""
        if not self.device.show_devices(devices, self.draft.device):
            self.draft = replace(self.draft, device="auto", device_is_picked=False)
        self.show_all()

    def prefer_device(self, device: str) -> None:
        """Take the device of the preferences, unless the user picked another one here."""
        self.draft = self.draft.preferring(device)
        if not self.device.show_choice(self.draft.device):
            self.draft = replace(self.draft, device="auto")
        self.show_all()

    def show_place(self, free_name: str, *, busy: bool) -> None:
        """Take note of the next free name, and whether the device is in use: the run will wait, and cannot be timed."""
        if (free_name, busy) != (self._free_name, self._busy):
            self._free_name, self._busy = free_name, busy
            self.show_all()

    def show_estimate(self, step: StepTime | str | None = None) -> None:
        """Show how long it takes. step: what was measured, or why it could not be; None: what is known is asked for."""
        settings = self.timed_settings()
        text = "" if settings is None else self._estimated(settings, step)
        self.estimate.setText(text)
        self.estimate.setVisible(bool(text))

    def _estimated(self, settings: TimedSettings, step: StepTime | str | None) -> str:
        # It takes all cores for some seconds: for somebody who looks, on a device that is free.
        may = not self._busy and self.isVisible() and self.can_start
        if step is None:
            step = self.times.ask(settings, may_measure=may)
        if isinstance(step, str):
            return f"The steps could not be timed: {step}"
        self._asked = settings
        waits = "Waits until the device is free. " if self._busy else ""
        free, trainings = self.device.free(self.draft.device), self.trainings(settings)
        return waits + estimate(settings, step, free, time.time(), measuring=may, trainings=trainings)

    def _timed(self, settings: object, step: StepTime | str) -> None:
        if settings == self._asked:
            self.show_estimate(step)

    def add_choices(self, grid: QGridLayout, row: int) -> None:
        """Put budget and device into two rows of a grid, from `row` on."""
        for name, widget in (("budget", self.budget_choice), ("device", self.device)):
            grid.addWidget(QLabel(name), row, 0)
            grid.addWidget(widget, row, 1)
            row += 1
        grid.setColumnStretch(1, 1)
