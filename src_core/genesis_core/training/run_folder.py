"""A run's folder: the one interface between training and everybody who watches it.

Files: run.yaml (the resolved settings), status.json (state, pid, host, step, heartbeat), events.jsonl, checkpoints/,
previews/, tensorboard/, model/, and the empty file `stop` that asks a run to stop, also from another machine.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError, RunError
from genesis_core.training.discretion import Discretion
from genesis_core.training.events import Event, EventWriter, make_event, read_events

State = Literal["queued", "running", "stopping", "stopped", "finished", "failed"]
STATES: tuple[State, ...] = ("queued", "running", "stopping", "stopped", "finished", "failed")
# A run on another machine whose heartbeat is older counts as lost; on this machine the process itself is asked.
LOST_AFTER_SECONDS = 600.0
_HEARTBEAT_SECONDS = 2.0
# What a run leaves that was killed at its very start, and what one leaves that failed before it had done a step.
_LEFT_AT_START = ("checkpoints", "previews", ".*.tmp.run.yaml")
_LEFT_BY_FAILED = (
    *("run.yaml", "events.jsonl", "failed_process_*.json", ".*.tmp.status.json", "status.json"),
    *("previews/step_0000000.npz", "tensorboard", "tensorboard/events.out.tfevents.*"),
)


@dataclass(frozen=True)
class RunStatus:
    """What status.json says. step: last finished step. heartbeat: seconds since the epoch, UTC."""

    state: State
    step: int = 0
    total_steps: int | None = None
    pid: int = 0
    host: str = ""
    heartbeat: float = 0.0
    message: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether a process works on the run now: known on this machine, judged by the heartbeat elsewhere."""
        if self.state not in ("running", "stopping"):
            return False
        if self.host == socket.gethostname():
            return is_running(self.pid, since=self.heartbeat)
        return time.time() - self.heartbeat < LOST_AFTER_SECONDS

    @property
    def word(self) -> str:
        """The state for people: a run whose process is gone without a word is "interrupted"."""
        return "interrupted" if self.state in ("running", "stopping") and not self.is_alive else self.state


