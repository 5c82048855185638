"""Finding the run that a start or a resume is about, before anything is read or written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from genesis_core.errors import RunError, SettingsError
from genesis_core.training.events import Event
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import settings_to_resume

S = TypeVar("S", PretrainSettings, FinetuneSettings)


def find_run(
    settings: S,
    report: Callable[[Event], None] | None,
    is_done: Callable[[RunFolder, S], bool] = lambda _run, _settings: True,
) -> tuple[RunFolder | None, S, bool]:
    """Return the run to go on with (None: a new one is to be made), its settings, and whether nothing is left to do.

    is_done: asked for a finished run whether nothing follows its training.
    Raises SettingsError if no folder is named or settings would change the run, RunError if it is being trained.
    """
    if settings.out is None:
        raise SettingsError("no run folder: say where the run shall live, with --out")
    exists = RunFolder(settings.out).is_run
    if not (settings.resume == "yes" or (settings.resume == "auto" and exists)):
        return None, settings, False
    run = RunFolder.open(settings.out)
    settings = settings_to_resume(run, settings)
    status = run.status()
    if status.state == "finished" and is_done(run, settings):
        if report:
            report({"event": "already_finished", "step": status.step, "message": status.message})
        return run, settings, True
    if status.is_alive:
        raise RunError(f"{run.path} is being trained by process {status.pid} on {status.host}; stop it first")
    return run, settings, False
