"""A round of training: made from the review, put into the application's queue of jobs, and followed to its end."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QObject, Signal

from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.run_folder import RunFolder
from napari_genesis.correct.continue_page import ContinueChoice
from napari_genesis.correct.in_order import InOrder
from napari_genesis.correct.reviews import ReviewRead
from napari_genesis.correct.wording import in_words
from napari_genesis.jobs.job import ALIVE, Job
from napari_genesis.jobs.preparing import free_name, prepare_run
from napari_genesis.jobs.queues import application_jobs


class Continuing(QObject):
    """changed(): the job, or its state, is another. finished(run): a round has been trained. trouble(reason).

    `lane` is where the review's files are written.
    """

    changed = Signal()
    finished = Signal(object)
    trouble = Signal(str)

    def __init__(self, lane: InOrder, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = application_jobs()
        self.job: Job | None = None
        self.starting = False
        self._lane = lane
        self._seen = ""
        # Rounds whose page the user left for the form of another.
        self._left = set[Path]()
        self.jobs.changed.connect(self.changed)

    def follow(self, read: ReviewRead | None) -> None:
        """Show the newest round if it is not finished; forget the job otherwise."""
        newest = read.rounds[-1] if read is not None and len(read.rounds) > 1 else None
        if newest is None or newest.state == "finished" or newest.run in self._left:
            if self.job is not None:
                self._take(None)
        elif self.job is None or self.job.run.path != newest.run:
            self._take(self.jobs.look_at(newest.run))

    def start(self, read: ReviewRead, choice: ContinueChoice, runs: Path) -> None:
        """Make the next round's run and start it, or put it into its device's queue."""
        self.starting = True
        self.changed.emit()

        def work() -> RunFolder:
            out = runs / free_name(runs, f"{read.review.name}_round")
            run = prepare_run(settings_of(read, choice, out))
            read.review.add_round(run.path)
            return run

        def done(run: RunFolder) -> None:
            self.starting = False
            self._take(self.jobs.add(run, choice.device, "finetune"))

        self._lane.submit(work, done, self._failed)

    def leave_job(self) -> None:
        """Go back to the form."""
        if self.job is not None:
            self._left.add(self.job.run.path)
        self._take(None)

    def act(self, what: str) -> None:
        """Do what a button of the job's is called."""
        job = self.job
        if job is None:
            return
        if what in ("stop", "stop_now"):
            getattr(job, what)()
        else:
            getattr(self.jobs, what)(job)
        self.changed.emit()

    def ahead(self) -> list[str]:
        """Return the names of the runs that come before the job."""
        job = self.job
        return [] if job is None or not job.waiting else [one.run.name for one in self.jobs.ahead_of(job)]

    def close(self) -> None:
        """Listen no more; the job goes on."""
        self._take(None)
        self.jobs.changed.disconnect(self.changed)

    def _take(self, job: Job | None) -> None:
        if self.job is not None:
            self.job.changed.disconnect(self._job_changed)
        self.job, self._seen = job, "" if job is None else job.state
        if job is not None:
            job.changed.connect(self._job_changed)
        self.changed.emit()

    def _job_changed(self) -> None:
        job = self.job
        if job is None:
            return
        before, self._seen = self._seen, job.state
        self.changed.emit()
        if self._seen == "finished" and (before in ALIVE or before in ("queued", "reading")):
            self.finished.emit(job.run.path)

    def _failed(self, problem: Exception) -> None:
        self.starting = False
        self.trouble.emit(in_words(problem))
        self.changed.emit()


def settings_of(read: ReviewRead, choice: ContinueChoice, out: Path) -> FinetuneSettings:
    """Return the settings of the next round. Raises GenesisError for what cannot be continued."""
    from genesis_core.training.rounds import next_round

    corrected = read.review.corrected if read.accepted else None
    settings = next_round(
        read.run,
        corrected,
        out=out,
        start=choice.start,
        max_steps=choice.max_steps,
        max_hours=choice.max_hours,
    )
    return settings.model_copy(update={"device": choice.device})
