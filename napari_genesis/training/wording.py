"""What a run's state is called, and what its figures mean, in sentences for people. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from genesis_core.durations import duration
from napari_genesis.jobs.job import State
from napari_genesis.jobs.view import RunView

_HEADS: dict[State, str] = {
    "reading": "Reading the run",
    "queued": "Waiting",
    "starting": "Starting",
    "preparing": "Preparing the scans",
    "running": "Training",
    "pausing": "Pausing: writes a checkpoint",
    "stopping": "Stopping: writes a checkpoint",
    "paused": "Paused; its memory is free",
    "stopped": "Stopped",
    "finished": "Finished",
    "failed": "Failed",
    "interrupted": "Its process ended without a word",
    "damaged": "Its status file is damaged",
    "gone": "The run's folder is gone",
}


def headline(state: State, view: RunView) -> str:
    """Return the state with the step, such as "Training: step 120 of 2,000"."""
    if state == "stopped" and view.word == "queued":
        return "Not started"
    head = _HEADS[state]
    if state == "preparing" and view.preparing is not None:
        done, total = view.preparing
        return f"{head}: {done:,} of {total:,}"
    if view.step == 0 or state in ("queued", "starting", "preparing", "gone", "damaged"):
        return head
    now = view.training_now
    fold = f" fold {len(view.folds)} of {view.of_folds}" if view.of_folds > 1 and view.folds else ""
    if state == "finished" and fold:
        return f"{head}: {view.of_folds} folds, {view.step:,} steps in all"
    if state == "running" and now.trained and now.facts is not None and now.facts.held_out:
        return f"Scoring{fold or ' it'} on held-out cases: {len(now.held_out)} of {now.facts.held_out}"
    of_all = f" of {now.total_steps:,}" if now.total_steps else ""
    return f"{head}{fold}: step {now.step:,}{of_all}"


def time_left(view: RunView, now: Callable[[], float] = time.time) -> str:
    """Return how long a run still takes, and when it ends, such as "12 min left, done at 17:40"; empty if unknown."""
    if view.pace is None:
        return "Time left: measuring…" if view.training_now.total_steps else ""
    if view.pace.seconds_left is None:
        return ""
    left = view.pace.seconds_left
    return f"{duration(left)} left, done {clock(now() + left, now())}"


def clock(moment: float, now: float) -> str:
    """Return a time of day, with the day if it is not today, such as "at 17:40" or "on Tue at 08:10"."""
    then, today = time.localtime(moment), time.localtime(now)
    at = time.strftime("%H:%M", then)
    same = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return f"at {at}" if same else f"on {time.strftime('%a', then)} at {at}"


def loss_text(value: object) -> str:
    """Return a loss in four digits; a dash for none."""
    return f"{value:.4g}" if isinstance(value, int | float) else "–"


def why(state: State, view: RunView, problem: str) -> list[str]:
    """Return why a run is not trained any more, line by line; nothing for one that is well."""
    if problem:
        return [problem]
    if state == "gone":
        return ["Somebody deleted or moved it. What was drawn here is from before."]
    if state not in ("failed", "interrupted", "damaged"):
        return []
    lines = list(dict.fromkeys(line for line in (view.status.message, *view.words) if line))
    if state == "interrupted" and not view.words:
        lines.append("Nothing is known of why: the machine may have been switched off.")
    if state != "damaged" and view.step:
        lines.insert(min(1, len(lines)), "Resume goes on from its last checkpoint.")
    return lines


def result_text(state: State, view: RunView) -> str:
    """Return what a run that ended on request is worth, in a sentence; empty for others."""
    if state not in ("finished", "stopped", "paused") or not view.step:
        return ""
    reason = view.status.message
    return f"{reason[:1].upper()}{reason[1:]}." if reason else ""


def about(view: RunView) -> str:
    """Return what a run is made of, and what it took from its source."""
    facts = view.facts
    if facts is None:
        return ""
    parts = [facts.recipe and f"recipe {facts.recipe}", facts.width and f"width {facts.width}"]
    if facts.task == "segmentation":
        parts.insert(0, "from scratch" if facts.source is None else f"from {facts.source.name}")
    if facts.patch:
        parts.append(f"{' x '.join(map(str, facts.patch))} voxels")
    if facts.batch:
        parts.append(f"batch {facts.batch}")
    parts.append(f"on {facts.device}")
    made_of = ", ".join(part for part in parts if part)
    return ". ".join((made_of, *(note.rstrip(".") for note in view.notes)))


def place(path: Path) -> str:
    """Return a folder's path, short where it lies in the user's home."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)
