"""The runs of a workspace at a glance, whoever started them and wherever they train. No Qt; for a thread."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from genesis_core.errors import GenesisError
from genesis_core.settings import read_yaml
from genesis_core.training.run_folder import RunFolder, RunStatus, list_runs


@dataclass(frozen=True)
class FoundRun:
    """word: its state for people. task: as in settings; empty if they cannot be read.

    device: where it trains, of one that trains now on this machine; else empty.
    """

    path: Path
    word: str
    step: int
    total_steps: int | None
    heartbeat: float
    task: str = ""
    device: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether a process works on it."""
        return self.word in ("running", "stopping")


def find_runs(folder: Path) -> list[FoundRun]:
    """Return the runs in a folder, those with the latest sign of life first; none if it does not exist."""
    try:
        runs = list_runs(folder)
    except (GenesisError, OSError):
        return []
    return sorted((_look_at(run) for run in runs), key=lambda run: (run.is_alive, run.heartbeat), reverse=True)


def _look_at(run: RunFolder) -> FoundRun:
    try:
        status = run.status()
        word = status.word
    except GenesisError:
        status, word = RunStatus("queued"), "damaged"
    task, device = _task_and_device(run)
    trains_here = word in ("running", "stopping") and status.host == socket.gethostname()
    where = device if trains_here else ""
    return FoundRun(run.path, word, status.step, status.total_steps, status.heartbeat, task, where)


def _task_and_device(run: RunFolder) -> tuple[str, str]:
    try:
        file = run.settings_file.stat()
    except OSError:
        return "", ""
    return _read_task(run.settings_file, file.st_mtime_ns, file.st_size)


@lru_cache(maxsize=1024)
def _read_task(path: Path, _written: int, _size: int) -> tuple[str, str]:
    """Read a file once for each time it was written: a workspace of many runs is looked at every two seconds."""
    try:
        settings = read_yaml(path)
    except GenesisError:
        # Its events can be watched all the same.
        return "", ""
    return str(settings.get("task", "")), str(settings.get("device", "auto"))
