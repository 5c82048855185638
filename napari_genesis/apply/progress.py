"""How far a piece of work is, and how long it will still take. No Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from genesis_core.durations import duration


@dataclass(frozen=True)
class Progress:
    """phase: what is being done, in words. done, total: for a bar; total is 0 where there is nothing to count.

    counted: what they count. "windows": of the one scan there is. "scans": parts of a whole folder.
    seconds_left: about how long it will still take; None where nobody knows yet. only_this: of a folder, the time left
    is the present scan's alone.
    """

    phase: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    counted: Literal["windows", "scans"] = "windows"
    only_this: bool = False

    @property
    def words(self) -> str:
        """The progress as one line: "segmenting, window 12 of 80, 35 s left", "scan 3 of 20: p7, about 4 min left"."""
        if not self.total:
            return self.phase
        left = "" if self.seconds_left is None else f"{duration(self.seconds_left)} left"
        if self.counted == "windows":
            return f"{self.phase}, window {self.done} of {self.total}{left and f', {left}'}"
        if not left:
            return self.phase
        return f"{self.phase}, {left} of this one" if self.only_this else f"{self.phase}, about {left}"


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
