"""What docks remember from one day to the next: one YAML file each, in the user's configuration folder.

A file that cannot be read is set aside under another name, never overwritten, and the dock starts with its defaults.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from genesis_core.atomic import write_text
from genesis_core.errors import GenesisError, SettingsError
from genesis_core.settings import Settings, dump_yaml, read_yaml, validate

State = TypeVar("State", bound=Settings)
_log = logging.getLogger(__name__)


def state_file(dock: str) -> Path:
    """Return where the state of a dock is kept."""
    import platformdirs

    return Path(platformdirs.user_config_dir("napari-genesis", appauthor=False)) / f"{dock}.yaml"


def read_state(path: Path, model: type[State], check: Callable[[State], object] | None = None) -> State:
    """Return what was kept, or the defaults; a damaged file is renamed to end in .damaged.yaml, and that is logged.

    check: raises GenesisError for a state that the model alone does not see is damaged.
    """
    if not path.exists():
        return model()
    try:
        kept = validate(model, read_yaml(path), where=str(path))
        if check is not None:
            check(kept)
    except GenesisError as problem:
        aside = _free_name(path)
        _log.warning("%s: %s; it is kept as %s, and the dock starts anew", path, problem, aside.name)
        try:
            path.replace(aside)
        except OSError as again:
            _log.warning("%s cannot be renamed (%s)", path, again)
        return model()
    return kept


def write_state(path: Path, state: Settings) -> None:
    """Write a state. Raises SettingsError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump_yaml(state.model_dump(mode="json")))
    except OSError as problem:
        raise SettingsError(f"{path}: the dock's state cannot be kept ({problem.strerror or problem})") from None


def _free_name(path: Path) -> Path:
    aside, number = path.with_suffix(".damaged.yaml"), 1
    while aside.exists():
        number += 1
        aside = path.with_suffix(f".damaged{number}.yaml")
    return aside
