"""How several processes begin a run: the first one finds or makes it, and prepares the data before the others read it.

It knows no task. A folder that every node sees is prepared once; a cache on a disk of each node's own once a node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from genesis_core.parallel import available_cores
from genesis_core.training.processes import Processes, share_of
from genesis_core.training.settings import TrainingSettings

T = TypeVar("T")
S = TypeVar("S")
P = TypeVar("P", bound=TrainingSettings)

# The first process, then one on each other node, then all.
_TURNS = 3


def in_turns(processes: Processes, prepare: Callable[[S], T | None], asked: S, resolve: Callable[[T], S]) -> T | None:
    """Let the first process `prepare` what it is asked for, then one of each node, then all others.

    prepare: returns what was prepared, or None where it was asked to stop. resolve: of what the first one prepared,
    what the others are asked for. Returns None on every process if any was asked to stop.
    """
    own = 0 if processes.is_main else 1 if processes.local_rank == 0 else 2
    made: T | None = None
    for turn in range(_TURNS if processes.count > 1 else 1):
        if turn == own:
            made = prepare(asked)
        if turn == 0:
            resolved = processes.share(None if made is None else resolve(made))
            if resolved is None:
                return None
            asked = resolved
        elif any(row[0] for row in processes.gather([turn == own and made is None])):
            return None
    return made


def with_processes(training: TrainingSettings, processes: Processes, *, begun: bool) -> TrainingSettings:
    """Return the settings with the number of processes that each step's batch is made for, and threads for this one.

    begun: whether the run has trained already; one from before this was asked was of one process. The cores of a
    machine are shared by its processes. Raises SettingsError if the batch cannot be shared evenly.
    """
    made_for = training.processes or (1 if begun else processes.count)
    share_of(made_for * training.accumulate, processes)
    return training.model_copy(update={"processes": made_for, "threads": training.threads or _share(processes)})


def threads_here(training: TrainingSettings, processes: Processes) -> int:
    """Return how many threads this process computes with; training: as `with_processes` returns it.

    A run that goes on with another number of processes keeps its own number of threads, but on this machine they might
    be too many.
    """
    threads = training.threads or _share(processes)
    return threads if training.processes == processes.count else min(threads, _share(processes))


def _share(processes: Processes) -> int:
    return max(1, available_cores() // processes.local_count)


def batch_in_words(training: TrainingSettings, processes: Processes, norm: str) -> str | None:
    """Return a sentence on how a step's batch is shared, and what that means for norms; None for one process alone."""
    if processes.count == 1 and training.processes in (None, 1):
        return None
    parts = (training.processes or 1) * training.accumulate
    each = parts // processes.count
    words = (
        f"each step has {parts} batches of {training.batch_size} sub-volumes, {each} on each of {processes.count} "
        f"process{'es' if processes.count > 1 else ''}"
    )
    if norm == "instance":
        return words
    return f"{words}. Every batch is normalised by its own statistics, as it would be in one process"
