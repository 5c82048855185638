"""Turning a run folder into a `RunView`, again and again, for a thread that watches it. No Qt.

Only what is new is read: events from where the last reading stopped, previews when an event names one, run.yaml when a
training begins.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from genesis_core.errors import GenesisError
from genesis_core.training.events import Event
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder, RunStatus
from genesis_core.training.run_settings import read_settings
from napari_genesis.jobs.last_words import KEPT, keep_last_words, last_lines, read_last_words
from napari_genesis.jobs.launching import Child
from napari_genesis.jobs.tailing import EventTail
from napari_genesis.jobs.view import Pace, PreviewArrays, RunFacts, RunView

# How often the status is read and the process asked for, in seconds; the heartbeat comes every two.
_STATUS_EVERY = 0.5
# Steps that the pace is taken from: enough to even out validations, few enough to follow a change.
_PACE_STEPS = 100
_WARNINGS = 50
# Whole numbers that a float holds exactly; no training has more steps.
_LARGEST = 2**53


W = TypeVar("W", int, None, int | None)


class RunReader:
    """Reads one run folder. child: the run's process, if it is ours: how it ended is then known, and kept."""

    def __init__(self, run: RunFolder, child: Child | None = None) -> None:
        self._run = run
        self._child = child
        self._tail = EventTail(run.events_file)
        self._view = RunView(run.path)
        self._record = _Record()
        self._next_status = 0.0
        self._kept = False
        self.ended = False

    def read(self) -> RunView | None:
        """Return the run as it is now; None if nothing has changed. `ended` tells whether anything may still come."""
        # Asked first: what the process wrote before it ended is then read below.
        code = None if self._child is None else self._child.exit_code()
        over = code is not None
        if not self._run.path.is_dir():
            return self._gone(over)
        if code is not None and not self._kept:
            self._keep(code)
        events, anew = self._tail.read()
        if anew:
            self._record = _Record()
        for event in events:
            self._record.add(event)
        view = self._view
        if events or anew:
            view = self._with_events(view, events)
        if over or time.monotonic() >= self._next_status or view.status.state == "queued":
            self._next_status = time.monotonic() + _STATUS_EVERY
            view = self._with_status(view, over)
        self.ended = self._tail.at_end and self._is_over(view, over)
        if self.ended and view.word in ("interrupted", "failed") and not view.words:
            view = replace(view, words=read_last_words(self._run))
        if view is self._view:
            return None
        self._view = view
        return view

    def _is_over(self, view: RunView, over: bool) -> bool:
        return over if self._child is not None else not view.status.is_alive

    def _keep(self, code: int) -> None:
        """Write down how the process ended, also where it died before it could say anything in the folder."""
        assert self._child is not None
        self._kept = True
        facts = self._view.facts
        on_request = self._child.was_killed or code == 130
        keep_last_words(self._run, 130 if on_request else code, facts.scans if facts else None)
        try:
            status = self._run.status()
            if self._child.was_killed and status.state in ("queued", "running", "stopping"):
                message = "ended at once, on request; the last checkpoint stands"
                self._run.set_status("stopped", status.step, status.total_steps, message)
            elif code != 0 and status.pid != self._child.pid:
                said = last_lines(self._run.path / KEPT)
                message = said[-1].removeprefix("error: ") if said else status.message
                self._run.set_status("stopped" if on_request else "failed", status.step, status.total_steps, message)
        except (GenesisError, OSError):
            # The folder is damaged or gone: the status read next tells that.
            return

    def _gone(self, over: bool) -> RunView | None:
        # A child goes on until it next writes; it is watched to its end.
        self.ended = over or self._child is None
        if self._view.gone:
            return None
        self._view = replace(self._view, gone=True, word="gone")
        return self._view

    def _with_status(self, view: RunView, over: bool) -> RunView:
        try:
            status = self._run.status()
            word = status.word
        except GenesisError as problem:
            status, word = RunStatus("failed", view.step, message=str(problem)), "damaged"
        if over and word in ("running", "stopping"):
            # The process number may not be free yet.
            word = "interrupted"
        step, total = max(_whole(status.step, 0), self._record.step), _whole(status.total_steps, view.total_steps)
        if (status, word, step, total) == (view.status, view.word, view.step, view.total_steps) and view.facts:
            return view
        return replace(view, status=status, word=word, step=step, total_steps=total, facts=view.facts or self._facts())

    def _with_events(self, view: RunView, events: list[Event]) -> RunView:
        record = self._record
        kinds = {event["event"] for event in events}
        if kinds & {"started", "prepared", "planned"}:
            # What was open is decided by now.
            view = replace(view, facts=self._facts() or view.facts)
        preview = view.preview
        if "preview" in kinds:
            preview = self._preview() or preview
        return replace(
            view,
            step=record.step,
            total_steps=record.total or view.total_steps,
            steps=record.steps.values,
            losses=record.losses.values,
            validations=record.validations(),
            warnings=record.warnings(),
            prepared=record.prepared,
            preparing=record.preparing,
            preview=preview,
            begun=record.begun,
            pace=record.pace(view.facts),
        )

    def _facts(self) -> RunFacts | None:
        try:
            settings = read_settings(self._run)
        except (GenesisError, OSError):
            # Half of a folder, or another version's: what the events tell is shown all the same.
            return None
        data: Any = settings.data
        training = settings.training
        pretrains = isinstance(settings, PretrainSettings)
        return RunFacts(
            task=settings.task,
            device=settings.device,
            batch=(training.batch_size or 0) * training.accumulate,
            patch=tuple(settings.sampling.patch_size or ()),
            width=getattr(settings.network, "width", None),
            recipe=settings.recipe.name if isinstance(settings, PretrainSettings) else "",
            seed=settings.seed,
            max_hours=training.max_hours,
            spacing=data.spacing,
            scans=data.scans if pretrains else data.labelled,
            validate_every=training.validate_every or 0,
        )

    def _preview(self) -> PreviewArrays | None:
        files = sorted(self._run.previews.glob("step_*.npz"))
        if not files:
            return None
        try:
            with np.load(files[-1]) as arrays:
                found = {name: arrays[name].astype(np.float32) for name in arrays.files if arrays[name].ndim == 4}
            return PreviewArrays(int(files[-1].stem.removeprefix("step_")), found)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            # Damaged, or removed between the listing and here: the next one comes.
            return None


