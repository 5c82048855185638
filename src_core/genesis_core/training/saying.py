"""What is said before the first step: written to the run for everybody, and shown to the person who started it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from genesis_core.training.events import Event
from genesis_core.training.run_folder import RunFolder

# Progress of the preparation is said at most this often.
_PREPARING_SECONDS = 1.0


class Say(Protocol):
    """Called with the kind of an event, its values, and, where it names a file, what the person is told of it.

    That is a warning's sentence, or the name of a held-out case.
    """

    def __call__(self, kind: str, values: dict[str, Any], said: str | None = None) -> None:
        """Say it."""
        ...


def forward(run: RunFolder, report: Callable[[Event], None] | None) -> Say:
    """Return what writes events to the run and reports them; `said` is for the person's eyes alone.

    A run that this process does not write is silent: of several processes the first one speaks.
    """
    if not run.writes:
        return _silent
    last = 0.0

    def say(kind: str, values: dict[str, Any], said: str | None = None) -> None:
        nonlocal last
        if kind == "preparing" and values["done"] < values["total"] and time.monotonic() - last < _PREPARING_SECONDS:
            return
        last = time.monotonic()
        event = run.write_event(kind, **values)
        run.heartbeat(run.status().step, None)
        if report is not None:
            report({**event, "said": said} if said else event)

    return say


def _silent(kind: str, values: dict[str, Any], said: str | None = None) -> None:
    return None