class RunFolder:
    """One run on disk: reading it for anybody, writing it for the process that trains.

    writes: False for those of several processes that only train: what they would write of the run stays unwritten.
    """

    def __init__(self, path: str | os.PathLike[str], *, writes: bool = True) -> None:
        self.path = Path(path)
        self.writes = writes
        self._last_heartbeat = 0.0
        # What is written for others names no file.
        self.discretion = Discretion()

    settings_file = property(lambda self: self.path / "run.yaml")
    events_file = property(lambda self: self.path / "events.jsonl")
    checkpoints = property(lambda self: self.path / "checkpoints")
    previews = property(lambda self: self.path / "previews")
    tensorboard = property(lambda self: self.path / "tensorboard")
    model = property(lambda self: self.path / "model")
    stop_file = property(lambda self: self.path / "stop")
    status_file = property(lambda self: self.path / "status.json")

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def is_run(self) -> bool:
        """Whether this folder holds a run."""
        return bool(self.settings_file.is_file())

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Make a new, empty run folder, also in place of a run that failed before it had done a step.

        Raises OutputExistsError if anything else is there already.
        """
        folder = cls(path)
        if folder.path.exists():
            left = folder._left_unborn()
            if left is None:
                go_on = ", or go on with it by --resume" if folder.is_run else ""
                raise OutputExistsError(f"{path} exists already: choose another --out{go_on}")
            # The status goes last: until then what is left is known to be a failed run's.
            for file in sorted(filter(Path.is_file, left), key=lambda one: one == folder.status_file):
                file.unlink()
        for part in (folder.path, folder.checkpoints, folder.previews):
            part.mkdir(parents=True, exist_ok=True)
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Return the run at `path`. Raises RunError if there is none."""
        folder = cls(path)
        if not folder.path.is_dir():
            raise RunError(f"{path}: no such run folder")
        if not folder.is_run:
            raise RunError(f"{path}: not a run folder (it holds no run.yaml)")
        return folder

    def _left_unborn(self) -> list[Path] | None:
        """Return what is in the folder, if that is nothing of worth: no step, and nothing that is not a run's own."""
        if not self.path.is_dir():
            return None
        known = _LEFT_AT_START + (_LEFT_BY_FAILED if self._failed_at_once() else ())
        left = []
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            is_folder = name in ("checkpoints", "previews", "tensorboard")
            if path.is_symlink() or path.is_dir() != is_folder or not any(fnmatch(name, one) for one in known):
                return None
            left.append(path)
        return left

    def _failed_at_once(self) -> bool:
        try:
            status = self.status()
        except RunError:
            return False
        done = any(event["event"] in ("step", "checkpoint") for event in self.events())
        return status.state == "failed" and status.step == 0 and not done

    def status(self) -> RunStatus:
        """Read status.json. Raises RunError if it is damaged; a run that never wrote one is "queued"."""
        if not self.status_file.exists():
            return RunStatus("queued")
        try:
            values = json.loads(self.status_file.read_text(encoding="utf-8"))
            if values["state"] not in STATES:
                raise ValueError(f"unknown state {values['state']!r}")
            known = {key: values[key] for key in RunStatus.__dataclass_fields__ if key in values}
            return RunStatus(
                **{**known, "heartbeat": float(known.get("heartbeat", 0)), "pid": int(known.get("pid", 0))}
            )
        except (ValueError, KeyError, TypeError, OSError) as problem:
            raise RunError(f"{self.status_file}: damaged ({problem}); delete this file to resume the run") from None

    def set_status(self, state: State, step: int, total_steps: int | None, message: str = "") -> None:
        """Write status.json with this process as the owner."""
        if not self.writes:
            return
        self._last_heartbeat = time.time()
        message = self.discretion.text(message)
        status = RunStatus(state, step, total_steps, os.getpid(), socket.gethostname(), self._last_heartbeat, message)
        write_text(self.status_file, json.dumps(status.__dict__, indent=1) + "\n")

    def note_failure(self, total_steps: int | None, message: str) -> None:
        """Write into status.json that the run failed, unless it says how it ended already; a full disk keeps silent."""
        if not self.writes:
            return
        status = self.status()
        if status.state == "running":
            # Where this cannot be written the error itself still reaches the user.
            with suppress(OSError):
                self.set_status("failed", status.step, total_steps, message)

    def heartbeat(self, step: int, total_steps: int | None) -> None:
        """Say that the run is alive at `step`; writes at most every two seconds."""
        if self.writes and time.time() - self._last_heartbeat >= _HEARTBEAT_SECONDS:
            self.set_status("running", step, total_steps)

    @cached_property
    def _writer(self) -> EventWriter:
        return EventWriter(self.events_file)

    def write_event(self, kind: str, **values: Any) -> Event:
        """Append an event and return it."""
        # A file of the run's own is named as it is; everything else may quote a path.
        told = {key: value if key == "file" else self.discretion.values(value) for key, value in values.items()}
        event = make_event(kind, **told)
        if self.writes:
            self._writer.write(event)
        return event

    def events(self) -> Iterator[Event]:
        """Yield all events written so far."""
        return read_events(self.events_file)

    def ask_to_stop(self) -> None:
        """Ask the process that trains to checkpoint and stop."""
        self.stop_file.touch()

    def forget_stop(self) -> None:
        """Take back a request to stop, as a run does when it goes on."""
        if self.writes:
            self.stop_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the event file, if this process wrote events."""
        if "_writer" in self.__dict__:
            self._writer.close()
            del self.__dict__["_writer"]


def list_runs(root: str | os.PathLike[str]) -> list[RunFolder]:
    """Return the runs in `root` (or `root` itself, if it is one), by name. Raises RunError if `root` does not exist."""
    root = Path(root)
    if not root.is_dir():
        raise RunError(f"{root}: no such folder")
    if RunFolder(root).is_run:
        return [RunFolder(root)]
    return [RunFolder(path) for path in sorted(root.iterdir()) if path.is_dir() and RunFolder(path).is_run]


def is_running(pid: int, since: float | None = None) -> bool:
    """Whether a process works on this machine; since: and began at that moment or before, in seconds of the epoch."""
    import psutil

    try:
        process = psutil.Process(pid)
        # One that has ended is listed until its parent has asked how.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A later process may have been given the same number.
        return since is None or bool(process.create_time() <= since + 1)
    except psutil.Error:
        return False
