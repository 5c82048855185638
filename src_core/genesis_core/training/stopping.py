"""How a run is asked to stop: SIGINT, SIGTERM, SIGUSR1 (sent by clusters before the time is up), or a file `stop`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Collects requests to stop while it is entered; a second SIGINT interrupts at once, as people expect."""

    def __init__(self, stop_file: Path, also: Callable[[], bool] | None = None) -> None:
        self._stop_file = stop_file
        self._also = also
        self._reason: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        # Handlers belong to the main thread; a run started in another thread is stopped by file or callable.
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
                number = getattr(signal, name, None)
                if number is not None:
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._reason is not None:
            raise KeyboardInterrupt
        self._reason = signal.Signals(number).name

    @property
    def reason(self) -> str | None:
        """Why the run should stop, or None."""
        if self._reason is None and self._stop_file.exists():
            self._reason = "stop file"
        if self._reason is None and self._also is not None and self._also():
            self._reason = "asked by the caller"
        return self._reason
