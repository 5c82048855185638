"""All jobs of this napari, and one queue a device: a job waits while another trains where it is to train.

There is one `Jobs` for the whole application, since its windows share the devices. A run that another program trains on
this machine counts as well, once it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from genesis_core.errors import GenesisError
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.launching import Command
from napari_genesis.studio.computing import LatestOnly

# Milliseconds between two looks at whether the trainings of other programs have ended, while a run waits for them.
_LOOK_EVERY = 2000


class Jobs(QObject):
    """The jobs in the order they came. changed(): a job came, went, began, ended or was moved in its queue."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        application = QCoreApplication.instance()
        if application is not None:
            # What watches waits for runs, which may take days.
            application.aboutToQuit.connect(self.close)
        self.jobs: list[Job] = []
        # What "auto" means here, once the devices are known.
        self.auto_device = ""
        self._others: dict[Path, str] = {}
        # Asks for the ends of others, in a thread: their folders may lie on a slow disk.
        self._looking = LatestOnly("genesis-other-trainings", self)
        self._looking.finished.connect(self._forget_others)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY)
        self._timer.timeout.connect(self._look_at_others)
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
        """Return the job of a run folder, for somebody who shows it until `look_away`, and watch what is done to it."""
        job = next((job for job in self.jobs if job.run.path == path), None)
        if job is None:
            job = self._known(RunFolder(path), "auto", "pretrain")
        job.viewers += 1
        if not job.is_ours and not job.waiting:
            job.watch()
        return job

    def look_away(self, job: Job) -> None:
        """Show a job no longer; one that somebody else trains is watched no longer, unless others show it."""
        job.viewers -= 1
        if job.viewers <= 0 and job.is_alive and not job.is_ours:
            job.stop_watching()
            self.jobs.remove(job)
            job.setParent(None)
            # Its device is still in use.
            self.note_others({**self._others, job.run.path: job.device})

    def start_now(self, job: Job) -> None:
        """Start a job that waits, whatever else is trained on its device."""
        if job.waiting:
            self._begin(job)

    def cancel(self, job: Job) -> None:
        """Take a job out of its queue; its folder stays, and it can be started later."""
        job.waiting = False
        try:
            status = job.run.status()
            job.run.set_status("stopped", status.step, status.total_steps, "taken out of the queue")
        except (GenesisError, OSError) as problem:
            job.problem = f"its folder cannot be written ({getattr(problem, 'strerror', None) or problem})"
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
        self._timer.stop()
        self._looking.close()
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
        if job.waiting or job.is_alive:
            # Asked for twice, by somebody who has not seen yet that it was heard.
            return
        if self.is_busy(job.device):
            # Last in the list is last in the queue.
            self.jobs.remove(job)
            self.jobs.append(job)
            job.waiting = True
            self._timer.start()
            # What it is made of is shown while it waits.
            job.watch()
            self.changed.emit()
        else:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._held.discard(self.key(job.device))
        job.begin()
        self.changed.emit()

    def _look_at_others(self) -> None:
        """Look whether others have ended, as long as anything waits for them."""
        others = tuple(self._others)
        if not any(job.waiting for job in self.jobs):
            self._timer.stop()
        elif others and not self._looking.busy:
            self._looking.submit(lambda: [path for path in others if not _is_alive(path)])

    def _forget_others(self, ended: Sequence[Path]) -> None:
        self.note_others({path: device for path, device in self._others.items() if path not in ended})

    def _next(self) -> None:
        """Start what waits for a device that has become free."""
        for job in list(self.jobs):
            if job.waiting and not self.is_busy(job.device) and self.key(job.device) not in self._held:
                self._begin(job)
        self.changed.emit()


def _is_alive(path: Path) -> bool:
    try:
        return RunFolder(path).status().is_alive
    except GenesisError:
        # Nobody trains what nobody can read.
        return False


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
