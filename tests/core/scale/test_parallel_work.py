"""Work in a few threads: every item once, errors as results, little in flight, and an end when one is asked for."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.parallel import for_each, in_order


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(), max_size=60), st.integers(1, 8), st.none() | st.integers(1, 5))
def test_every_item_is_done_once_and_in_order_gives_the_order_back(
    items: list[int], threads: int, ahead: int | None
) -> None:
    pairs = list(for_each(items, lambda item: item * 2, threads=threads, ahead=ahead))
    assert sorted(index for index, _ in pairs) == list(range(len(items)))
    assert list(in_order(iter(pairs))) == [item * 2 for item in items]


def test_an_error_is_the_result_of_its_item_alone() -> None:
    results = dict(for_each([1, 0, 2], lambda item: 2 // item))
    assert (results[0], results[2]) == (2, 1)
    assert isinstance(results[1], ZeroDivisionError)


def test_an_error_does_not_keep_what_was_being_worked_on() -> None:
    class Scan:
        pass

    alive: list[weakref.ref[Scan]] = []

    def fail(_: int) -> None:
        scan = Scan()
        alive.append(weakref.ref(scan))
        raise ValueError("damaged")

    problems = [outcome for _, outcome in for_each([1, 2, 3], fail)]
    gc.collect()
    assert len(problems) == 3
    assert [reference() for reference in alive] == [None] * 3


def test_few_items_are_begun_before_results_are_taken() -> None:
    begun = itertools.count()
    pairs = for_each(range(1000), lambda _: next(begun), threads=2)
    next(pairs)
    pairs.close()
    assert next(begun) <= 8


def test_an_item_that_takes_long_holds_back_those_far_after_it() -> None:
    first, begun = threading.Event(), []

    def work(item: int) -> int:
        begun.append(item)
        if item == 0:
            first.wait(60)
        return item

    pairs = for_each(range(100), work, threads=3, ahead=10)
    for _ in range(9):
        next(pairs)
    assert max(begun) < 10
    first.set()
    assert sorted(index for index, _ in pairs) == sorted(set(range(100)) - set(range(1, 10)))


def test_progress_counts_up_to_all() -> None:
    told: list[tuple[int, int]] = []
    list(for_each("abc", str.upper, progress=lambda done, total: told.append((done, total))))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_once_asked_to_stop_nothing_new_begins_and_what_runs_is_told() -> None:
    begun: list[int] = []
    results = list(for_each(range(1000), begun.append, threads=2, should_stop=lambda: len(begun) >= 10))
    assert 10 <= len(results) < 30
    assert len(results) == len(begun)


def test_an_interrupt_of_the_caller_ends_the_work() -> None:
    begun: list[int] = []
    pairs = for_each(range(1000), begun.append, threads=2)

    def interrupted() -> None:
        for _ in pairs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    pairs.close()
    assert len(begun) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("for_each")]
