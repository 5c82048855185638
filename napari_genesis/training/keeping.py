"""What the Pretrain dock remembers from one day to the next, in one YAML file of the user's configuration folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from genesis_core.errors import SettingsError
from genesis_core.settings import Settings, setting
from napari_genesis.dock_state import read_state, state_file, write_state
from napari_genesis.preferences import read_preferences
from napari_genesis.training.draft import PRESET_NAMES, PretrainDraft, RecipeChoice
from napari_genesis.training.training_draft import BUDGETS

_log = logging.getLogger(__name__)


class KeptDraft(Settings):
    """The choices of the last time; what was changed under "advanced" belongs to one run, and is not kept."""

    scans: Path | None = setting(None, "Folder of scans.")
    recipe_kind: Literal["preset", "studio", "file"] = setting("preset", "Where the recipe comes from.")
    recipe_name: str = setting("genesis", "Its name.")
    recipe_path: Path | None = setting(None, "Its file.")
    budget: str = setting("1 hour", "Time, or steps.")
    steps: int = setting(2000, "Steps.", ge=1)
    device: str = setting("auto", "Where to train, if it was picked; else as in the preferences.")
    device_is_picked: bool = setting(False, "Whether the device was picked in the dock.")
    preset: str = setting("standard", "Preset.")


def default_file() -> Path:
    """Return where the choices are kept."""
    return state_file("pretrain")


def read_draft(path: Path) -> PretrainDraft:
    """Return the draft that was kept, or a new one; a damaged file is set aside, as `read_state` does."""
    kept = read_state(path, KeptDraft)
    known = PretrainDraft()
    file_is_there = kept.recipe_kind != "file" or (kept.recipe_path is not None and kept.recipe_path.is_file())
    draft = PretrainDraft(
        scans=kept.scans if kept.scans is not None and kept.scans.exists() else None,
        recipe=RecipeChoice(kept.recipe_kind, kept.recipe_name, kept.recipe_path) if file_is_there else known.recipe,
        budget=next((kind for kind in BUDGETS if kind == kept.budget), known.budget),
        steps=kept.steps,
        device=kept.device,
        # A file of before this was kept says "auto" for want of a choice.
        device_is_picked=kept.device_is_picked or kept.device != "auto",
        preset=kept.preset if kept.preset in PRESET_NAMES else known.preset,
    )
    return draft.preferring(read_preferences().device)


def write_draft(path: Path, draft: PretrainDraft) -> None:
    """Keep a draft's choices; a folder that cannot be written is logged, since nothing else depends on it."""
    kept = KeptDraft(
        scans=draft.scans,
        recipe_kind=draft.recipe.kind,
        recipe_name=draft.recipe.name,
        recipe_path=draft.recipe.path,
        budget=draft.budget,
        steps=draft.steps,
        device=draft.device if draft.device_is_picked else "auto",
        device_is_picked=draft.device_is_picked,
        preset=draft.preset,
    )
    try:
        write_state(path, kept)
    except SettingsError as problem:
        _log.warning("%s", problem)
