"""What the processes of a training agree on after each step, so that all decide the same and none waits for another.

Whoever was asked to stop, all stop; the first process's clock is everybody's, and the slowest one's waiting counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genesis_core.task import Batch
from genesis_core.training.processes import Processes


@dataclass(frozen=True)
class Agreement:
    """The same on every process. stop: why to stop, or None. seconds: of training so far, by the first one's clock.

    waited: seconds for data, of the process that waited longest. drawn, fallbacks: sub-volumes of all processes.
    """

    stop: str | None
    seconds: float
    waited: float
    drawn: int
    fallbacks: int


def agree(
    processes: Processes, stop: str | None, seconds: float, waited: float = 0.0, parts: Sequence[Batch] = ()
) -> Agreement:
    """Exchange one process's figures with the others: why it was asked to stop, and of the step that it did."""
    drawn, fallbacks = sum(part.drawn for part in parts), sum(part.fallbacks for part in parts)
    rows = processes.gather([stop is not None, seconds, waited, drawn, fallbacks])
    if any(row[0] for row in rows):
        reasons = processes.collect(stop)
        rank = next(rank for rank, reason in enumerate(reasons) if reason is not None)
        stop = reasons[rank] if rank == 0 else f"{reasons[rank]}, at {processes.name(rank)}"
    return Agreement(
        stop,
        seconds=rows[0][1],
        waited=max(row[2] for row in rows),
        drawn=round(sum(row[3] for row in rows)),
        fallbacks=round(sum(row[4] for row in rows)),
    )
