"""The generators that watch runs for napari's thread workers: at most ten values a second, until the run has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from napari_genesis.jobs.reading import RunReader
from napari_genesis.jobs.view import RunView

# Seconds from one reading to the next.
_BETWEEN = 0.1


def follow(reader: RunReader) -> Generator[RunView | None, None, None]:
    """Yield the run whenever it changed, else None, so that a worker can be stopped between.

    A reader may be shared with a follower that is about to end: what that one read last is yielded here all the same.
    """
    seen: RunView | None = None
    # A program that ends without telling Qt shall not wait for a run.
    while threading.main_thread().is_alive():
        began = time.monotonic()
        reader.read()
        view = reader.view
        yield None if view is seen else view
        seen = view
        if reader.ended and reader.view is seen:
            return
        time.sleep(max(0.0, _BETWEEN - (time.monotonic() - began)))


class Named(partial[Any]):
    """A function under a name for people: napari shows it where it asks before the window is closed."""

    words = ""

    def __repr__(self) -> str:
        return self.words


def named(function: Callable[..., Any], words: str) -> Named:
    """Return `function` with a name for people."""
    result = Named(function)
    result.words = words
    return result
