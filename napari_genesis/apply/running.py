"""One piece of work at a time in a thread that napari knows of: it asks before it closes on it, and ends it then.

Progress is looked at, not sent, so the window's queue never fills; errors of the user's come back in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.errors import GenesisError
from genesis_core.inference.sliding_window import Stopped
from napari_genesis.apply.progress import Reporting
from napari_genesis.opening_libraries import open_torch_libraries

_LOOK_EVERY = 100
Work = Callable[[Reporting], Any]


@dataclass(frozen=True)
class _Refused:
    reason: str


@dataclass(frozen=True)
class _Ended:
    """Ended on request. said: what it said last, may be empty."""

    said: str


class Running(QObject):
    """progressed(Progress): about ten times a second. done(result): what the work returned.

    failed(reason): what it could not do, in words. stopped(words): it ended as it was asked to. At the end of each run
    exactly one of these three comes, then ended(). Nothing comes once this object is deleted.
    """

    progressed = Signal(object)
    done = Signal(object)
    failed = Signal(str)
    stopped = Signal(str)
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._result: Any = None
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY)
        self._timer.timeout.connect(self._look)
        # Whoever deletes the dock wants no more work done for it; nothing of this object may be touched by then.
        reports = self._reports = list[Reporting]()
        self.destroyed.connect(lambda: _stop_all(reports))

    @property
    def busy(self) -> bool:
        """Whether work is running, also if it has been asked to end."""
        return bool(self._reports)

    @property
    def stopping(self) -> bool:
        """Whether the work was asked to end and has not yet."""
        return any(one.stop() for one in self._reports)

    def start(self, work: Work, what: str) -> None:
        """Run `work` in a thread; what: in words, for napari's question before it closes. One at a time."""
        from napari.qt.threading import create_worker

        if self.busy:
            raise RuntimeError("work is running already")
        report = Reporting()
        self._reports.append(report)
        self._result = _Ended("")
        self._worker = worker = create_worker(_Named(work, report, what), _start_thread=False)
        # napari ends its workers when the viewer closes: they are asked, and must look.
        report.also_stops_when(lambda: bool(worker.abort_requested))
        worker.returned.connect(self._returned)
        worker.errored.connect(self._errored)
        worker.finished.connect(self._finished)
        worker.start()
        self._timer.start()

    def stop(self) -> None:
        """Ask the work to end; it does at its next window."""
        _stop_all(self._reports)

    def _look(self) -> None:
        for report in self._reports:
            self.progressed.emit(report.latest)

    def _returned(self, result: Any) -> None:
        self._result = result

    def _errored(self, problem: Exception) -> None:
        # A defect of ours: napari shows the traceback besides.
        self._result = _Refused(f"{type(problem).__name__}: {problem}")

    def _finished(self) -> None:
        self._timer.stop()
        result, stopped = self._result, self.stopping
        self._worker = self._result = None
        self._reports.clear()
        if isinstance(result, _Refused):
            self.failed.emit(result.reason)
        elif isinstance(result, _Ended) or stopped:
            self.stopped.emit(result.said if isinstance(result, _Ended) else "")
        else:
            self.done.emit(result)
        self.ended.emit()


def _stop_all(reports: Sequence[Reporting]) -> None:
    for report in reports:
        report.ask_to_stop()


class _Named:
    """Work with the name napari shows, whose refusals are results."""

    def __init__(self, work: Work, report: Reporting, what: str) -> None:
        self._work, self._report, self._what = work, report, what

    def __call__(self) -> Any:
        # The core imports torch when it first applies a model.
        open_torch_libraries()
        try:
            return self._work(self._report)
        except Stopped as end:
            return _Ended(str(end))
        except (GenesisError, OSError) as problem:
            return _Refused(str(problem))
        except MemoryError:
            return _Refused("there is not enough memory: close other programs, or crop the scan")

    def __str__(self) -> str:
        return self._what
