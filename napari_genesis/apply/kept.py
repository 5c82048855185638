"""What the Apply dock remembers from one day to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genesis_core.cli.segment_settings import SegmentSettings
from genesis_core.settings import Settings, setting, validate
from napari_genesis.dock_state import read_state, state_file

# The options the dock shows; all are declared by the command, which restoring shares the first with.
OPTIONS = ("overlap", "flips", "largest_component", "fill_holes", "structures", "organ_rules", "uncertainty")
# What the command needs besides, and the dock asks for elsewhere.
_PLACES = {"scan": Path("SCAN"), "model": (Path("MODEL"),), "out": Path("RESULTS")}


class Kept(Settings):
    """The state of an Apply dock."""

    model: Path | None = setting(None, "The model that was chosen.")
    folders: tuple[Path, ...] = setting((), "Folders of models that the user chose, beside those of the workspace.")
    whole_folder: bool = setting(False, "Whether a folder is worked on, not the open layer.")
    scans: str = setting("", "Folder of scans.")
    results: str = setting("", "Folder for the results.")
    leave_out_finished: bool = setting(False, "Whether scans of the folder that are finished are left out.")
    options: dict[str, Any] = setting({}, "Options that differ from the command's defaults.")
    structures: dict[str, tuple[str, ...]] = setting({}, "Structures that are kept, by the folder of each model.")
    structures_open: bool = setting(False, "Whether the structures are unfolded.")
    card_open: bool = setting(True, "Whether the card is unfolded.")
    options_open: bool = setting(False, "Whether the options are unfolded.")


def options_of(values: dict[str, Any]) -> SegmentSettings:
    """Return options, checked, as the command's settings. Raises SettingsError for what they cannot be."""
    return validate(SegmentSettings, {**_PLACES, **values}, where="options")


def changed_options(settings: SegmentSettings) -> dict[str, Any]:
    """Return those options that differ from their defaults, as plain values."""
    values = settings.model_dump(mode="json", include=set(OPTIONS))
    defaults = options_of({}).model_dump(mode="json", include=set(OPTIONS))
    return {name: value for name, value in values.items() if value != defaults[name]}


def default_file() -> Path:
    """Return where the state is kept."""
    return state_file("apply")


def read_kept(path: Path) -> Kept:
    """Return what was kept, or the defaults, as `read_state` does."""
    return read_state(path, Kept, lambda kept: options_of(kept.options))
