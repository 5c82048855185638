"""What the Fine-tune dock has been told so far, and the settings that follow: what is not set is planned. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genesis_core.settings import validate
from genesis_core.training.finetune_settings import FinetuneSettings, RoundSettings
from napari_genesis.training.training_draft import TrainingDraft, assign, differing, set_words, with_budget

# Settings that say how the folder is read, and their spelling where it is only checked.
CHECK_OPTIONS = {
    "data.layout": "--layout",
    "data.labels": "--labels",
    "data.subject_pattern": "--subject-pattern",
    "data.subjects": "--subjects",
}
# What of a run's settings is decided when it starts, or has its place in the form.
_NOT_TAKEN = (
    "schema_version", "task", "cases", "plan", "out", "resume", "device", "source", "rounds", "data.labelled",
    "data.structures", "network.in_channels", "network.out_channels", "network.dims", "training.max_steps",
    "training.max_hours",
)  # fmt: skip
# What of a run that continues another one is that one's, whatever is set.
_OF_THE_RUN_BEFORE = (
    "data.regions", "data.modality", "data.axis_codes", "data.spacing", "data.intensity", "sampling.patch_size",
    "activation", "folds", "network",
)  # fmt: skip
_NAMES = "data.names"
_AS_SET = "as you set it."


@dataclass(frozen=True)
class FinetuneDraft(TrainingDraft):
    """One state of the Fine-tune dock's form.

    structures: those to learn; empty: all there are. rounds: the run that is continued, and how; None: none is.
    """

    steps: int = 1000
    labelled: Path | None = None
    structures: tuple[str, ...] = ()
    source: Path | None = None
    rounds: RoundSettings | None = None

    @property
    def names(self) -> dict[int, str]:
        """What numbers are called that have no names in the folder."""
        return {int(number): str(name) for number, name in (self.changed.get(_NAMES) or {}).items()}

    def with_names(self, names: Mapping[int, str]) -> FinetuneDraft:
        """Return the draft with other names for the numbers; none: as the folder has them."""
        if not names:
            return self.without_change(_NAMES)
        return replace(self, changed={**self.changed, _NAMES: dict(names)})

    def with_folder(self, labelled: Path | None) -> FinetuneDraft:
        """Return the draft with another folder, without what was said of the one before: how it is read, its labels."""
        changed = {key: value for key, value in self.changed.items() if key not in (*CHECK_OPTIONS, _NAMES)}
        return replace(self, labelled=labelled, structures=(), changed=changed)

    @classmethod
    def of_settings(cls, settings: FinetuneSettings) -> FinetuneDraft:
        """Return the draft of a run like one that there is; what its form has no place for stands in `changed`.

        What that run planned is planned again; what was set stays set.
        """
        from genesis_core.parallel import available_cores

        plan, training = settings.plan, settings.training
        planned = [key for key, reason in plan.items() if not reason.endswith(_AS_SET)]
        left_out = [*_NOT_TAKEN, *planned]
        if training.threads in (None, available_cores()):
            left_out.append("training.threads")
        if plan and settings.source is not None:
            # The source's network, but for what was set about it.
            left_out += [f"network.{key}" for key in settings.network.model_dump() if f"network.{key}" not in plan]
        if settings.data.regions and "activation" not in plan:
            left_out.append("activation")
        if settings.rounds is not None:
            left_out += _OF_THE_RUN_BEFORE
        base = FinetuneSettings().model_dump(mode="json")
        draft = cls(
            labelled=settings.data.labelled,
            structures=tuple(settings.data.structures),
            source=settings.source,
            rounds=settings.rounds,
            device=settings.device,
            changed=differing(settings.model_dump(mode="json"), base, left_out),
        )
        # Keys of JSON are texts.
        draft = draft.with_names(draft.names)
        were_set = "training.max_steps" in plan and "training.max_steps" not in planned
        return replace(draft, **with_budget(draft, training.max_hours, training.max_steps, steps_were_set=were_set))

    def settings(self, out: Path | None) -> FinetuneSettings:
        """Return the settings, in which what is to be planned is not given. Raises SettingsError for what cannot be."""
        values = self.values()
        if self.labelled is not None:
            assign(values, "data.labelled", self.labelled)
        if self.structures:
            assign(values, "data.structures", self.structures)
        if self.source is not None:
            values["source"] = self.source
        if self.rounds is not None:
            values["rounds"] = self.rounds
        values |= {"device": self.device, "out": out}
        return validate(FinetuneSettings, values, where="this run")

    def base(self) -> FinetuneSettings:
        return FinetuneSettings()

    def resolved(self) -> FinetuneSettings:
        return self.settings(None)

    def words(self, out: Path | None) -> list[str]:
        """Return the same run as the words of a command, without the program's name."""
        words = ["finetune", str(self.labelled or "LABELLED")]
        words += [] if out is None else ["--out", str(out)]
        words += [] if self.source is None else ["--source", str(self.source)]
        words += self.round_words() + self.structure_words()
        return [*words, *self.budget_words(), *self.set_words()]

    def round_words(self) -> list[str]:
        """Return which run is continued, and how, as the command takes it."""
        if self.rounds is None:
            return []
        corrected = [] if self.rounds.corrected is None else ["--corrected", str(self.rounds.corrected)]
        return ["--continue", str(self.rounds.previous), *corrected, "--start", self.rounds.start]

    def structure_words(self) -> list[str]:
        """Return which structures are learnt, as the command takes it."""
        if not self.structures:
            return []
        if any("," in name for name in self.structures):
            return set_words({"data.structures": self.structures})
        return ["--structures", ",".join(self.structures)]

    def check_words(self) -> list[str]:
        """Return how the folder is to be read, as the check takes it."""
        return [word for key, option in CHECK_OPTIONS.items() if key in self.changed
                for word in (option, str(self.changed[key]))]  # fmt: skip


def command_line(draft: FinetuneDraft, out: Path) -> str:
    """Return the same run as a command."""
    import shlex

    return shlex.join(["napari-genesis", *draft.words(out)])


def chosen_structures(ticked: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """Return `data.structures` for those that are ticked of those there are: nothing where that is all."""
    chosen = tuple(name for name in there if name in set(ticked))
    return () if chosen == tuple(there) else chosen


def plan_key(draft: FinetuneDraft) -> tuple[Any, ...]:
    """Return what a plan depends on."""
    return tuple(draft.words(None))
