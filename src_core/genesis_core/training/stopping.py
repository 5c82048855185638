"""How a run is asked to stop: by a signal (Ctrl-C, a cluster's queue, a closed terminal) or a file `stop`.

A run that a window started also stops when that window is gone, which it knows by the end of its own stdin.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# Lines a parent writes to the stdin of a run it watches over; others mean nothing.
STOP, GO_ON, STOP_WITH_ME = "stop", "go on", "stop with me"
_STDIN = 0
# A launcher of several processes passes on the Ctrl-C that the terminal sent them already: that is one, not two.
_ONE_PRESS_SECONDS = 1.0
_AT_ONCE = 4096
_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask to stop, as far as this system has them; a SIGHUP that `nohup` ignores does not."""
    found = [signal.Signals[name] for name in _SIGNALS if hasattr(signal, name)]
    return [one for one in found if one.name != "SIGHUP" or signal.getsignal(one) != signal.SIG_IGN]


class ParentWatch:
    """Reads what a parent writes to a pipe, in a daemon thread. The end of the pipe means that the parent is gone.

    Line "stop": write a checkpoint and stop. "go on": the end of the pipe shall mean nothing; "stop with me": it shall
    mean a stop again, as it does from the start. The parent says so beforehand, so what it chose holds however it ends.
    """

    def __init__(self, file: int = _STDIN) -> None:
        """Watch the file descriptor `file`."""
        self.reason: str | None = None
        self._file = file
        self._thread = threading.Thread(target=self._watch, name="genesis-parent", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        goes_on, left = False, b""
        # Not through sys.stdin: a thread that waits inside its buffer aborts the interpreter when that ends.
        while chunk := _read(self._file):
            *lines, left = (left + chunk).split(b"\n")
            for line in lines:
                word = line.strip().decode("ascii", "replace")
                if word == STOP:
                    self.reason = "asked by the window"
                elif word in (GO_ON, STOP_WITH_ME):
                    goes_on = word == GO_ON
        if not goes_on and self.reason is None:
            self.reason = "the window that started it is gone"


def _read(file: int) -> bytes:
    try:
        return os.read(file, _AT_ONCE)
    except OSError:
        # No stdin at all: nobody is there.
        return b""


_parent: ParentWatch | None = None


def stop_with_parent() -> None:
    """From now on every run of this process also stops when its parent says so on stdin, or is gone."""
    global _parent
    if _parent is None:
        _parent = ParentWatch()


class StopRequest:
    """Collects requests to stop while it is entered; a second SIGINT interrupts at once, as people expect."""

    def __init__(self, stop_file: Path, also: Callable[[], bool] | None = None) -> None:
        self._stop_file = stop_file
        self._also = also
        self._reason: str | None = None
        self._asked_at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        # Handlers belong to the main thread; a run started in another thread is stopped by file or callable.
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._reason is not None:
            if number == signal.SIGINT and time.monotonic() - self._asked_at > _ONE_PRESS_SECONDS:
                raise KeyboardInterrupt
            return
        self._asked_at = time.monotonic()
        self._reason = signal.Signals(number).name

    @property
    def reason(self) -> str | None:
        """Why the run should stop, or None."""
        if self._reason is None and self._stop_file.exists():
            self._reason = "stop file"
        if self._reason is None and _parent is not None:
            self._reason = _parent.reason
        if self._reason is None and self._also is not None and self._also():
            self._reason = "asked by the caller"
        return self._reason
