"""Turning a run folder into a `RunView`, again and again, for a thread that watches it. No Qt.

Only what is new is read: events from where the last reading stopped, previews when an event names one, run.yaml when a
training begins.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from genesis_core.errors import GenesisError
from genesis_core.training.events import Event
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder, RunStatus
from genesis_core.training.run_settings import read_settings
from napari_genesis.jobs.folds import with_folds
from napari_genesis.jobs.last_words import KEPT, keep_last_words, last_lines, read_last_words
from napari_genesis.jobs.launching import Child
from napari_genesis.jobs.preview_reading import read_latest
from napari_genesis.jobs.record import RunRecord, whole
from napari_genesis.jobs.tailing import EventTail
from napari_genesis.jobs.view import RunFacts, RunView

# How often the status is read and the process asked for, in seconds; the heartbeat comes every two.
_STATUS_EVERY = 0.5


class RunReader:
    """Reads one run folder, from one thread or, for a moment, two. `view` is what was read last.

    child: the run's process, if it is ours: how it ended is then known, and kept.
    """

    def __init__(self, run: RunFolder, child: Child | None = None) -> None:
        self._run = run
        self._child = child
        self._tail = EventTail(run.events_file)
        # Of the folder itself; `view` puts its folds together with it.
        self._own = RunView(run.path)
        self.view = self._own
        self._folds: list[RunReader] = []
        self._lock = threading.Lock()
        self._record = RunRecord()
        self._next_status = 0.0
        self._kept = False
        self.ended = False

    def adopt(self, child: Child | None) -> None:
        """Go on with another process of the run, or with one of somebody else's; what was read before stays."""
        with self._lock:
            if child is not self._child:
                self._child, self._kept, self._next_status = child, False, 0.0
                self._own, self.view = replace(self._own, words=()), replace(self.view, words=())

    def read(self) -> RunView | None:
        """Return the run as it is now; None if nothing has changed. `ended` tells whether anything may still come."""
        with self._lock:
            return self._read()

    def _read(self) -> RunView | None:
        # Asked first: what the process wrote before it ended is then read below.
        code = None if self._child is None else self._child.exit_code()
        over = code is not None
        if not self._run.path.is_dir():
            return self._gone(over)
        if code is not None and not self._kept:
            self._keep(code)
        events, anew = self._tail.read()
        if anew:
            self._record = RunRecord()
        for event in events:
            self._record.add(event)
        view = self._own
        if events or anew:
            view = self._with_events(view, events)
        if over or time.monotonic() >= self._next_status or view.status.state == "queued":
            self._next_status = time.monotonic() + _STATUS_EVERY
            view = self._with_status(view, over)
        more = self._read_folds()
        self.ended = self._tail.at_end and self._is_over(view, over) and all(fold.ended for fold in self._folds)
        if self.ended and view.word in ("interrupted", "failed") and not view.words:
            view = replace(view, words=read_last_words(self._run))
        if view is self._own and not more and not self.view.gone:
            return None
        self._own = view
        self.view = with_folds(view, tuple(fold.view for fold in self._folds))
        return self.view

    def _read_folds(self) -> bool:
        """Read the folds that have begun and may have changed; return whether one has."""
        while (folder := RunFolder(self._run.path / "folds" / str(len(self._folds)))).is_run:
            self._folds.append(RunReader(folder))
        news = False
        for fold in self._folds:
            # What is finished stays as it is; what was stopped may go on.
            if not (fold.ended and fold.view.word == "finished"):
                news = fold.read() is not None or news
        return news

    def _is_over(self, view: RunView, over: bool) -> bool:
        # As the status was when it was read: what is told last shall be how it ended.
        return over if self._child is not None else view.word not in ("running", "stopping")

    def _keep(self, code: int) -> None:
        """Write down how the process ended, also where it died before it could say anything in the folder."""
        assert self._child is not None
        self._kept = True
        try:
            status = self._run.status()
        except GenesisError:
            # The folder is damaged or gone: the status read next tells that.
            status = None
        if status is not None and self._is_of_another(status):
            return
        facts = self.view.facts
        on_request = self._child.was_killed or code == 130
        keep_last_words(self._run, 130 if on_request else code, facts.scans if facts else None)
        if status is None:
            return
        try:
            if self._child.was_killed and status.state in ("queued", "running", "stopping"):
                message = "ended at once, on request; the last checkpoint stands"
                self._run.set_status("stopped", status.step, status.total_steps, message)
            elif code != 0 and status.pid != self._child.pid:
                said = last_lines(self._run.path / KEPT)
                message = said[-1].removeprefix("error: ") if said else status.message
                self._run.set_status("stopped" if on_request else "failed", status.step, status.total_steps, message)
        except OSError:
            # Gone, or on a full disk: what is read next tells as much.
            return

    def _is_of_another(self, status: RunStatus) -> bool:
        """Whether another process than ours works on the run: one of ours that came too late was sent away."""
        return self._child is not None and status.pid != self._child.pid and status.is_alive

    def _gone(self, over: bool) -> RunView | None:
        # A child goes on until it next writes; it is watched to its end.
        self.ended = over or self._child is None
        if self.view.gone:
            return None
        self.view = replace(self.view, gone=True, word="gone")
        return self.view

    def _with_status(self, view: RunView, over: bool) -> RunView:
        try:
            status = self._run.status()
            word = status.word
        except GenesisError as problem:
            status, word = RunStatus("failed", view.step, message=str(problem)), "damaged"
        if over and word in ("running", "stopping") and not self._is_of_another(status):
            # The process number may not be free yet.
            word = "interrupted"
        step, total = max(whole(status.step, 0), self._record.step), whole(status.total_steps, view.total_steps)
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
            preview = read_latest(self._run) or preview
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
            notes=record.notes(),
            held_out=dict(record.held_out),
            scores=dict(record.scores),
            trained=record.trained,
            of_folds=record.of_folds,
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

        def known(key: str) -> bool:
            # Before a fine-tuning is planned, what was not set is a default that the plan may leave.
            return isinstance(settings, PretrainSettings) or bool(settings.plan) or settings.is_given(key)

        return RunFacts(
            task=settings.task,
            device=settings.device,
            batch=(training.batch_size or 0) * training.accumulate if known("training.batch_size") else 0,
            patch=tuple(settings.sampling.patch_size or ()) if known("sampling.patch_size") else (),
            width=getattr(settings.network, "width", None) if known("network.width") else None,
            recipe=settings.recipe.name if isinstance(settings, PretrainSettings) else "",
            seed=settings.seed,
            max_hours=training.max_hours,
            spacing=data.spacing if isinstance(data.spacing, tuple) else None,
            scans=data.scans if pretrains else data.labelled,
            validate_every=training.validate_every or 0,
            held_out=len(settings.cases.validation) if settings.cases is not None else 0,
            source=None if isinstance(settings, PretrainSettings) else _began_from(settings),
            plan={} if isinstance(settings, PretrainSettings) else settings.plan,
        )


def _began_from(settings: FinetuneSettings) -> Path | None:
    """Return the run or model whose weights a fine-tuning began with: of a later round, mostly the round before."""
    rounds = settings.rounds
    return settings.source if rounds is None or rounds.start == "source" else rounds.previous
