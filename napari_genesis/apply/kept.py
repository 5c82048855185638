"""What the Apply dock remembers from one day to the next, in one YAML file of the user's configuration folder.

A file that cannot be read is set aside, not overwritten, and the dock starts with its defaults.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.cli.segment import SegmentSettings
from genesis_core.errors import GenesisError, SettingsError
from genesis_core.settings import Settings, dump_yaml, read_yaml, setting, validate

_log = logging.getLogger(__name__)

# The options the dock shows; all are declared by the command, which restoring shares the first with.
OPTIONS = ("overlap", "flips", "largest_component", "fill_holes", "uncertainty")
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
    import platformdirs

    return Path(platformdirs.user_config_dir("napari-genesis", appauthor=False)) / "apply.yaml"


def read_kept(path: Path) -> Kept:
    """Return what was kept, or the defaults; a damaged file is renamed to end in .damaged.yaml, and that is logged."""
    if not path.exists():
        return Kept()
    try:
        kept = validate(Kept, read_yaml(path), where=str(path))
        options_of(kept.options)
    except GenesisError as problem:
        aside = path.with_suffix(".damaged.yaml")
        _log.warning("%s: %s; it is kept as %s, and the Apply dock starts anew", path, problem, aside.name)
        try:
            path.replace(aside)
        except OSError as again:
            _log.warning("%s cannot be renamed (%s)", path, again)
        return Kept()
    return kept


def write_kept(path: Path, kept: Kept) -> None:
    """Write the state. Raises SettingsError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump_yaml(kept.model_dump(mode="json")))
    except OSError as problem:
        raise SettingsError(f"{path}: the dock's state cannot be kept ({problem.strerror or problem})") from None
