"""What a user decides before a fine-tuning: data, source, budget, device; the plan follows, the rest is folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from genesis_core.training.finetune_settings import FinetuneSettings
from napari_genesis.jobs.plan_asking import FoundPlan, PlanAsking
from napari_genesis.jobs.step_time import TimedSettings
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.advanced import TRAINING_FIELDS, AdvancedSettings
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft, chosen_structures
from napari_genesis.training.finetuning.labelled_panel import LabelledPanel
from napari_genesis.training.finetuning.plan_panel import PlanPanel
from napari_genesis.training.finetuning.round_note import RoundNote
from napari_genesis.training.finetuning.source_panel import SourcePanel
from napari_genesis.training.training_setup import TrainingSetup

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


class FinetuneSetup(TrainingSetup):
    """Shows a draft and changes it. edited(): the draft, or what is known of data, source or plan, is another."""

    draft: FinetuneDraft

    def __init__(self, draft: FinetuneDraft, workspace: Path, parent: QWidget | None = None) -> None:
        super().__init__(draft, parent)
        self.planning = PlanAsking(self)
        self.planning.found.connect(self._planned)
        self._wanted: tuple[str, ...] = ()
        self._plan: FoundPlan | None = None
        self.data = LabelledPanel()
        self.source = SourcePanel()
        self.round = RoundNote()
        self.plan = PlanPanel()
        self.advanced = AdvancedSettings(draft, _SHOWN, "plan")
        self._arrange()
        self.data.chosen.connect(self._choose_data)
        self.data.checked.connect(self._checked)
        self.data.ticked.connect(self._tick)
        self.data.renamed.connect(self._rename)
        self.source.chosen.connect(lambda path: self.edit(replace(self.draft, source=path)))
        self.round.left.connect(lambda: self.edit(replace(self.draft, rounds=None)))
        self.advanced.edited.connect(self._edit_advanced)
        self.source.look(workspace)
        self.load(draft)
        self.show_devices(())

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it has work done in; they end with the dock."""
        return (*super().lanes, self.source.lane, self.source.recognising)

    def stop(self) -> None:
        """Look no further into what was chosen."""
        super().stop()
        self.data.checking.stop()
        self.planning.stop()
        self.source.importing.stop()

    @property
    def why_not(self) -> str:
        """What is missing before this can be started, in a sentence; empty if nothing is."""
        if self.problem or self.source.waits:
            return self.problem or self.source.waits
        check, plan = self.data.check, self._plan
        if self.data.path is None:
            return "Choose a labelled folder to learn from."
        if check is None or not check.done:
            return "The folder is checked…"
        if check.problem or not check.usable:
            return "No case of this folder can be learnt from."
        if not self.data.structures.chosen:
            return "Tick at least one structure."
        refused = plan is not None and bool(plan.problem) and plan.words == self._wanted
        return "There is no plan for this: see above." if refused else ""

    def load(self, draft: FinetuneDraft) -> None:
        """Take a draft that did not come from this form, and check its folder."""
        self.draft = draft
        self.source.choose(draft.source)
        self.data.choose(draft.labelled, draft.structures, draft.check_words(), draft.names)

    def show_all(self) -> None:
        """Show the draft, and ask for the plan of another one."""
        super().show_all()
        self.round.show_round(self.draft.rounds)
        self._ask_plan()
        current = self._current
        self.advanced.show_draft(self.draft, self._free_name, None if current is None else current.settings)
        self.plan.show_plan(self._plan, waiting=self.planning.busy)
        self.show_estimate()

    @property
    def _current(self) -> FoundPlan | None:
        """The plan of what is chosen, if it is known."""
        plan = self._plan
        return plan if plan is not None and plan.words == self._wanted and plan.settings is not None else None

    def _ask_plan(self) -> None:
        """Ask for the plan, once the folder is known to be one; while nobody looks, nothing is asked."""
        if self.problem or not self.data.usable:
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

    def timed_settings(self) -> TimedSettings | None:
        """Return the planned settings; None before the plan is known, and where there is none."""
        plan = self._current
        return None if self.why_not or plan is None or plan.settings is None else self._with_channels(plan.settings)

    def trainings(self, settings: TimedSettings) -> int:
        """Return how many trainings there are: one a fold, and their twins."""
        assert isinstance(settings, FinetuneSettings)
        return (settings.folds or 1) * (_WITH_TWINS if settings.twins else 1)

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
        if path == self.draft.labelled:
            self.edit(self.draft)
        else:
            self.edit(self.draft.with_folder(path))

    def _checked(self) -> None:
        self._tick(self.data.structures.chosen)

    def _rename(self, names: Mapping[int, str]) -> None:
        self.draft = self.draft.with_names(names)
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
        self.add_choices(grid, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(8)
        layout.addWidget(self.round)
        layout.addWidget(self.data)
        layout.addWidget(self.source)
        layout.addLayout(grid)
        layout.addWidget(self.plan)
        layout.addWidget(self.estimate)
        layout.addWidget(self.advanced)
        layout.addStretch(1)
