"""`napari-genesis runs show`, and what it and the list tell of a run: read from its folder alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from genesis_core.cli.output import Output
from genesis_core.errors import RunError
from genesis_core.settings import Settings, read_yaml, setting
from genesis_core.studies.run_figures import held_out_means, run_figure
from genesis_core.training.events import Event, last_of_each_step
from genesis_core.training.held_out import FILE
from genesis_core.training.run_folder import RunFolder, RunStatus, list_runs
from genesis_core.volumes.labelled.layout import some


class RunSettings(Settings):
    """Settings of the commands on one run."""

    run: Path = setting(..., "The run's folder.")


def describe_run(run: RunFolder) -> dict[str, Any]:
    """Return what a list shows of a run: name, state, step, total, latest figures, and its last sign of life."""
    status, state = _state(run)
    validations = last_of_each_step(run.events(), "validation")
    figures = validations[-1] if validations else {}
    loss = figures.get("loss", figures.get("train_loss"))
    best = run_figure(validations, held_out_means(run.path))
    return {
        "name": run.name,
        "path": str(run.path),
        "state": state,
        "step": status.step,
        "total_steps": status.total_steps,
        "loss": loss,
        "return_mean": figures.get("return_mean"),
        "best": None if best is None else best.value,
        "best_is": None if best is None else best.name,
        "heartbeat": status.heartbeat or None,
        "message": status.message,
    }


def _state(run: RunFolder) -> tuple[RunStatus, str]:
    """Return a run's status, and the word for it; where its files cannot be read the message says what is wrong."""
    status = RunStatus("queued")
    try:
        status = run.status()
        read_yaml(run.settings_file, RunError)
    except RunError as problem:
        return replace(status, message=str(problem)), "damaged"
    return status, status.word


def show_command(settings: RunSettings, output: Output) -> None:
    """Print a run's state, every validation, its folds, the Dice of its held-out cases and every warning."""
    run = RunFolder.open(settings.run)
    record = describe_run(run)
    validations = last_of_each_step(run.events(), "validation")
    warnings = _warnings(run.events())
    means = held_out_means(run.path)
    folds = [{**describe_run(fold), "held_out": held_out_means(fold.path)} for fold in _folds(run)]
    output.record(
        {**record, "validations": validations, "held_out": means, "warnings": list(warnings)}
        | ({"folds": folds} if folds else {})
    )
    if output.as_json:
        return
    output.say(f"{record['name']}: {_progress(record)}")
    if record["message"]:
        output.say(record["message"])
    if validations:
        names = [name for name in validations[-1] if name not in ("v", "time", "event", "step", "best")]
        rows = [[str(event["step"]), *(_figure(event.get(name)) for name in names)] for event in validations]
        output.table(["step", *(name.replace("_", " ") for name in names)], rows)
    for fold in folds:
        dice = f"; Dice of its held-out cases: {_dice_in_words(fold['held_out'])}" if fold["held_out"] else ""
        output.say(f"fold {int(fold['name']) + 1}: {_progress(fold)}{dice}")
    if means:
        output.say(f"Dice of whole held-out cases, each in {run.path / FILE}: {_dice_in_words(means)}")
    for warning, when in warnings.items():
        output.warn(f"{when}{warning}")
    if run.model.is_dir():
        output.say(f"model: {run.model}")
    # One that failed before its first step would fail the same way: it is begun anew.
    if record["state"] in ("stopped", "interrupted") or (record["state"] == "failed" and record["step"]):
        output.say(f"go on with: {typed('resume', run)}")


def _progress(record: dict[str, Any]) -> str:
    total = f" of {record['total_steps']}" if record["total_steps"] else ""
    return f"{record['state']}, step {record['step']}{total}"


def _folds(run: RunFolder) -> list[RunFolder]:
    """Return the folds of a run that have begun, in their order."""
    folds = run.path / "folds"
    found = [fold for fold in list_runs(folds) if fold.name.isdecimal()] if folds.is_dir() else []
    return sorted(found, key=lambda fold: int(fold.name))


def _warnings(events: Iterable[Event]) -> dict[str, str]:
    """Return each warning once, and at which step it was first, such as "step 10: "; nothing for before the first."""
    told: dict[str, str] = {}
    for event in events:
        if event["event"] == "warning":
            told.setdefault(event["message"], f"step {event['step']}: " if event.get("step") else "")
    return told


def typed(action: str, run: RunFolder) -> str:
    """Return a command on a run, as one types it."""
    return shlex.join(["napari-genesis", "runs", action, str(run.path)])


def _dice_in_words(means: dict[str, float]) -> str:
    of_each = [f"{name.removeprefix('dice_')} {value:.3f}" for name, value in means.items() if name != "mean_dice"]
    mean = f"mean {means['mean_dice']:.3f}" if "mean_dice" in means else ""
    return ", ".join(filter(None, (mean, some(of_each, 6))))


def _figure(value: Any) -> str:
    return "-" if value is None else f"{value:.5f}"
