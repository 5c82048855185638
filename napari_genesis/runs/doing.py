"""What the actions on runs do: with jobs, with the other docks, and as commands. No widgets of its own."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.errors import RunError
from genesis_core.training.run_folder import RunFolder
from napari_genesis.preferences import PLUGIN
from napari_genesis.runs.actions import can_resume, can_stop
from napari_genesis.runs.listing import RunSummary
from napari_genesis.runs.table_model import Row

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_genesis.jobs.queues import Jobs

Command = Literal["pretrain", "finetune"]
# The docks by what they train.
_DOCKS = {"restoration": "Pretrain", "segmentation": "Fine-tune"}


def command_of(run: RunSummary) -> Command:
    """Return the command that trains such a run."""
    return "finetune" if run.task == "segmentation" else "pretrain"


def resume(jobs: Jobs, rows: Sequence[Row]) -> None:
    """Go on with those of the runs that can, or queue them where their devices are busy."""
    # What was chosen for the end of napari still holds.
    chosen = {job.run.path: job.goes_on for job in jobs.jobs}
    for row in rows:
        if not can_resume(row):
            path = row.run.path
            jobs.add(RunFolder(path), row.run.device, command_of(row.run), goes_on=chosen.get(path, False))


def stop(jobs: Jobs, rows: Sequence[Row]) -> None:
    """Ask those of the runs that train to stop, wherever they do; one that waits leaves its queue."""
    for row in rows:
        if can_stop(row):
            continue
        job = jobs.look_at(row.run.path)
        if job.waiting:
            jobs.cancel(job)
        else:
            job.stop()


def state_of(run: RunSummary, jobs: Jobs) -> str:
    """Return the state of a run for people: as jobs of this napari have it, else as its folder has."""
    for job in jobs.jobs:
        if job.run.path == run.path and (job.waiting or job.is_alive or (job.state == "paused" and not run.is_alive)):
            return job.state
    return "not started" if run.word == "queued" else run.word


def as_commands(rows: Sequence[Row]) -> str:
    """Return one line a run: going on with one that can, else training it anew with the same settings."""
    lines = []
    for row in rows:
        run = row.run
        if run.task not in _DOCKS:
            continue
        words = ["napari-genesis", command_of(run)]
        if not can_resume(row):
            words += ["--resume", "--out", str(run.path)]
        else:
            words += ["--config", str(run.path / "run.yaml"), "--out", str(free_path(run.path))]
        lines.append(shlex.join(words))
    return "\n".join(lines) + "\n"


def free_path(path: Path) -> Path:
    """Return the first of name_2, name_3, ... beside `path` that is not taken."""
    number = 2
    while (found := path.with_name(f"{path.name}_{number}")).exists():
        number += 1
    return found


def open_dock(viewer: Viewer, title: str) -> Any:
    """Return one of the plugin's docks, opened or brought to the front. Raises RunError if there is none."""
    try:
        place, dock = viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=True)
        # One that is open already stays behind other tabs.
        place.raise_()
    except (KeyError, ValueError) as problem:
        raise RunError(f"the dock '{title}' cannot be opened ({problem})") from None
    return dock


def watch(viewer: Viewer, run: RunSummary) -> None:
    """Show a run in the dock that trains such runs."""
    open_dock(viewer, _DOCKS[run.task]).show_run(run.path)


def duplicate(viewer: Viewer, run: RunSummary) -> None:
    """Open the dock that trains such runs with the settings of one, as those of a new run."""
    open_dock(viewer, _DOCKS[run.task]).load_settings(run.path)


def apply(viewer: Viewer, run: RunSummary) -> None:
    """Open the Apply dock with the model of a run."""
    open_dock(viewer, "Apply").choice.add_folder(run.path)


def review(viewer: Viewer, run: RunSummary) -> None:
    """Open the Review dock with the form of a new review of what a run's model draws."""
    open_dock(viewer, "Review").review_model(run.path)
