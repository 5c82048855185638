"""One run as this napari knows it: waiting in a queue, training in a process of ours, or found on the disk.

A process of ours is watched by napari's own thread worker, so that napari asks before it closes; a run found on the
disk, which closing napari does not touch, by a worker that napari does not count.
"""

from __future__ import annotations

import gc
from typing import Any, Literal

import psutil
from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.following import follow, named
from napari_genesis.jobs.launching import Child, Command, kill_tree, start
from napari_genesis.jobs.reading import RunReader
from napari_genesis.jobs.view import RunView
from napari_genesis.jobs.watchers import start_watcher

State = Literal[
    "reading", "queued", "starting", "preparing", "running", "pausing", "stopping", "paused", "stopped", "finished",
    "failed", "interrupted", "damaged", "gone",
]  # fmt: skip
# While a process works on the run.
ALIVE: tuple[State, ...] = ("starting", "preparing", "running", "pausing", "stopping")
# From which a run can go on.
RESUMABLE: tuple[State, ...] = ("paused", "stopped", "failed", "interrupted")
# Milliseconds until a run that could not be watched is watched again.
_AGAIN = 1000


class Job(QObject):
    """A run and, if it is ours, its process.

    changed(): the view or the state is another. ended(): no process works on it any more. device: whose queue it is in.
    """

    changed = Signal()
    ended = Signal()

    def __init__(
        self, run: RunFolder, device: str, command: Command = "pretrain", parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.run = run
        self.device = device
        self.command: Command = command
        self.view = RunView(run.path)
        self.waiting = False
        # How many show it; one of somebody else's that nobody shows is not watched.
        self.viewers = 0
        self.goes_on = False
        self.problem = ""
        self._child: Child | None = None
        self._reader = RunReader(run)
        self._watching: _Watching | None = None
        self._asked: Literal["", "pause", "stop", "stop now"] = ""
        # Why it is not watched just now.
        self._blind = ""
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(_AGAIN)
        self._again.timeout.connect(self.watch)

    @property
    def is_ours(self) -> bool:
        """Whether a process that this napari started, and holds, works on it."""
        return self._child is not None

    @property
    def state(self) -> State:
        """The state for people and for what can be done."""
        view = self.view
        if view.gone and self._child is None:
            return "gone"
        if self.waiting:
            return "queued"
        alive = self._child is not None or view.word in ("running", "stopping")
        if not alive:
            if self._asked == "stop now" and view.word == "interrupted":
                return "stopped"
            return "paused" if view.word == "stopped" and self._asked == "pause" else _state_of(view.word)
        if self._asked:
            return "pausing" if self._asked == "pause" else "stopping"
        if self._child is not None and view.status.pid != self._child.pid:
            return "starting"
        return "preparing" if view.preparing is not None or not view.begun else "running"

    @property
    def is_alive(self) -> bool:
        """Whether a process works on it."""
        return self.state in ALIVE

    def begin(self) -> None:
        """Start its process, or go on with it where it was stopped."""
        self.waiting, self._asked, self.problem = False, "", ""
        # A full collection holds up the window for a quarter of a second: better at the click than soon after it.
        gc.collect()
        try:
            self._child = start(self.run, self.command)
        except OSError as problem:
            self.problem = f"no process could be started ({problem.strerror or problem})"
            self.changed.emit()
            self.ended.emit()
            return
        self._child.choose_end(goes_on=self.goes_on)
        self.watch()

    def watch(self) -> None:
        """Watch the run folder from now on, in a thread; what is known of it comes as `view`."""
        self.stop_watching()
        if self._child is not None:
            from napari.qt.threading import GeneratorWorker, create_worker
        else:
            # Not napari's own: closing napari does nothing to this run, so it need not ask.
            from superqt.utils import GeneratorWorker, create_worker
        self._reader.adopt(self._child)
        worker = create_worker(
            named(follow, self._words()),
            self._reader,
            _start_thread=False,
            _worker_class=GeneratorWorker,
            _ignore_errors=True,
        )
        self._watching = _Watching(self, worker)
        start_watcher(worker)
        self.changed.emit()

    def stop_watching(self) -> None:
        """Watch no longer; the process, if any, goes on."""
        self._again.stop()
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.quit()

    def pause(self) -> None:
        """Ask for a checkpoint and the end of the process, which frees its memory; `begin` goes on."""
        self._ask("pause")

    def stop(self) -> None:
        """Ask for a checkpoint and the end of the process."""
        self._ask("stop")

    def stop_now(self) -> None:
        """End the process at once; the last checkpoint stands."""
        self._asked = "stop now"
        if self._child is not None:
            self._child.kill()
        elif self.view.status.is_alive and self.can_kill:
            kill_tree(self.view.status.pid)
        self.changed.emit()

    @property
    def can_kill(self) -> bool:
        """Whether the process is on this machine, where it can be ended at once."""
        import socket

        status = self.view.status
        return self._child is not None or (status.host == socket.gethostname() and psutil.pid_exists(status.pid))

    def choose_end(self, goes_on: bool) -> None:
        """Choose whether the process goes on when napari closes, or stops with a checkpoint."""
        self.goes_on = goes_on
        if self._child is not None:
            self._child.choose_end(goes_on=goes_on)
            # napari asks in the words the worker began with.
            self.watch()

    def leave(self) -> None:
        """Let go of the process: it stops with a checkpoint, or goes on, as was chosen."""
        self.stop_watching()
        child, self._child = self._child, None
        if child is not None:
            child.let_go()

    def _ask(self, what: Literal["pause", "stop"]) -> None:
        self._asked = what
        if self._child is not None:
            # Its stdin is heard from the first moment; a file `stop` would be cleared by a run that is starting.
            self._child.stop()
        else:
            try:
                self.run.ask_to_stop()
            except OSError as problem:
                self._asked, self.problem = "", f"cannot be asked to stop ({problem.strerror or problem})"
        self.changed.emit()

    def _words(self) -> str:
        name = self.run.name
        if self.goes_on:
            return f"the training '{name}', which goes on without napari"
        dock = "Pretrain" if self.command == "pretrain" else "Fine-tune"
        return f"the training '{name}', which will stop with a checkpoint (the {dock} dock can let it go on instead)"

    def _take(self, view: RunView) -> None:
        self.view = view
        if self.problem == self._blind:
            self.problem = self._blind = ""
        self.changed.emit()

    def _over(self) -> None:
        self._watching = None
        child, self._child = self._child, None
        if child is not None:
            child.let_go()
        if self._asked == "stop":
            self._asked = ""
        if self.view.word in ("running", "stopping"):
            # Ours came too late: somebody else trains it.
            self.watch()
        self.changed.emit()
        self.ended.emit()

    def _broken(self, problem: Exception) -> None:
        self._watching = None
        self.problem = self._blind = f"it cannot be watched ({problem})"
        # Its end must not be missed: the device would count as busy for ever.
        self._again.start()
        self.changed.emit()

    def _aborted(self) -> None:
        # Nobody but napari itself ends a worker that is still listened to: it closes.
        self._watching = None
        self.leave()
        self.changed.emit()


class _Watching(QObject):
    """Passes on what one worker says, as long as it is the job's latest: its last words may come late."""

    def __init__(self, job: Job, worker: Any) -> None:
        super().__init__(job)
        self._job = job
        self._worker = worker
        worker.yielded.connect(self._yielded)
        worker.returned.connect(self._returned)
        worker.errored.connect(self._errored)
        worker.aborted.connect(self._aborted)

    def quit(self) -> None:
        """Ask the worker to end; nothing it says counts any more."""
        self._worker.quit()
        # The job may go before: PySide6 does not survive that a child that is to be deleted goes with its parent.
        self.setParent(None)
        self.deleteLater()

    @property
    def _counts(self) -> bool:
        return self._job._watching is self

    def _yielded(self, view: RunView | None) -> None:
        if view is not None and self._counts:
            self._job._take(view)

    def _returned(self, _result: object = None) -> None:
        if self._counts:
            self._job._over()
            self.deleteLater()

    def _errored(self, problem: Exception) -> None:
        if self._counts:
            self._job._broken(problem)
            self.deleteLater()

    def _aborted(self) -> None:
        if self._counts:
            self._job._aborted()
            self.deleteLater()


def _state_of(word: str) -> State:
    known: dict[str, State] = {
        "": "reading",
        "queued": "stopped",
        "running": "running",
        "stopping": "stopping",
        "stopped": "stopped",
        "finished": "finished",
        "failed": "failed",
        "interrupted": "interrupted",
        "gone": "gone",
    }
    return known.get(word, "damaged")
