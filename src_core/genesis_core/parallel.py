"""One piece of work on each of many items in a few threads, with results as they come and memory that stays flat."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items begun and waiting per thread: enough that no thread idles while the caller looks at a result.
_AHEAD = 2
# Seconds between looks at `should_stop` while nothing is ready.
_STOP_INTERVAL = 0.2


def available_cores() -> int:
    """Return how many cores this process may use, at least one."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def for_each(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    threads: int = 2,
    ahead: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[tuple[int, Result | Exception], None, None]:
    """Do `work` on every item in `threads` threads; yield (index of the item, result or the exception it raised).

    Pairs come in order of completion. At most a few items are begun or wait to be taken, so a caller that lets results
    go holds few of them, however many items there are. ahead: how many places before the oldest unfinished item others
    may begin, which bounds what `in_order` has to hold. progress: called as (done, all) from the caller's thread.
    should_stop: asked between results and every 0.2 s; once it says so no further item is begun, and those that are
    under way are still yielded. The same happens, without waiting to yield, when the caller stops iterating or is
    interrupted (Ctrl-C): what runs ends, nothing new begins.
    """
    total, done, following = len(items), 0, 0
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="for_each")
    pending: dict[Future[Result], int] = {}
    try:
        while True:
            stopping = should_stop is not None and should_stop()
            if stopping:
                for future in list(pending):
                    if future.cancel():
                        del pending[future]
                following = total
            while following < total and len(pending) < _AHEAD * max(1, threads):
                if ahead is not None and pending and following - min(pending.values()) >= ahead:
                    break
                pending[pool.submit(work, items[following])] = following
                following += 1
            if not pending:
                return
            ready, _ = wait(pending, _STOP_INTERVAL, FIRST_COMPLETED)
            for future in sorted(ready, key=pending.__getitem__):
                index = pending.pop(future)
                problem = future.exception()
                if problem is not None and not isinstance(problem, Exception):
                    raise problem
                if problem is not None:
                    _let_go(problem)
                done += 1
                if progress is not None:
                    progress(done, total)
                yield index, future.result() if problem is None else problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_order(pairs: Iterator[tuple[int, Result]]) -> Iterator[Result]:
    """Yield the results of `for_each` by their index; those that came early are held until their turn."""
    early: dict[int, Result] = {}
    following = 0
    for index, result in pairs:
        early[index] = result
        while following in early:
            yield early.pop(following)
            following += 1
    # After a stop there are gaps: what was done is still told.
    for index in sorted(early):
        yield early[index]


def _let_go(problem: BaseException | None) -> None:
    """Empty the frames of an error and of what led to it: they would keep whole scans in memory."""
    while problem is not None:
        traceback.clear_frames(problem.__traceback__)
        problem = problem.__cause__ or problem.__context__
