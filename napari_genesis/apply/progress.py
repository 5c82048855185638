"""How far a piece of work is, and how long it will still take. No Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from genesis_core.durations import duration


@dataclass(frozen=True)
class Progress:
    """phase: what is being done, in words. done, total: windows; total is 0 where there is nothing to count.

    seconds_left: about how long the counted part will still take; None where nobody knows yet.
    """

    phase: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None

    @property
    def words(self) -> str:
        """The progress as one line: "window 12 of 80, 35 s left"."""
        if not self.total:
            return self.phase
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"{self.phase}, window {self.done} of {self.total}{left}"


class Reporting:
    """What the thread tells and the window reads, ten times a second: nothing is queued, only the newest counts.

    stop(): whether the user wants it to end, asked by the thread between windows.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._elsewhere: Callable[[], bool] = lambda: False
        self._began = clock()
        self.latest = Progress("starting")

    def stop(self) -> bool:
        """Whether the work is to end."""
        return self._stop.is_set() or self._elsewhere()

    def also_stops_when(self, elsewhere: Callable[[], bool]) -> None:
        """Let somebody else say too that the work is to end."""
        self._elsewhere = elsewhere

    def ask_to_stop(self) -> None:
        """Let the work end at its next window."""
        self._stop.set()

    def begin(self, phase: str) -> None:
        """Tell that something begins whose length nobody knows."""
        self._began = self._clock()
        self.latest = Progress(phase)

    def windows(self, done: int, total: int) -> None:
        """Tell how many windows are done; the time left follows from those since `begin`."""
        left = (self._clock() - self._began) / done * (total - done) if done else None
        self.latest = Progress(self.latest.phase, done, total, left)
