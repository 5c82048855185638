from __future__ import annotations

import threading
import time
from typing import Any

from napari_genesis.studio.computing import LatestOnly


def test_of_what_waits_only_the_newest_runs(qtbot: Any) -> None:
    lane = LatestOnly("lane")
    started, go_on = threading.Event(), threading.Event()
    ran: list[str] = []

    def slow() -> str:
        started.set()
        go_on.wait(20)
        return "first"

    results: list[Any] = []
    lane.finished.connect(results.append)
    lane.submit(slow)
    assert started.wait(20)
    for name in "abc":
        lane.submit(lambda name=name: ran.append(name) or name)
    assert lane.busy
    go_on.set()
    qtbot.waitUntil(lambda: results == ["first", "c"])
    assert ran == ["c"]
    assert not lane.busy
    lane.close()
    assert lane.join(20)


def test_results_come_in_the_thread_of_the_window(qtbot: Any) -> None:
    lane = LatestOnly("lane")
    seen: list[tuple[Any, bool]] = []
    lane.finished.connect(lambda result: seen.append((result, threading.current_thread() is threading.main_thread())))
    lane.submit(lambda: threading.current_thread() is threading.main_thread())
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [(False, True)]
    lane.close()
    assert lane.join(20)


def test_it_is_busy_until_the_result_has_arrived(qtbot: Any) -> None:
    lane = LatestOnly("lane")
    results: list[tuple[str, bool]] = []
    lane.finished.connect(lambda result: results.append((result, lane.busy)))
    lane.submit(lambda: "done")
    # Long enough for the thread to be through with it; nothing arrives while no event is looked at.
    time.sleep(0.2)
    assert lane.busy
    assert results == []
    qtbot.waitUntil(lambda: not lane.busy)
    assert results == [("done", False)]
    lane.close()
    assert lane.join(20)


def test_what_work_raises_is_told_and_the_lane_goes_on(qtbot: Any) -> None:
    lane = LatestOnly("lane")

    def wrong() -> None:
        raise ValueError("no")

    with qtbot.waitSignal(lane.failed) as told:
        lane.submit(wrong)
    assert isinstance(told.args[0], ValueError)
    with qtbot.waitSignal(lane.finished) as done:
        lane.submit(lambda: 5)
    assert done.args == [5]
    lane.close()
    assert lane.join(20)


def test_what_waits_is_done_before_the_end_if_that_is_asked_for(qtbot: Any) -> None:
    lane = LatestOnly("lane")
    go_on, started = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        started.set()
        go_on.wait(20)

    lane.submit(slow)
    assert started.wait(20)
    lane.submit(lambda: done.append("saved"))
    lane.close(finish=True)
    lane.close()
    go_on.set()
    assert lane.join(20)
    assert done == ["saved"]


def test_nothing_comes_of_what_was_discarded_or_closed(qtbot: Any) -> None:
    lane = LatestOnly("lane")
    results: list[Any] = []
    lane.finished.connect(results.append)
    go_on, started = threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        go_on.wait(20)
        return "stale"

    lane.submit(slow)
    assert started.wait(20)
    lane.discard()
    go_on.set()
    lane.submit(lambda: "fresh")
    qtbot.waitUntil(lambda: bool(results))
    assert results == ["fresh"]
    lane.close()
    assert lane.join(20)
    lane.submit(lambda: results.append("after"))
    assert results == ["fresh"]
