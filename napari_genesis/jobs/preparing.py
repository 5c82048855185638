"""Making the folder of a run that is still to be trained, so that it is seen, and lasts, while it waits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.errors import RunError, SettingsError
from genesis_core.settings import dump_yaml, read_yaml
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings


def prepare_run(settings: PretrainSettings | FinetuneSettings) -> RunFolder:
    """Make a run folder that holds its run.yaml and the state "queued".

    Raises SettingsError if no folder is named, OutputExistsError if it exists, RunError if it cannot be written.
    """
    if settings.out is None:
        raise SettingsError("no run folder: give the run a name")
    try:
        run = RunFolder.create(settings.out)
        write_settings(run, settings)
        if isinstance(settings, FinetuneSettings):
            _leave_open(run, settings)
        run.set_status("queued", 0, settings.training.max_steps)
    except OSError as problem:
        raise RunError(f"{settings.out}: the run's folder cannot be made ({problem.strerror or problem})") from None
    return run


def _leave_open(run: RunFolder, settings: FinetuneSettings) -> None:
    """Write into run.yaml what was set, and no default: what is not there is planned when the run starts."""
    given = settings.model_dump(mode="json", by_alias=True, exclude={"out", "resume"}, exclude_unset=True)
    values = _only(read_yaml(run.settings_file), {"schema": 1, "task": settings.task, **given})
    write_text(run.settings_file, dump_yaml(values))


def _only(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return of nested values those that `given` names, in their order."""
    return {
        key: _only(value, given[key]) if isinstance(value, dict) and isinstance(given[key], dict) else value
        for key, value in values.items()
        if key in given
    }


def free_name(folder: Path, stem: str) -> str:
    """Return the first of stem_1, stem_2, ... that is no name in `folder` yet."""
    number = 1
    while (folder / f"{stem}_{number}").exists():
        number += 1
    return f"{stem}_{number}"
