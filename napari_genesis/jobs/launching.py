"""Starting a training as a process of its own, and the three things its parent may ask of it through its stdin.

The run folder is the contract: it holds run.yaml before the process starts, and the same command begins a run and goes
on with it. Events reach the window through the folder, never through a pipe, so that a run outlives its window; stderr
goes to a log of this machine (it may name files, which a run folder must not: see `last_words`). Stdin stays open: its
end means that napari is gone, and the run then stops with a checkpoint. "Go on without napari" is said beforehand, as a
line on stdin, so that it holds however napari ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Any, Literal

import psutil

from genesis_core.training.run_folder import RunFolder
from genesis_core.training.stopping import GO_ON, STOP, STOP_WITH_ME
from napari_genesis.jobs.last_words import forget_last_words, log_file

Command = Literal["pretrain", "finetune"]
# The window's threads come first where all cores train: on an idle machine this costs the training nothing.
_NICE = 10


class Child:
    """The process of one run."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.was_killed = False

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended (negative: the signal that killed it); None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to write a checkpoint and stop, after the step it is at."""
        self._say(STOP)

    def choose_end(self, *, goes_on: bool) -> None:
        """Say what the end of napari shall mean: going on without it, or stopping with a checkpoint."""
        self._say(GO_ON if goes_on else STOP_WITH_ME)

    def let_go(self) -> None:
        """Close its stdin: what was chosen for the end of napari happens now."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """End it, and whatever it started, at once; its last checkpoint stands."""
        self.was_killed = True
        kill_tree(self._process.pid)

    def _say(self, word: str) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        # One that has ended hears nothing; its exit code tells the rest.
        with contextlib.suppress(OSError):
            pipe.write(f"{word}\n".encode())
            pipe.flush()


def start(run: RunFolder, command: Command) -> Child:
    """Start, or go on with, the run in a folder that holds its run.yaml. Raises OSError if no process can be made."""
    forget_last_words(run)
    words = [sys.executable, "-m", "genesis_core", command, "--resume", "--out", str(run.path.absolute())]
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    log = log_file(run)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            [*words, "--json", "--stop-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            **_apart(),
        )
    # It may have ended already, or the system may not allow it: nothing depends on it.
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(process.pid).nice(_below_normal())
    return Child(process)


def _apart() -> dict[str, Any]:
    """Return what makes a process one of its own: closing the terminal, or Ctrl-C in it, reaches napari alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _below_normal() -> int:
    if sys.platform == "win32":
        return int(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    return _NICE


def kill_tree(pid: int) -> None:
    """End a process and its children at once; one that is gone already is no problem."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()
