"""How long a folder of scans will still take, told from what was done so far and never from what nobody knows yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from genesis_core.durations import duration


class ScanPace:
    """Which of several scans is being worked on, how far it is, and how long is left.

    scans: how many there are. clock: seconds, for tests. Scans that are still to come are taken to last as long as the
    mean of those that are done: their sizes are not known before they are read. Until one is done nothing is said of
    everything, unless no other one follows.
    """

    def __init__(self, scans: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.scans = scans
        self.number = 0
        self._clock = clock
        self._began = self._moment = clock()
        self._done, self._total = 0, 0
        self._lasted: list[float] = []

    def begin(self) -> None:
        """Begin the next scan."""
        self.number += 1
        self._began = self._moment = self._clock()
        self._done, self._total = 0, 0

    def windows(self, done: int, total: int) -> None:
        """Tell how many windows of the present scan are done."""
        self._done, self._total, self._moment = done, total, self._clock()

    def end(self, *, counts: bool) -> None:
        """End the present scan. counts: whether its time tells something of the others."""
        if counts:
            self._lasted.append(self._clock() - self._began)
        self._done, self._total = 1, 1

    @property
    def done(self) -> float:
        """Scans that are behind us, with the share of the present one."""
        return max(self.number - 1, 0) + (self._done / self._total if self._total else 0.0)

    @property
    def seconds_left(self) -> float | None:
        """About how long the present scan will still take; None before its first window."""
        if not self._done:
            return None
        return (self._moment - self._began) / self._done * (self._total - self._done)

    @property
    def seconds_left_all(self) -> float | None:
        """About how long everything will still take; None where nobody can tell yet."""
        here, following = self.seconds_left, self.scans - self.number
        if not following:
            return here
        if not self._lasted:
            return None
        mean = sum(self._lasted) / len(self._lasted)
        return (mean if here is None else here) + following * mean

    @property
    def words(self) -> str:
        """The time left in words, and of what; empty where nobody can tell."""
        if self.seconds_left_all is not None:
            return f"about {duration(self.seconds_left_all)} left"
        return "" if self.seconds_left is None else f"{duration(self.seconds_left)} left of this one"
