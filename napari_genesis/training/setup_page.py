"""What a user decides before a pre-training: data, recipe, budget, device; the rest is folded away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.advanced import TRAINING_FIELDS, AdvancedSettings
from napari_genesis.training.choices import BudgetChoice, DeviceChoice, choice_box
from napari_genesis.training.data_panel import DataPanel
from napari_genesis.training.draft import PretrainDraft, RecipeChoice, recipe_names, studio_recipe
from napari_genesis.training.estimating import StepTimes, estimate

_FILE = "a recipe's file…"
_SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "network": ("network", ("width", "depth", "norm")),
    "sampling": ("sub-volumes", ("patch_size", "flips", "flip_probability", "filter", "min_tissue", "max_tries")),
    "training": ("training", TRAINING_FIELDS),
    "data": ("scans", ("modality", "spacing", "validation_fraction", "cache")),
    "": ("whole run", ("loss", "validation_samples", "seed")),
}


class SetupPage(QWidget):
    """Shows a draft and changes it. edited(): the draft, or what is known of its data, is another."""

    edited = Signal()

    def __init__(self, draft: PretrainDraft, studio_file: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.draft = draft
        self._studio_file = studio_file
        self._busy = False
        self._free_name = ""
        self._asked: object = None
        self._problem = ""
        self.times = StepTimes(self)
        self.times.found.connect(self._timed)
        self.data = DataPanel()
        self.recipe = choice_box("recipe", "What sub-volumes are corrupted by; tuned in the Corruption Studio.")
        self.budget_choice = BudgetChoice()
        self.budget = self.budget_choice.kinds
        self.device = DeviceChoice()
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setAccessibleName("estimate")
        self.advanced = AdvancedSettings(draft, _SHOWN)
        self._arrange()
        self.data.chosen.connect(self._choose_data)
        self.data.checked.connect(self.edited)
        self.recipe.activated.connect(self._choose_recipe)
        self.budget_choice.chosen.connect(lambda kind: self.edit(self.draft.with_budget(kind)))
        self.budget_choice.steps_chosen.connect(lambda steps: self.edit(replace(self.draft, steps=steps)))
        self.device.activated.connect(lambda _: self.edit(replace(self.draft, device=self.device.key)))
        self.advanced.edited.connect(self.edit)
        if draft.scans is not None:
            self.data.choose(draft.scans)
        self.list_recipes()
        self.show_devices(())

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return (self.times.lane,)

    def stop(self) -> None:
        """Look no further into what was chosen."""
        self.data.checking.stop()

    @property
    def can_start(self) -> bool:
        """Whether there is anything to train on."""
        return self.data.usable > 0 and not self._problem

    def edit(self, draft: PretrainDraft) -> None:
        """Take another draft."""
        other_recipe = draft.recipe != self.draft.recipe
        self.draft = draft
        if other_recipe:
            self.list_recipes()
        self.show_all()
        self.edited.emit()

    def load(self, draft: PretrainDraft) -> None:
        """Take a draft that did not come from this form, and check its scans."""
        self.draft = draft
        self.list_recipes()
        self.data.choose(draft.scans)

    def list_recipes(self) -> None:
        """List the recipes there are: presets, the Studio's own, the file that was chosen."""
        choices = [(name, RecipeChoice("preset", name)) for name in recipe_names()]
        own = studio_recipe(self._studio_file)
        if own is not None:
            choices.append((f"as in the Studio ({own.name})", RecipeChoice("studio", own.name)))
        chosen = self.draft.recipe
        if chosen.kind == "file" and chosen.path is not None:
            choices.append((chosen.path.name, chosen))
        with QSignalBlocker(self.recipe):
            self.recipe.clear()
            for text, choice in choices:
                self.recipe.addItem(text, choice)
            self.recipe.addItem(_FILE)
            same = [n for n, (_, one) in enumerate(choices) if (one.kind, one.path) == (chosen.kind, chosen.path)]
            named = [n for n in same if chosen.kind != "preset" or choices[n][1].name == chosen.name]
            self.recipe.setCurrentIndex(named[0] if named else 0)
        if not named:
            self.draft = replace(self.draft, recipe=RecipeChoice())

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
        """Show the draft."""
        draft = self.draft
        self.budget_choice.show_draft(draft)
        self.device.show_choice(draft.device)
        self.advanced.show_draft(draft, self._free_name)
        self._estimate()

    def _estimate(self, step: StepTime | str | None = None) -> None:
        try:
            settings = self.draft.settings(None, None)
        except GenesisError as problem:
            self._problem = str(problem)
            self.estimate.setText(self._problem)
            return
        self._problem = ""
        # It takes all cores for some seconds: for somebody who has data to train on, on a device that is free.
        may = self.data.path is not None and not self._busy and self.isVisible()
        if step is None:
            step = self.times.ask(settings, may_measure=may)
        if isinstance(step, str):
            self.estimate.setText(f"The steps could not be timed: {step}")
            return
        self._asked = settings
        waits = "Waits until the device is free. " if self._busy else ""
        text = estimate(settings, step, self.device.free(self.draft.device), time.time(), measuring=may)
        self.estimate.setText(waits + text)

    def _timed(self, settings: object, step: StepTime | str) -> None:
        if settings == self._asked:
            self._estimate(step)

    def _choose_data(self, path: Path | None) -> None:
        self.edit(replace(self.draft, scans=path))

    def _choose_recipe(self, row: int) -> None:
        choice = self.recipe.itemData(row)
        if choice is None:
            name, _ = QFileDialog.getOpenFileName(self, "Open a recipe", "", "Recipe (*.yaml *.yml)")
            choice = RecipeChoice("file", Path(name).stem, Path(name)) if name else self.draft.recipe
        self.draft = replace(self.draft, recipe=choice)
        self.list_recipes()
        self.edit(self.draft)

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.addWidget(QLabel("recipe"), 0, 0)
        grid.addWidget(self.recipe, 0, 1)
        grid.addWidget(QLabel("budget"), 1, 0)
        grid.addWidget(self.budget_choice, 1, 1)
        grid.addWidget(QLabel("device"), 2, 0)
        grid.addWidget(self.device, 2, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        layout.addWidget(self.data)
        layout.addLayout(grid)
        layout.addWidget(self.estimate)
        layout.addWidget(self.advanced)
        layout.addStretch(1)
