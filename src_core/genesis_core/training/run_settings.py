"""run.yaml: writing a run's resolved settings, reading them again, and what may be changed when a run goes on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from genesis_core.atomic import write_text
from genesis_core.errors import RunError, SettingsError
from genesis_core.settings import dump_yaml, read_yaml, validate
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder

# What may be changed when a run goes on: where things are and how long it may take, never what is computed.
_CHANGEABLE = ("out", "resume", "device", "data.path_map", "training.max_hours", "twins")
# Where things are, by task: dotted keys of folders and files.
_PATHS = {
    "restoration": ("data.scans", "data.series", "data.cache"),
    "segmentation": ("data.labelled", "data.subjects", "data.cache", "source", "rounds.previous", "rounds.corrected"),
}
_GROUPS = ("data", "training", "sampling", "network", "augmentation", "freezing", "rounds")

RunSettings = PretrainSettings | FinetuneSettings
S = TypeVar("S", PretrainSettings, FinetuneSettings)


def write_settings(run: RunFolder, settings: RunSettings) -> None:
    """Write run.yaml: every setting, folders relative to the run, scans and cases by their pseudonyms.

    Of a fine-tuning without a plan only what was set: a default there would be obeyed, as set, when the plan is made.
    A folder's own name may tell of a patient or a study; it is needed to go on, and the one name that is written.
    """
    if not run.writes:
        return
    values = settings.model_dump(mode="json", by_alias=True, exclude={"out", "resume"})
    if isinstance(settings, PretrainSettings):
        values["recipe"] = settings.recipe.to_dict()
    for group, name in _path_places(settings.task, values):
        group[name] = _relative(Path(group[name]), run.path)
    if isinstance(settings, FinetuneSettings) and not settings.plan:
        given = settings.model_dump(mode="json", by_alias=True, exclude={"out", "resume"}, exclude_unset=True)
        values = _only(values, {"schema": 1, "task": settings.task, **given})
    write_text(run.settings_file, dump_yaml(values))


def read_settings(run: RunFolder) -> RunSettings:
    """Read run.yaml, its paths made absolute. Raises RunError if it is damaged."""
    values = read_yaml(run.settings_file, RunError)
    task = values.get("task")
    if task not in _PATHS:
        raise RunError(f"{run.settings_file}: unknown task {task!r}; known are {', '.join(_PATHS)}")
    for group, name in _path_places(task, values):
        # They are relative to where the folder really is: one may reach it through a link.
        group[name] = os.path.normpath(run.path.resolve() / group[name])
    if task == "restoration":
        return validate(PretrainSettings, values, where=str(run.settings_file), error=RunError)
    return validate(FinetuneSettings, values, where=str(run.settings_file), error=RunError)


def settings_to_resume(run: RunFolder, given: S) -> S:
    """Return the run's own settings, with what `given` may change about them.

    Raises SettingsError if `given` sets anything that would change what is computed, RunError for another task's run.
    """
    stored = read_settings(run)
    if not isinstance(stored, type(given)):
        raise RunError(f"{run.path} is a run of {stored.task}, not of {given.task}; go on with it by its own command")
    paths: tuple[str, ...] = _PATHS[given.task]
    refused = [
        key
        for key, value in _given(given)
        if key not in (*_CHANGEABLE, *paths)
        and key != "schema_version"
        and value != _lookup(stored, key)
        and not (value in (None, "auto") and value == _default(given, key))
    ]
    if refused:
        raise SettingsError(
            f"{run.path} goes on with its own settings; {', '.join(refused)} cannot be changed by --resume. "
            f"Start a new run instead: --config {shlex.quote(str(run.settings_file))} --out NEW"
        )
    moved = {key: value for key in paths if (value := _lookup(given, key)) is not None}
    data = {key.removeprefix("data."): value for key, value in moved.items() if key.startswith("data.")}
    if isinstance(given, PretrainSettings):
        data["path_map"] = given.data.path_map
    update: dict[str, Any] = {"out": run.path, "data": stored.data.model_copy(update=data)}
    if "source" in moved:
        update["source"] = moved["source"]
    rounds = {key.removeprefix("rounds."): value for key, value in moved.items() if key.startswith("rounds.")}
    if rounds and isinstance(stored, FinetuneSettings) and stored.rounds is not None:
        update["rounds"] = stored.rounds.model_copy(update=rounds)
    if "device" in given.model_fields_set:
        update["device"] = given.device
    if given.training.max_hours is not None:
        update["training"] = stored.training.model_copy(update={"max_hours": given.training.max_hours})
    return stored.model_copy(update=update)


def _only(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return of nested values those that `given` names, in their order."""
    return {
        key: _only(value, given[key]) if isinstance(value, dict) and isinstance(given[key], dict) else value
        for key, value in values.items()
        if key in given
    }


def _path_places(task: str, values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield (mapping, key) of every path that is set."""
    for key in _PATHS[task]:
        *groups, name = key.split(".")
        group: Any = values
        for part in groups:
            group = group.get(part) if isinstance(group, dict) else None
        if isinstance(group, dict) and isinstance(group.get(name), str):
            yield group, name


def _given(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the dotted keys the caller gave, with their values; a recipe counts as one."""
    found: list[tuple[str, Any]] = []
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if name in _GROUPS and value is not None:
            found += _given(value, f"{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _lookup(settings: Any, key: str) -> Any:
    """Return the value of a dotted key; None within a group that is not set."""
    for part in key.split("."):
        settings = None if settings is None else getattr(settings, part)
    return settings


def _default(settings: Any, key: str) -> Any:
    """Return the default of a dotted key; None and "auto" leave open what a run decides when it begins."""
    *groups, name = key.split(".")
    return type(_lookup(settings, ".".join(groups)) if groups else settings).model_fields[name].get_default()


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        # On Windows there is no relative path from one drive to another.
        return str(path.resolve())
