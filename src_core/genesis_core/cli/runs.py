"""`napari-genesis runs`: list, show, compare, stop, resume, export or delete runs."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import click

from genesis_core.cli import runs_compare, runs_export
from genesis_core.cli.output import Output
from genesis_core.cli.runs_show import RunSettings, describe_run, show_command, typed
from genesis_core.cli.settings_command import settings_command
from genesis_core.errors import RunError
from genesis_core.settings import Settings, setting
from genesis_core.training.run_folder import RunFolder, list_runs


class ListSettings(Settings):
    """Settings of `runs list`."""

    folder: Path = setting(Path("runs"), "Folder that holds the runs.")


class StopSettings(RunSettings):
    """Settings of `runs stop`."""

    wait: float = setting(60.0, "How long to wait for the run to write its checkpoint; 0: do not wait.", unit="s", ge=0)


class DeleteSettings(RunSettings):
    """Settings of `runs delete`."""

    yes: bool = setting(False, "Delete without asking.")


def list_command(settings: ListSettings, output: Output) -> None:
    """Print one row, or one JSON line, per run."""
    records = [describe_run(run) for run in list_runs(settings.folder)]
    for record in records:
        output.record(record)
    if output.as_json:
        return
    if not records:
        output.say(f"no runs in {settings.folder}")
        return
    rows = [
        (
            record["name"],
            record["state"],
            f"{record['step']} / {record['total_steps'] or '?'}",
            "-" if record["loss"] is None else f"{record['loss']:.5f}",
            "-" if record["return_mean"] is None else f"{record['return_mean']:.5f}",
            "-" if record["best"] is None else f"{record['best_is']} {record['best']:.4g}",
            _age(record["heartbeat"]),
        )
        for record in records
    ]
    output.table(("run", "state", "step", "loss", "return mean", "best", "last sign of life"), rows)


def stop_command(settings: StopSettings, output: Output) -> int:
    """Ask a run, or its twin, to stop and wait until its checkpoint is written; 1 if it does not answer in time."""
    run = RunFolder.open(settings.run)
    alive = _in_training(run)
    if alive is None:
        status = run.status()
        output.record({"event": "stop", "run": run.name, "state": status.word, "step": status.step, "asked": False})
        output.say(f"{run.name} is not running ({status.word})")
        return 0
    name = run.name if alive.path == run.path else f"the twin {alive.name} of {run.name}"
    alive.ask_to_stop()
    output.say(f"asked {name} to stop; it finishes its step and writes a checkpoint")
    end = time.monotonic() + settings.wait
    while (status := alive.status()).is_alive and time.monotonic() < end:
        time.sleep(0.2)
    output.record({"event": "stop", "run": run.name, "state": status.word, "step": status.step, "asked": True})
    if not status.is_alive:
        output.say(f"{name} is {status.word} at step {status.step}")
        return 0
    if settings.wait:
        output.warn(f"{name} has not stopped yet; it will, after its current step")
    return 1 if settings.wait else 0


def _in_training(run: RunFolder) -> RunFolder | None:
    """Return what a process works on now: the run, or, when that is finished, one of its twins."""
    twins = run.path / "twins"
    runs = [run, *(list_runs(twins) if twins.is_dir() else ())]
    return next((one for one in runs if one.status().is_alive), None)


def resume_command(settings: RunSettings, output: Output) -> int:
    """Go on with a stopped run, as `pretrain` or `finetune --resume --out RUN` does."""
    from genesis_core.training.finetune_settings import FinetuneSettings
    from genesis_core.training.pretrain_settings import PretrainSettings
    from genesis_core.training.run_settings import read_settings

    if isinstance(read_settings(RunFolder.open(settings.run)), FinetuneSettings):
        from genesis_core.cli.finetune import finetune_command

        return finetune_command(FinetuneSettings(out=settings.run, resume="yes"), output)
    from genesis_core.cli.pretrain import pretrain_command

    return pretrain_command(PretrainSettings(out=settings.run, resume="yes"), output)


def delete_command(settings: DeleteSettings, output: Output) -> int:
    """Delete a run that is not running, after asking."""
    run = RunFolder.open(settings.run)
    if _in_training(run) is not None:
        raise RunError(f"{run.path} is running: stop it first ({typed('stop', run)})")
    if not settings.yes:
        if not sys.stdin.isatty():
            raise RunError(f"{run.path} was not deleted: nobody is here to ask, so say --yes")
        if not click.confirm(f"Delete {run.path} with its checkpoints and its model?", err=True):
            return 1
    shutil.rmtree(run.path)
    output.record({"event": "deleted", "path": str(run.path)})
    output.say(f"deleted {run.path}")
    return 0


def _age(heartbeat: float | None) -> str:
    if heartbeat is None:
        return "-"
    seconds = max(0.0, time.time() - heartbeat)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


@click.group(
    "runs",
    help="List, show, compare, stop, resume, export or delete runs.\n\n\b\nExample:\n"
    "  napari-genesis runs show runs/lung",
)
def command() -> None:
    """Group of the commands on runs."""


command.add_command(
    settings_command(
        "list",
        ListSettings,
        list_command,
        text="List the runs of a folder with their state and their loss.",
        example="napari-genesis runs list runs/",
        arguments={"FOLDER": "folder"},
    )
)
command.add_command(
    settings_command(
        "show",
        RunSettings,
        show_command,
        text="Show a run's state, validations, Dice of held-out cases, and warnings.",
        example="napari-genesis runs show runs/lung",
        arguments={"RUN": "run"},
    )
)
command.add_command(
    settings_command(
        "stop",
        StopSettings,
        stop_command,
        text="Ask a running run to write a checkpoint and stop.",
        example="napari-genesis runs stop runs/lung",
        arguments={"RUN": "run"},
        options={"--wait": "wait"},
    )
)
command.add_command(
    settings_command(
        "resume",
        RunSettings,
        resume_command,
        text="Go on with a stopped, killed or failed run.",
        example="napari-genesis runs resume runs/lung",
        arguments={"RUN": "run"},
    )
)
command.add_command(
    settings_command(
        "delete",
        DeleteSettings,
        delete_command,
        text="Delete a run with its checkpoints and its model.",
        example="napari-genesis runs delete runs/lung --yes",
        arguments={"RUN": "run"},
        options={"--yes": "yes"},
    )
)
command.add_command(runs_compare.command)
command.add_command(runs_export.command)
