"""All jobs of this napari, and one queue a device: a job waits while another trains where it is to train.

There is one `Jobs` for the whole application, since its windows share the devices. A run that another program trains on
this machine counts as well, once it is known.
"""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QCoreApplication, QObject, Signal

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.launching import Command


class Jobs(QObject):
    """The jobs in the order they came. changed(): a job came, went, began, ended or was moved in its queue."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        application = QCoreApplication.instance()
        if application is not None:
            # Qt waits for threads that watch, and they for runs, which may take days.
            application.aboutToQuit.connect(self.close)
        self.jobs: list[Job] = []
        # What "auto" means here, once the devices are known.
        self.auto_device = ""
        self._others: dict[Path, str] = {}
        # Devices whose queue waits because the user freed them.
        self._held: set[str] = set()

    def key(self, device: str) -> str:
        """Return the device as queues know it: "auto" and "cuda" by what they mean."""
        name = self.auto_device or device if device == "auto" else device
        return "cuda:0" if name == "cuda" else name

    def add(self, run: RunFolder, device: str, command: Command = "pretrain", *, goes_on: bool = False) -> Job:
        """Take in a run that is to be trained: now if its device is free, else after those before it."""
        job = self._known(run, device, command)
        job.goes_on = goes_on
        self._begin_or_wait(job)
        return job

    def resume(self, job: Job) -> None:
        """Go on with a run that was stopped, or put it at the end of its device's queue."""
        self._begin_or_wait(job)

    def look_at(self, path: Path) -> Job:
        """Return the job of a run folder; one that nobody knows yet is watched from now on."""
        for job in self.jobs:
            if job.run.path == path:
                if not job.is_ours and not job.waiting:
                    job.watch()
                return job
        job = self._known(RunFolder(path), "auto", "pretrain")
        job.watch()
        return job

    def start_now(self, job: Job) -> None:
        """Start a job that waits, whatever else is trained on its device."""
        self._begin(job)

    def cancel(self, job: Job) -> None:
        """Take a job out of its queue; its folder stays, and it can be started later."""
        job.waiting = False
        try:
            status = job.run.status()
            job.run.set_status("stopped", status.step, status.total_steps, "taken out of the queue")
        except OSError as problem:
            job.problem = f"its folder cannot be written ({problem.strerror or problem})"
        job.watch()
        self.changed.emit()

    def pause(self, job: Job) -> None:
        """Free the memory of a job; those that wait for its device wait on, until it goes on or one is started."""
        self._held.add(self.key(job.device))
        job.pause()

    def ahead_of(self, job: Job) -> list[Job]:
        """Return the jobs that come before one that waits: those that train on its device, then those that wait."""
        key = self.key(job.device)
        same = [one for one in self.jobs if self.key(one.device) == key]
        waiting = [one for one in same if one.waiting]
        before = waiting[: waiting.index(job)] if job in waiting else []
        return [one for one in same if one.is_alive] + before

    def note_others(self, others: dict[Path, str]) -> None:
        """Take note of runs that other programs train on this machine, and of their devices."""
        ours = {job.run.path for job in self.jobs if job.is_ours}
        others = {path: self.key(device) for path, device in others.items() if path not in ours}
        if others != self._others:
            self._others = others
            self._next()

    def is_busy(self, device: str) -> bool:
        """Whether anything trains on a device."""
        key = self.key(device)
        ours = any(job.is_alive and self.key(job.device) == key for job in self.jobs)
        return ours or key in self._others.values()

    def close(self) -> None:
        """Let go of all jobs: each stops with a checkpoint, or goes on, as was chosen; nothing more is started."""
        for job in self.jobs:
            job.waiting = False
            job.leave()
        self.jobs.clear()

    def _known(self, run: RunFolder, device: str, command: Command) -> Job:
        for job in self.jobs:
            if job.run.path == run.path:
                job.device, job.command = device, command
                return job
        job = Job(run, device, command, self)
        job.changed.connect(self._learn)
        job.ended.connect(self._next)
        self.jobs.append(job)
        return job

    def _learn(self) -> None:
        """Take from what was read of a found run where it trains, and by which command it goes on."""
        for job in self.jobs:
            facts = job.view.facts
            if facts is not None and not job.is_ours and not job.waiting:
                job.device = facts.device
                job.command = "pretrain" if facts.task == "restoration" else "finetune"

    def _begin_or_wait(self, job: Job) -> None:
        if self.is_busy(job.device):
            # Last in the list is last in the queue.
            self.jobs.remove(job)
            self.jobs.append(job)
            job.waiting = True
            # What it is made of is shown while it waits.
            job.watch()
            self.changed.emit()
        else:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._held.discard(self.key(job.device))
        job.begin()
        self.changed.emit()

    def _next(self) -> None:
        """Start what waits for a device that has become free."""
        for job in list(self.jobs):
            if job.waiting and not self.is_busy(job.device) and self.key(job.device) not in self._held:
                self._begin(job)
        self.changed.emit()


_jobs: Jobs | None = None


def application_jobs() -> Jobs:
    """Return the jobs of this application, made when they are first asked for."""
    global _jobs
    if _jobs is None:
        _jobs = Jobs(QCoreApplication.instance())
    return _jobs


def forget_jobs() -> None:
    """Let go of all jobs of the application; the next that asks gets new ones."""
    global _jobs
    if _jobs is not None:
        _jobs.close()
        _jobs.deleteLater()
        _jobs = None
