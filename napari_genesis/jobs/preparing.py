"""Making the folder of a run that is still to be trained, so that it is seen, and lasts, while it waits."""

from __future__ import annotations

from pathlib import Path

from genesis_core.errors import OutputExistsError, RunError, SettingsError
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import write_settings


def prepare_run(settings: PretrainSettings | FinetuneSettings) -> RunFolder:
    """Make a run folder that holds its run.yaml (of a fine-tuning what was set, the rest is planned) and is "queued".

    Raises SettingsError if no folder is named, OutputExistsError if it exists, RunError if it cannot be written.
    """
    if settings.out is None:
        raise SettingsError("no run folder: give the run a name")
    try:
        run = RunFolder.create(settings.out)
        write_settings(run, settings)
        run.set_status("queued", 0, settings.training.max_steps)
    except OutputExistsError:
        raise OutputExistsError(
            f"{settings.out.name} exists in the workspace already: give the run another name, or choose that one above "
            "to go on with it"
        ) from None
    except OSError as problem:
        raise RunError(f"{settings.out}: the run's folder cannot be made ({problem.strerror or problem})") from None
    return run


def why_not_named(name: str) -> str:
    """Return why nothing in the workspace can have this name, in a sentence; "" if it can, or is empty."""
    if any(mark in name for mark in "/\\:") or name.startswith("."):
        return f"{name!r} is no name of a folder: it must not hold a slash or a colon, nor begin with a dot."
    return ""


def free_name(folder: Path, stem: str, suffix: str = "") -> str:
    """Return the first of stem_1, stem_2, ..., each with the suffix, that is no name in `folder` yet."""
    number = 1
    while (folder / f"{stem}_{number}{suffix}").exists():
        number += 1
    return f"{stem}_{number}{suffix}"
