"""What the Fine-tune dock remembers from one day to the next, in one YAML file of the user's configuration folder."""

from __future__ import annotations

import logging
from pathlib import Path

from genesis_core.errors import SettingsError
from genesis_core.settings import Settings, Words, setting
from napari_genesis.dock_state import read_state, state_file, write_state
from napari_genesis.preferences import read_preferences
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft
from napari_genesis.training.training_draft import BUDGETS

_log = logging.getLogger(__name__)


class KeptDraft(Settings):
    """The choices of the last time; what was changed under "advanced" belongs to one run, and is not kept."""

    labelled: Path | None = setting(None, "Labelled folder, or table.")
    structures: Words = setting((), "Structures to learn; empty: all.")
    names: dict[int, str] = setting({}, "Names of its numbers.")
    source: Path | None = setting(None, "Run or model to start from.")
    budget: str = setting("1 hour", "Time, or steps.")
    steps: int = setting(1000, "Steps.", ge=1)
    device: str = setting("auto", "Where to train, if it was picked; else as in the preferences.")
    device_is_picked: bool = setting(False, "Whether the device was picked in the dock.")


def default_file() -> Path:
    """Return where the choices are kept."""
    return state_file("finetune")


def read_draft(path: Path) -> FinetuneDraft:
    """Return the draft that was kept, or a new one; a damaged file is set aside, as `read_state` does."""
    kept = read_state(path, KeptDraft)
    labelled = kept.labelled if kept.labelled is not None and kept.labelled.exists() else None
    draft = FinetuneDraft(
        labelled=labelled,
        structures=tuple(kept.structures) if labelled is not None else (),
        source=kept.source if kept.source is not None and kept.source.exists() else None,
        budget=next((kind for kind in BUDGETS if kind == kept.budget), "1 hour"),
        steps=kept.steps,
        device=kept.device,
        # A file of before this was kept says "auto" for want of a choice.
        device_is_picked=kept.device_is_picked or kept.device != "auto",
    )
    if labelled is not None:
        draft = draft.with_names(kept.names)
    return draft.preferring(read_preferences().device)


def write_draft(path: Path, draft: FinetuneDraft) -> None:
    """Keep a draft's choices; a folder that cannot be written is logged, since nothing else depends on it."""
    kept = KeptDraft(
        labelled=draft.labelled,
        structures=draft.structures,
        names=draft.names,
        source=draft.source,
        budget=draft.budget,
        steps=draft.steps,
        device=draft.device if draft.device_is_picked else "auto",
        device_is_picked=draft.device_is_picked,
    )
    try:
        write_state(path, kept)
    except SettingsError as problem:
        _log.warning("%s", problem)
