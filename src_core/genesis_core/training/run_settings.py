"""run.yaml: writing a run's resolved settings, reading them again, and what may be changed when a run goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.errors import RunError, SettingsError
from genesis_core.settings import dump_yaml, read_yaml, validate
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder

# What may be changed when a run goes on: where things are and how long it may take, never what is computed.
_CHANGEABLE = ("out", "resume", "device", "data.scans", "data.cache", "training.max_hours")


def write_settings(run: RunFolder, settings: PretrainSettings) -> None:
    """Write run.yaml: every setting, the folder of scans relative to the run, nothing that names a patient."""
    values = settings.model_dump(mode="json", by_alias=True, exclude={"out", "resume"})
    values["recipe"] = settings.recipe.to_dict()
    scans = settings.data.scans
    if scans is not None:
        values["data"]["scans"] = _relative(scans, run.path)
    if settings.data.cache is not None:
        values["data"]["cache"] = _relative(settings.data.cache, run.path)
    write_text(run.settings_file, dump_yaml(values))


def read_settings(run: RunFolder) -> PretrainSettings:
    """Read run.yaml, its paths made relative to the working folder again. Raises RunError if it is damaged."""
    values = read_yaml(run.settings_file, RunError)
    data = values.get("data")
    for key in ("scans", "cache"):
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = os.path.normpath(run.path / data[key])
    return validate(PretrainSettings, values, where=str(run.settings_file), error=RunError)


def settings_to_resume(run: RunFolder, given: PretrainSettings) -> PretrainSettings:
    """Return the run's own settings, with what `given` may change about them.

    Raises SettingsError if `given` sets anything that would change what is computed.
    """
    stored = read_settings(run)
    refused = [
        key
        for key, value in _given(given)
        if key not in _CHANGEABLE and key != "schema_version" and value != _lookup(stored, key)
    ]
    if refused:
        raise SettingsError(
            f"{run.path} goes on with its own settings; {', '.join(refused)} cannot be changed by --resume. "
            f"Start a new run instead: --config {run.settings_file} --out NEW"
        )
    data = {name: value for name in ("scans", "cache") if (value := getattr(given.data, name)) is not None}
    update: dict[str, Any] = {"out": run.path, "data": stored.data.model_copy(update=data)}
    if "device" in given.model_fields_set:
        update["device"] = given.device
    if given.training.max_hours is not None:
        update["training"] = stored.training.model_copy(update={"max_hours": given.training.max_hours})
    return stored.model_copy(update=update)


def _given(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the dotted keys the caller gave, with their values; a recipe counts as one."""
    found: list[tuple[str, Any]] = []
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if name in ("data", "training", "sampling", "network"):
            found += _given(value, f"{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _lookup(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        # On Windows there is no relative path from one drive to another.
        return str(path.resolve())
