"""Drawing the next batches in a thread while the network trains on this one.

Drawing is compiled code and decompression, both outside the GIL, so one thread hides nearly all of it. What is drawn
does not depend on when: a batch is a pure function of its step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
# Two batches ahead hide a slow one behind a fast one; more would only cost memory.
_AHEAD = 2


class Prefetcher:
    """Yields `draw(i)` for i in first..last-1, in order; `waited` counts the seconds the consumer was kept waiting.

    finish: done to each batch in the thread that draws, once it is drawn (page-locking, for a GPU).
    """

    def __init__(self, finish: Callable[[Any], Any] | None = None) -> None:
        self.waited = 0.0
        self._finish = finish

    def batches(self, draw: Callable[[int], T], first: int, last: int) -> Generator[T, None, None]:
        """Yield the batches of numbers first..last-1; closing the generator stops the drawing."""
        finish = self._finish
        work = draw if finish is None else lambda number: finish(draw(number))
        executor = ThreadPoolExecutor(1, thread_name_prefix="draw")
        pending: list[Future[T]] = []
        try:
            for number in range(first, last):
                while len(pending) <= _AHEAD and number + len(pending) < last:
                    pending.append(executor.submit(work, number + len(pending)))
                began = time.perf_counter()
                batch = pending.pop(0).result()
                self.waited += time.perf_counter() - began
                yield batch
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
