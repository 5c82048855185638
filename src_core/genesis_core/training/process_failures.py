"""A process that fails leaves a note in the run folder; the others, whose connection breaks, find its reason there.

The first process says how the run ended. Where it is the one that was killed, whoever notices says so in its place.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genesis_core.atomic import write_text
from genesis_core.errors import TrainingError
from genesis_core.training.processes import EndedElsewhereError, Processes
from genesis_core.training.run_folder import RunFolder, is_running

# How long the others wait for a note of the process that is gone, and for the launcher to clear it away.
_NOTE_SECONDS = 4.0
_LOOK_SECONDS = 0.1
# How long a process that has lost another one may still run: longer than it takes to notice by itself.
_GRACE_SECONDS = 20.0


class LostProcessError(TrainingError):
    """Another process of this training ended before its time; the last checkpoint stands."""


def cause_of(problem: BaseException, processes: Processes, run: RunFolder) -> BaseException:
    """Return what this process shall raise for `problem`; with several processes the others learn of it.

    Of a connection that broke: a LostProcessError with the reason of the process that broke it, as far as that is
    known. Only the first process reports; the others end with EndedElsewhereError where they have nothing to add.
    """
    if processes.count == 1 or isinstance(problem, LostProcessError | EndedElsewhereError):
        return problem
    if not is_lost_connection(problem):
        if not processes.is_main:
            _write_note(run, processes, str(problem) or f"it was interrupted ({type(problem).__name__})")
        return problem
    if processes.is_main:
        return LostProcessError(_who_ended(processes, run))
    _speak_for_the_first(processes, run)
    return EndedElsewhereError(1)


@contextmanager
def ended_with_the_others(
    processes: Processes, run: RunFolder, grace: float = _GRACE_SECONDS, end: Callable[[int], None] = os._exit
) -> Iterator[None]:
    """Within the block, end this process if another one is gone and it does not notice for `grace` seconds.

    That is so on a GPU: it waits for the gradients of the process that is gone, the program for the GPU, and no signal
    gets through. end: is given the exit code.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if processes.parting or not (read_notes(run) or _gone(processes)):
                continue
            message = _who_ended(processes, run)
            if not over.wait(grace) and not processes.parting:
                run.note_failure(run.status().total_steps, message)
                end(1)
            return

    if processes.count > 1:
        threading.Thread(target=watch, name="genesis-peers", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def is_lost_connection(problem: BaseException) -> bool:
    """Whether an error says that another process could not be reached any more."""
    from torch.distributed import DistError

    text, words = str(problem), ("gloo", "NCCL", "Connection closed by peer")
    return isinstance(problem, DistError) or (isinstance(problem, RuntimeError) and any(word in text for word in words))


def forget_notes(run: RunFolder) -> None:
    """Remove what processes of an earlier attempt left; for the first process, before the others begin."""
    for path in run.path.glob("failed_process_*.json"):
        path.unlink(missing_ok=True)


def read_notes(run: RunFolder) -> dict[int, str]:
    """Return the reasons that processes left, by rank."""
    notes = {}
    for path in sorted(run.path.glob("failed_process_*.json")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            notes[int(note["rank"])] = str(note["message"])
        except (OSError, ValueError, KeyError, TypeError):
            # Cut short by a kill: that the process is gone is known all the same.
            continue
    return notes


def _note_file(run: RunFolder, rank: int) -> Path:
    return Path(run.path) / f"failed_process_{rank}.json"


def _write_note(run: RunFolder, processes: Processes, message: str) -> None:
    note = {"rank": processes.rank, "name": processes.name(processes.rank), "message": run.discretion.text(message)}
    try:
        write_text(_note_file(run, processes.rank), json.dumps(note))
    except OSError:
        # No shared folder, or none at all yet: the error is on this process's own stderr.
        return


def _who_ended(processes: Processes, run: RunFolder) -> str:
    """Return a sentence on the process that is gone: by its note, or because its process is no longer there."""
    end = time.monotonic() + _NOTE_SECONDS
    while True:
        notes = read_notes(run)
        if notes:
            rank, message = next(iter(notes.items()))
            return f"{processes.name(rank)} ended: {message}"
        gone = _gone(processes)
        # A note comes before the end: what is gone without one has none to leave.
        if gone and time.monotonic() > end - _NOTE_SECONDS / 2:
            return f"{processes.name(gone[0])} ended: it was killed, and could not say why (see its output)"
        if time.monotonic() > end:
            others = [processes.name(rank) for rank in range(processes.count) if rank != processes.rank]
            return f"{' or '.join(others)} ended, or cannot be reached (see their output)"
        time.sleep(_LOOK_SECONDS)


def _gone(processes: Processes) -> list[int]:
    """Return the ranks of those on this machine that no longer run."""
    host = processes.peers[processes.rank].host
    return [rank for rank, peer in enumerate(processes.peers) if peer.host == host and not is_running(peer.pid)]


def _speak_for_the_first(processes: Processes, run: RunFolder) -> None:
    end = time.monotonic() + _NOTE_SECONDS
    while time.monotonic() < end:
        status = run.status()
        if status.state != "running":
            return
        if not status.is_alive:
            message = f"{processes.name(0)} ended: it was killed, and could not say why (see its output)"
            RunFolder(run.path).note_failure(status.total_steps, message)
            return
        time.sleep(_LOOK_SECONDS)
