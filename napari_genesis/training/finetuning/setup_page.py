"""What a user decides before a fine-tuning: data, source, budget, device; the plan follows, the rest is folded away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from genesis_core.training.finetune_settings import FinetuneSettings
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.plan_asking import FoundPlan, PlanAsking
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.advanced import TRAINING_FIELDS, AdvancedSettings
from napari_genesis.training.choices import BudgetChoice, DeviceChoice
from napari_genesis.training.estimating import StepTimes, estimate
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft, chosen_structures
from napari_genesis.training.finetuning.labelled_panel import LabelledPanel
from napari_genesis.training.finetuning.plan_panel import PlanPanel
from napari_genesis.training.finetuning.source_panel import SourcePanel

_SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "": ("whole run", ("folds", "twins", "transfer", "activation", "validation_samples", "seed")),
    "network": ("network", ("width", "depth", "norm")),
    "sampling": ("sub-volumes", ("patch_size", "foreground")),
    "augmentation": (
        "augmentation",
        (
            "enabled",
            "recipe_probability",
            "rotation_probability",
            "scaling_probability",
            "flips",
            "noise_probability",
            "blur_probability",
            "brightness_probability",
            "contrast_probability",
            "gamma_probability",
        ),
    ),
    "freezing": ("what of the source may change", ("freeze", "warmup_share", "layer_decay")),
    "training": ("training", TRAINING_FIELDS),
    "data": (
        "cases",
        (
            "layout",
            "labels",
            "regions",
            "subject_pattern",
            "modality",
            "spacing",
            "intensity",
            "validation_fraction",
            "cache",
        ),
    ),
}
# Twins are two more trainings of the same length.
_WITH_TWINS = 3


class FinetuneSetup(QWidget):
    """Shows a draft and changes it. edited(): the draft, or what is known of data, source or plan, is another."""

    edited = Signal()

    def __init__(self, draft: FinetuneDraft, workspace: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.draft = draft
        self._busy = False
        self._free_name = ""
        self._asked: object = None
        self._problem = ""
        self.times = StepTimes(self)
        self.times.found.connect(self._timed)
        self.planning = PlanAsking(self)
        self.planning.found.connect(self._planned)
        self._wanted: tuple[str, ...] = ()
        self._plan: FoundPlan | None = None
        self.data = LabelledPanel()
        self.source = SourcePanel()
        self.budget_choice = BudgetChoice()
        self.budget = self.budget_choice.kinds
        self.device = DeviceChoice()
        self.plan = PlanPanel()
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setAccessibleName("estimate")
        self.advanced = AdvancedSettings(draft, _SHOWN, "plan")
        self._arrange()
        self.data.chosen.connect(self._choose_data)
        self.data.checked.connect(self._checked)
        self.data.ticked.connect(self._tick)
        self.source.chosen.connect(lambda path: self.edit(replace(self.draft, source=path)))
        self.budget_choice.chosen.connect(lambda kind: self.edit(self.draft.with_budget(kind)))
        self.budget_choice.steps_chosen.connect(lambda steps: self.edit(replace(self.draft, steps=steps)))
        self.device.activated.connect(lambda _: self.edit(replace(self.draft, device=self.device.key)))
        self.advanced.edited.connect(self._edit_advanced)
        self.source.look(workspace)
        self.load(draft)
        self.show_devices(())

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return (self.times.lane, self.source.lane)

    def stop(self) -> None:
        """Look no further into what was chosen."""
        self.data.checking.stop()
        self.planning.stop()
        self.source.importing.stop()

    @property
    def can_start(self) -> bool:
        """Whether there is anything to train on, and nothing speaks against it."""
        plan = self._plan
        refused = plan is not None and bool(plan.problem) and plan.words == self._wanted
        return self.data.usable > 0 and not (self._problem or self.source.waits or refused)

    def load(self, draft: FinetuneDraft) -> None:
        """Take a draft that did not come from this form, and check its folder."""
        self.draft = draft
        self.source.choose(draft.source)
        self.data.choose(draft.labelled, draft.structures, draft.check_words())

    def edit(self, draft: FinetuneDraft) -> None:
        """Take another draft."""
        self.draft = draft
        self.show_all()
        self.edited.emit()

    def show_devices(self, devices: Sequence[Device]) -> None:
        """List the devices there are, the best first; before they are known, "auto" alone."""
        if not self.device.show_devices(devices, self.draft.device):
            self.draft = replace(self.draft, device="auto")
        self.show_all()

    def show_place(self, free_name: str, *, busy: bool) -> None:
        """Take note of the next free name, and whether the device is in use: the run will wait, and cannot be timed."""
        if (free_name, busy) != (self._free_name, self._busy):
            self._free_name, self._busy = free_name, busy
            self.show_all()

    def show_all(self) -> None:
        """Show the draft, and ask for the plan of another one."""
        draft = self.draft
        self.budget_choice.show_draft(draft)
        self.device.show_choice(draft.device)
        try:
            draft.resolved()
            self._problem = ""
        except GenesisError as problem:
            self._problem = str(problem)
        self._ask_plan()
        current = self._current
        self.advanced.show_draft(draft, self._free_name, None if current is None else current.settings)
        self.plan.show_plan(self._plan, waiting=self.planning.busy)
        self._estimate()

    @property
    def _current(self) -> FoundPlan | None:
        """The plan of what is chosen, if it is known."""
        plan = self._plan
        return plan if plan is not None and plan.words == self._wanted and plan.settings is not None else None

    def _ask_plan(self) -> None:
        """Ask for the plan, once the folder is known to be one; while nobody looks, nothing is asked."""
        if self._problem or not self.data.usable:
            self._wanted, self._plan = (), None
            self.planning.stop()
            return
        words = tuple(self.draft.words(None))
        if words != self._wanted and self.isVisible():
            self._wanted = words
            self.planning.ask(words)

    def _planned(self, plan: FoundPlan) -> None:
        if plan.words != self._wanted:
            return
        self._plan = plan
        self.show_all()
        self.edited.emit()

    def _estimate(self, step: StepTime | str | None = None) -> None:
        text = self._estimated(step)
        self.estimate.setText(text)
        self.estimate.setVisible(bool(text))

    def _estimated(self, step: StepTime | str | None) -> str:
        """Return what speaks against a start, or how long it takes; nothing before the plan is known."""
        check = self.data.check
        if self._problem or self.source.waits:
            return self._problem or self.source.waits
        if check is not None and check.done and self.data.structures.names and not self.data.structures.chosen:
            return "Tick at least one structure."
        plan = self._current
        if plan is None or plan.settings is None:
            return ""
        settings = self._with_channels(plan.settings)
        # It takes all cores for some seconds: for somebody who looks, on a device that is free.
        may = not self._busy and self.isVisible()
        if step is None:
            step = self.times.ask(settings, may_measure=may)
        if isinstance(step, str):
            return f"The steps could not be timed: {step}"
        self._asked = settings
        free = self.device.free(self.draft.device)
        trainings = (settings.folds or 1) * (_WITH_TWINS if settings.twins else 1)
        waits = "Waits until the device is free. " if self._busy else ""
        return waits + estimate(settings, step, free, time.time(), measuring=may, trainings=trainings)

    def _timed(self, settings: object, step: StepTime | str) -> None:
        if settings == self._asked:
            self._estimate(step)

    def _with_channels(self, settings: FinetuneSettings) -> FinetuneSettings:
        """Return planned settings with the network's channels, which a run learns from the prepared cases."""
        check = self.data.check
        channels = len(check.summary.get("channels") or ()) if check is not None else 1
        classes = len(settings.data.regions) or len(self.data.structures.chosen)
        network = settings.network.model_copy(
            update={"in_channels": max(channels, 1), "out_channels": max(classes, 1) + 1}
        )
        return settings.model_copy(update={"network": network})

    def _choose_data(self, path: Path | None) -> None:
        same = path == self.draft.labelled
        self.edit(replace(self.draft, labelled=path, structures=self.draft.structures if same else ()))

    def _checked(self) -> None:
        self._tick(self.data.structures.chosen)

    def _tick(self, names: Sequence[str]) -> None:
        check = self.data.check
        if check is not None and check.done and not check.problem:
            chosen = chosen_structures(names, self.data.structures.names)
            self.edit(replace(self.draft, structures=chosen))
        else:
            self.show_all()
            self.edited.emit()

    def _edit_advanced(self, draft: FinetuneDraft) -> None:
        self.edit(draft)
        self.data.read_as(draft.check_words())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Ask for what was not asked while nobody looked."""
        super().showEvent(event)
        self.show_all()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Plan for nobody: what was asked is asked again once somebody looks."""
        super().hideEvent(event)
        if self.planning.busy:
            self.planning.stop()
            self._wanted = ()

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.addWidget(QLabel("budget"), 0, 0)
        grid.addWidget(self.budget_choice, 0, 1)
        grid.addWidget(QLabel("device"), 1, 0)
        grid.addWidget(self.device, 1, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        layout.addWidget(self.data)
        layout.addWidget(self.source)
        layout.addLayout(grid)
        layout.addWidget(self.plan)
        layout.addWidget(self.estimate)
        layout.addWidget(self.advanced)
        layout.addStretch(1)