class _Column:
    """Numbers that grow at their end; what was handed out never changes."""

    def __init__(self) -> None:
        self._room = np.empty(1024)
        self._count = 0

    @property
    def values(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self._room[: self._count]

    def append(self, value: float) -> None:
        if self._count == len(self._room):
            self._room = np.concatenate((self._room, np.empty(self._count)))
        self._room[self._count] = value
        self._count += 1

    def cut(self, count: int) -> None:
        """Forget all but the first `count`."""
        if count < self._count:
            self._room = np.concatenate((self._room[:count], np.empty(max(1024, count))))
            self._count = count


class _Record:
    """What the events so far amount to; after a resume the later record of a step counts."""

    def __init__(self) -> None:
        self.steps, self.losses, self._times, self._seconds, self._waits = (_Column() for _ in range(5))
        self.total: int | None = None
        self._warnings: dict[str, int] = {}
        self.prepared = ""
        self.preparing: tuple[int, int] | None = None
        self.begun = False
        self._validations: dict[int, Event] = {}
        self._began: tuple[float, int] | None = None
        self._spent = 0.0
        self._last_time = 0.0

    @property
    def step(self) -> int:
        steps = self.steps.values
        return int(steps[-1]) if len(steps) else 0

    def warnings(self) -> tuple[str, ...]:
        """Return what was said before the first step, and what the latest validation or the end had to say."""
        latest = max(self._validations, default=0)
        return tuple(message for message, step in self._warnings.items() if step == 0 or step >= latest)

    def validations(self) -> tuple[Event, ...]:
        return tuple(self._validations[step] for step in sorted(self._validations))

    def add(self, event: Event) -> None:
        kind, step = event["event"], _whole(event.get("step"), None)
        self._last_time = _number(event.get("time"), self._last_time)
        if kind == "step" and step is not None:
            self._add_step(step, event)
        elif kind == "validation" and step is not None:
            self._validations[step] = event
        elif kind == "warning" and isinstance(event.get("message"), str):
            self._warnings[event["message"]] = step or 0
            if len(self._warnings) > _WARNINGS:
                del self._warnings[next(iter(self._warnings))]
        elif kind == "started":
            self._start(event, step or 0)
        elif kind == "prepared":
            self.prepared, self.preparing = str(event.get("message", "")), None
        elif kind == "preparing":
            self.preparing = (_whole(event.get("done"), 0), _whole(event.get("total"), 0))
        elif kind in ("stopped", "finished"):
            self._spent = _number(event.get("seconds"), self._spent)

    def _start(self, event: Event, step: int) -> None:
        self.begun, self.preparing = True, None
        self.total = _whole(event.get("total_steps"), self.total)
        self._began = (self._last_time, step)
        self._cut(step)
        self._validations = {at: one for at, one in self._validations.items() if at <= step}

    def _add_step(self, step: int, event: Event) -> None:
        if step <= self.step:
            self._cut(step - 1)
        self.steps.append(step)
        self.losses.append(_number(event.get("loss"), np.nan))
        self._times.append(self._last_time)
        self._seconds.append(_number(event.get("seconds"), 0.0))
        self._waits.append(_number(event.get("waited"), 0.0))

    def _cut(self, step: int) -> None:
        count = int(np.searchsorted(self.steps.values, step, side="right"))
        for column in (self.steps, self.losses, self._times, self._seconds, self._waits):
            column.cut(count)

    def pace(self, facts: RunFacts | None) -> Pace | None:
        if self._began is None:
            return None
        steps, times = self.steps.values, self._times.values
        first = int(np.searchsorted(steps, self._began[1], side="right"))
        first = max(first, len(steps) - _PACE_STEPS - 1)
        if len(steps) - first < 2:
            return None
        each = float((times[-1] - times[first]) / max(steps[-1] - steps[first], 1))
        busy = self._seconds.values[first:] + self._waits.values[first:]
        waited = float(self._waits.values[first:].sum() / max(busy.sum(), 1e-9))
        batch = facts.batch if facts else 0
        left = None if self.total is None else max(self.total - self.step, 0) * each
        if facts is not None and facts.max_hours is not None:
            spent = self._spent + self._last_time - self._began[0]
            budget = max(facts.max_hours * 3600 - spent, 0.0)
            left = budget if left is None else min(left, budget)
        return Pace(each, batch / max(float(np.mean(busy)), 1e-9), waited, left)


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, float) or _whole(value, None) is not None else otherwise


def _whole(value: Any, otherwise: W) -> int | W:
    """Return a count as a file has it; `otherwise` for anything that is none."""
    return value if isinstance(value, int) and 0 <= value < _LARGEST else otherwise
