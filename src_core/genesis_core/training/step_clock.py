"""Where the time of optimiser steps goes: waiting for data, sending and corrupting it, the network, the update.

On a GPU it is the GPU's own time, by events that are read when they have passed; no step is waited for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import torch

# In the order of a step. corruption: sending the batch to the device, and corruption there.
STAGES = ("data", "corruption", "network", "update")


class Mark(Protocol):
    """A moment in a device's work, as `torch.cuda.Event`."""

    def record(self) -> None:
        """Put it behind all that was asked of the device so far."""
        ...

    def query(self) -> bool:
        """Whether the device is past it."""
        ...

    def synchronize(self) -> None:
        """Wait until the device is past it."""
        ...

    def elapsed_time(self, later: Any) -> float:
        """Return the milliseconds from here to `later`; both have passed."""
        ...


class _Moment:
    """A moment of the CPU, whose work is done when it is asked for."""

    def __init__(self) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        return

    def elapsed_time(self, later: Any) -> float:
        return float(later.at - self.at) * 1e3


class StepClock:
    """Adds up the seconds of every stage, step by step: `enter` each stage in turn, then `end`.

    make_mark: makes moments of the device; by default events on CUDA, else the wall clock.
    """

    def __init__(self, device: torch.device, make_mark: Callable[[], Mark] | None = None) -> None:
        self._make: Callable[[], Mark] = make_mark or (_cuda_event if device.type == "cuda" else _Moment)
        self._running: list[tuple[str, Mark]] = []
        self._pending: deque[list[tuple[str, Mark]]] = deque()
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._steps = 0

    def enter(self, stage: str) -> None:
        """Count what the device is asked from here on as `stage`, until the next one or `end`."""
        mark = self._make()
        mark.record()
        self._running.append((stage, mark))

    def end(self) -> None:
        """End a step."""
        self.enter("")
        self._pending.append(self._running)
        self._running = []
        self._steps += 1
        while self._pending and self._pending[0][-1][1].query():
            self._count(self._pending.popleft())

    def drop(self) -> None:
        """Forget a step that was not finished."""
        self._running = []

    def add(self, stage: str, seconds: float) -> None:
        """Count `seconds` that were measured elsewhere as `stage`."""
        self._seconds[stage] += seconds

    def take(self) -> dict[str, float]:
        """Return `steps`, their `seconds`, and every stage's share of these, and begin anew; {} if there were none."""
        while self._pending:
            step = self._pending.popleft()
            step[-1][1].synchronize()
            self._count(step)
        seconds, steps = self._seconds, self._steps
        self._seconds, self._steps = dict.fromkeys(STAGES, 0.0), 0
        total = sum(seconds.values())
        if not steps or total <= 0:
            return {}
        shares = {stage: round(one / total, 4) for stage, one in seconds.items()}
        return {"steps": steps, "seconds": round(total, 3), **shares}

    def _count(self, step: list[tuple[str, Mark]]) -> None:
        for (stage, mark), (_, later) in pairwise(step):
            self._seconds[stage] += mark.elapsed_time(later) / 1e3


def _cuda_event() -> Mark:
    event: Any = torch.cuda.Event
    made: Mark = event(enable_timing=True)
    return made
