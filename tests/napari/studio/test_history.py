from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_genesis.studio.history import History


def test_a_drag_is_one_step() -> None:
    history = History(0)
    for value in (1, 2, 3):
        history.add(value, "slider", settled=False)
    history.add(4, "slider")
    history.add(5, "slider")
    assert history.undo() == 4
    assert history.undo() == 0
    assert not history.can_undo
    assert history.redo() == 4
    assert history.redo() == 5
    assert not history.can_redo


def test_drags_of_two_things_are_two_steps() -> None:
    history = History("")
    history.add("a", "one", settled=False)
    history.add("ab", "two", settled=False)
    assert history.undo() == "a"


def test_something_new_forgets_what_was_undone() -> None:
    history = History(0)
    history.add(1)
    history.undo()
    history.add(2)
    assert not history.can_redo
    assert history.undo() == 0


@given(st.lists(st.one_of(st.integers(0, 3), st.just("undo"), st.just("redo")), max_size=60))
def test_it_behaves_like_two_stacks(moves: list[int | str]) -> None:
    history = History(-1)
    past, future = [-1], []
    for move in moves:
        if move == "undo":
            if len(past) > 1:
                future.append(past.pop())
            history.undo()
        elif move == "redo":
            if future:
                past.append(future.pop())
            history.redo()
        elif move != past[-1]:
            past.append(int(move))
            future.clear()
            history.add(int(move))
        assert history.state == past[-1]
        assert history.can_undo == (len(past) > 1)
        assert history.can_redo == bool(future)


def test_it_does_not_grow_without_end() -> None:
    history = History(0)
    for value in range(1, 1000):
        history.add(value)
    steps = 0
    while history.can_undo:
        history.undo()
        steps += 1
    assert 100 <= steps < 1000
