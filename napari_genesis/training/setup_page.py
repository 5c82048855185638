"""What a user decides before a pre-training: data, recipe, budget, device; the rest is folded away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.jobs.scan_check import FolderCheck
from napari_genesis.jobs.step_time import TimedSettings
from napari_genesis.training.advanced import TRAINING_FIELDS, AdvancedSettings
from napari_genesis.training.choices import choice_box
from napari_genesis.training.data_panel import DataPanel
from napari_genesis.training.draft import PretrainDraft, RecipeChoice, recipe_names, studio_recipe
from napari_genesis.training.training_draft import TrainingDraft
from napari_genesis.training.training_setup import TrainingSetup

_FILE = "a recipe's file…"
# Scans named at once.
_NAMED = 3
_SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "network": ("network", ("width", "depth", "norm")),
    "sampling": ("sub-volumes", ("patch_size", "flips", "flip_probability", "filter", "min_tissue", "max_tries")),
    "training": ("training", TRAINING_FIELDS),
    "data": ("scans", ("modality", "spacing", "validation_fraction", "cache")),
    "": ("whole run", ("loss", "validation_samples", "seed")),
}


class SetupPage(TrainingSetup):
    """Shows a draft and changes it. edited(): the draft, or what is known of its data, is another."""

    draft: PretrainDraft

    def __init__(self, draft: PretrainDraft, studio_file: Path, parent: QWidget | None = None) -> None:
        super().__init__(draft, parent)
        self._studio_file = studio_file
        self.data = DataPanel()
        self.recipe = choice_box("recipe", "What sub-volumes are corrupted by; tuned in the Corruption Studio.")
        self.advanced = AdvancedSettings(draft, _SHOWN)
        self._arrange()
        self.data.chosen.connect(self._choose_data)
        self.data.checked.connect(self._checked)
        self.recipe.activated.connect(self._choose_recipe)
        self.advanced.edited.connect(self.edit)
        if draft.scans is not None:
            self.data.choose(draft.scans)
        self.list_recipes()
        self.show_devices(())

    def stop(self) -> None:
        """Look no further into what was chosen."""
        super().stop()
        self.data.checking.stop()

    @property
    def why_not(self) -> str:
        """What is missing before this can be started, in a sentence; empty if nothing is."""
        check = self.data.check
        if self.problem:
            return self.problem
        if self.data.path is None:
            return "Choose a folder of scans to learn from."
        if check is not None and check.done and (mixed := self._mixed(check)):
            return mixed
        if self.data.usable:
            return ""
        return "No scan of this folder can be used." if check is not None and check.done else "The scans are checked…"

    def _mixed(self, check: FolderCheck) -> str:
        """Say that CT and MR cannot be learnt from together, if they would be; "" otherwise."""
        found = check.modalities
        if not (found.get("ct") and found.get("mr")) or self.draft.resolved().data.modality != "auto":
            return ""
        fewer = min(found.values(), key=len)
        named = ", ".join(fewer[:_NAMED]) + (f" and {len(fewer) - _NAMED} more" if len(fewer) > _NAMED else "")
        return (
            f"{len(found['ct'])} of these scans look like CT and {len(found['mr'])} like MR (the fewer: {named}), and "
            "one mapping of intensities must serve all. Keep them in folders of their own, or say what they are under "
            "advanced, scans."
        )

    def edit(self, draft: TrainingDraft) -> None:
        """Take another draft."""
        assert isinstance(draft, PretrainDraft)
        other_recipe = draft.recipe != self.draft.recipe
        self.draft = draft
        if other_recipe:
            self.list_recipes()
        super().edit(self.draft)

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

    def show_all(self) -> None:
        """Show the draft."""
        super().show_all()
        self.advanced.show_draft(self.draft, self._free_name)
        self.show_estimate()

    def timed_settings(self) -> TimedSettings | None:
        """Return the settings of the run but for its recipe, on which no step's time depends; None if they are bad."""
        return None if self.problem else self.draft.resolved()

    def _checked(self) -> None:
        self.show_estimate()
        self.edited.emit()

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
        self.add_choices(grid, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        layout.addWidget(self.data)
        layout.addLayout(grid)
        layout.addWidget(self.estimate)
        layout.addWidget(self.advanced)
        layout.addStretch(1)
