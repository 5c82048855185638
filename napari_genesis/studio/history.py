"""Undo and redo: a list of states, in which the many steps of one drag count as one."""

from __future__ import annotations

from typing import Generic, TypeVar

State = TypeVar("State")
# More than anybody steps back through.
_MOST = 200


class History(Generic[State]):
    """States in the order they came, and where one stands among them."""

    def __init__(self, first: State) -> None:
        self._states = [first]
        self._at = 0
        self._open: str | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self._states[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before this one."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a state was undone."""
        return self._at + 1 < len(self._states)

    def add(self, state: State, what: str | None = None, *, settled: bool = True) -> None:
        """Go on to a new state; what was undone before is forgotten.

        what: names the thing that is changed. Unsettled states of one thing replace each other until one is settled,
        so that a drag is one step. A state equal to the present one changes nothing but that.
        """
        joins = what is not None and what == self._open
        self._open = None if settled else what
        if state == self.state:
            return
        del self._states[self._at + 1 :]
        if joins:
            self._states[self._at] = state
            return
        self._states.append(state)
        del self._states[: max(0, len(self._states) - _MOST)]
        self._at = len(self._states) - 1

    def undo(self) -> State:
        """Step back, if there is a state before this one; return the present state."""
        self._at = max(self._at - 1, 0)
        self._open = None
        return self.state

    def redo(self) -> State:
        """Step forward again, if something was undone; return the present state."""
        self._at = min(self._at + 1, len(self._states) - 1)
        self._open = None
        return self.state
