"""Work off the GUI thread of which only the newest counts: a request that comes while one runs replaces those waiting.

One daemon thread each; results and failures come back as Qt signals in the thread of the object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal


class LatestOnly(QObject):
    """Runs the newest piece of work that was submitted, one at a time.

    finished(result): what the work returned. failed(exception): what it raised. After `discard` or `close` nothing
    comes of what was submitted before.
    """

    finished = Signal(object)
    failed = Signal(object)
    # generation, whether it went well, the result: from the thread to the object's own.
    _back = Signal(int, bool, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._waiting: Callable[[], Any] | None = None
        self._running = False
        # Results that are signalled and not yet arrived: whoever waits for the lane waits for them too.
        self._on_the_way = 0
        self._generation = 0
        self._closed = False
        self._back.connect(self._arrived)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether work is running or waiting, or its result has not yet arrived."""
        with self._condition:
            return self._running or self._waiting is not None or self._on_the_way > 0

    def submit(self, work: Callable[[], Any]) -> None:
        """Run `work` as soon as the thread is free, unless something newer is submitted before."""
        with self._condition:
            self._waiting = work
            self._condition.notify()

    def discard(self) -> None:
        """Forget what waits, and what is still to come of the work that runs."""
        with self._condition:
            self._waiting = None
            self._generation += 1

    def close(self, *, finish: bool = False) -> None:
        """End the thread after the work that runs; nothing is signalled any more. finish: do first what waits."""
        with self._condition:
            if not (finish or self._closed):
                self._waiting = None
            self._closed = True
            self._generation += 1
            self._condition.notify()

    def join(self, seconds: float) -> bool:
        """Wait for a closed thread to end; return whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            generation, work = taken
            try:
                good, result = True, work()
            except Exception as problem:
                good, result = False, problem
            with self._condition:
                self._running, closed = False, self._closed
                self._on_the_way += not closed
            if not closed:
                try:
                    self._back.emit(generation, good, result)
                except (RuntimeError, AttributeError):
                    # The object went meanwhile, and with it whoever wanted to know.
                    return
            # Whoever waits here next must not keep large results alive.
            del taken, work, result

    def _take(self) -> tuple[int, Callable[[], Any]] | None:
        """Wait for the next piece of work; None once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._waiting is not None)
            work, self._waiting = self._waiting, None
            if work is None:
                return None
            self._running = True
            return self._generation, work

    def _arrived(self, generation: int, good: bool, result: Any) -> None:
        with self._condition:
            self._on_the_way -= 1
        if generation == self._generation and not self._closed:
            (self.finished if good else self.failed).emit(result)
