"""Between the page of the next round and the training: what is suggested, started, shown while it runs, and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_genesis.correct.commands import continue_words
from napari_genesis.correct.continuing import Continuing, settings_of
from napari_genesis.correct.in_order import InOrder
from napari_genesis.correct.parts import ReviewParts
from napari_genesis.correct.reviews import ReviewRead
from napari_genesis.jobs.devices import find_devices
from napari_genesis.jobs.preparing import free_name
from napari_genesis.studio.computing import LatestOnly


class RoundControl(QObject):
    """changed(): other actions are possible. finished(): a round has been trained: the review is to be read again."""

    changed = Signal()
    finished = Signal()

    def __init__(self, parts: ReviewParts, lane: InOrder, parent: QObject) -> None:
        super().__init__(parent)
        self._parts = parts
        self._read: ReviewRead | None = None
        self.continuing = Continuing(lane, self)
        self._suggesting = LatestOnly("genesis-review-plan", self)
        self._asking = LatestOnly("genesis-review-devices", self)
        self.lanes = (self._suggesting, self._asking)
        page, jobs = parts.continuing, parts.buttons.jobs
        self._suggesting.finished.connect(page.show_suggestion)
        self._suggesting.failed.connect(lambda _: page.show_suggestion(None))
        self._asking.finished.connect(self._devices_known)
        self.continuing.changed.connect(self._changed)
        self.continuing.finished.connect(self._trained)
        self.continuing.trouble.connect(parts.show_trouble)
        page.edited.connect(self._edited)
        jobs.new.connect(self.continuing.leave_job)
        for name in ("stop", "stop_now", "pause", "resume", "start_now", "cancel"):
            getattr(jobs, name).connect(lambda name=name: self.continuing.act(name))

    @property
    def run(self) -> Path | None:
        """The run that is shown."""
        return None if self.continuing.job is None else self.continuing.job.run.path

    def show_review(self, read: ReviewRead | None) -> None:
        """Show another review, or what has changed of it."""
        self._read = read
        self.continuing.follow(read)
        self._parts.continuing.show_review(read)
        self._suggest()

    def ask_devices(self) -> None:
        """Find out which devices there are, and what is free of them."""
        self._asking.submit(find_devices)

    def start(self, runs: Path) -> None:
        """Continue training with what was accepted, in a new run below a folder."""
        if self._read is not None and self.continuing.job is None and not self.continuing.starting:
            self._parts.say("")
            self.continuing.start(self._read, self._parts.continuing.choice, runs)

    def show_actions(self) -> None:
        """Show what can be done."""
        controls, job, read = self._parts.buttons.jobs, self.continuing.job, self._read
        self._parts.buttons.show_jobs()
        if job is not None:
            controls.show_state(job.state, can_resume=not job.view.gone, can_kill=job.can_kill)
            return
        can = read is not None and read.accepted > 0 and not self.continuing.starting
        busy = self.continuing.jobs.is_busy(self._parts.continuing.choice.device)
        missing = "Accept a case first, so that there is something new to learn."
        controls.show_setup(
            can, "Continue when free" if busy else "Continue training", "" if self.continuing.starting else missing
        )

    def words(self, read: ReviewRead, runs: Path) -> list[str]:
        """Return the words of the command that does the same."""
        if self.run is not None:
            return ["finetune", "--resume", "--out", str(self.run)]
        choice = self._parts.continuing.choice
        out = runs / free_name(runs, f"{read.review.name}_round")
        corrected = read.review.corrected if read.accepted else None
        return continue_words(read.run, corrected, out, choice.start, choice.max_steps, choice.max_hours, choice.device)

    def _changed(self) -> None:
        self._parts.continuing.show_job(self.continuing.job, self.continuing.ahead())
        self.changed.emit()

    def _edited(self) -> None:
        self._suggest()
        self.changed.emit()

    def _devices_known(self, devices: list[object]) -> None:
        if devices:
            self.continuing.jobs.auto_device = devices[0].key  # type: ignore[attr-defined]
        self._parts.continuing.show_devices(devices)  # type: ignore[arg-type]
        self.changed.emit()

    def _trained(self, run: Path) -> None:
        self.finished.emit()
        self._parts.say(
            f"{run.name} is trained; its Dice stands in the table. Rank, under Queue, lets the new model draw on what "
            "is left."
        )

    def _suggest(self) -> None:
        read = self._read
        if read is None:
            self._parts.continuing.show_suggestion(None)
            return
        plain = replace(self._parts.continuing.choice, max_steps=None, max_hours=None)
        unused = read.review.folder / "unused"
        self._suggesting.submit(lambda: settings_of(read, plain, unused).training.max_steps)
