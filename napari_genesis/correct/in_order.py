"""Work off the GUI thread of which nothing is dropped: one piece after another, in the order it was asked for.

All that writes into a review goes through one of these, so a draft is never written while its case is being accepted.
What was asked for is done even if the dock, or napari, closes meanwhile: Python waits for such threads at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal


class InOrder(QObject):
    """Runs pieces of work; what comes of each arrives in the thread of this object."""

    # (the function to call, its argument): from the thread to the object's own.
    _back = Signal(object, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, name)
        self._left = 0
        self._closed = False
        self._back.connect(self._arrived)

    @property
    def busy(self) -> bool:
        """Whether anything is still to come."""
        return self._left > 0

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Run `work` after all before it; then call `done` with its result, or `failed` with what it raised.

        After `close` nothing is taken any more.
        """
        if self._closed:
            return
        self._left += 1

        def run() -> None:
            try:
                call, result = done, work()
            except Exception as problem:
                call, result = failed, problem
            try:
                self._back.emit(call, result)
            except (RuntimeError, AttributeError):
                # The dock is gone, and with it whoever wanted to know.
                return

        try:
            self._pool.submit(run)
        except RuntimeError:
            # Python is ending, and begins no work in threads any more; all before this is done then.
            self._pool.shutdown(wait=True)
            run()

    def close(self) -> None:
        """Take nothing more; what was asked for is still done, but nobody is told."""
        self._closed = True
        self._pool.shutdown(wait=False)

    def _arrived(self, call: Callable[[Any], None], result: Any) -> None:
        self._left -= 1
        if not self._closed:
            call(result)
