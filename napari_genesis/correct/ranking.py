"""Letting the core rank the cases of a review, in a process of its own that a worker of napari's watches.

So napari asks before it closes, and the process ends with it: what it has ranked by then stays, and the next ranking
goes on from there. The window learns of cases by reading the review again, not through the pipe.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from qtpy.QtCore import QObject, Signal

from genesis_core.durations import duration
from genesis_core.training.stopping import STOP
from napari_genesis.jobs.asking import no_console
from napari_genesis.jobs.following import named

_BETWEEN = 0.1
_ERROR = "error: "
_STOPPED = 130


@dataclass(frozen=True)
class RankProgress:
    """done, total: cases; total is 0 until it is known. windows: (done, total) of the case at work. ranked: cases so
    far in this run. preparing: what of the training set is looked at before. seconds_left: of all, once known.
    failed, left_out: (case, reason) of what was not ranked: being bad; being accepted, or known to the model.
    finished: it went to its end.
    """

    done: int = 0
    total: int = 0
    windows: tuple[int, int] = (0, 0)
    ranked: int = 0
    seconds_left: float | None = None
    preparing: tuple[int, int] = (0, 0)
    failed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    finished: bool = False

    @property
    def words(self) -> str:
        """The progress as one line."""
        if not self.total:
            at, of = self.preparing
            return f"Looking at the training set: {at} of {of}" if of else "Loading the model"
        done, of = self.windows
        window = f", window {done} of {of}" if of else ""
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"Ranking: case {min(self.done + 1, self.total)} of {self.total}{window}{left}"

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        within = self.windows[0] / self.windows[1] if self.windows[1] else 0.0
        return min(1.0, (self.done + within) / self.total) if self.total else 0.0


class Ranking(QObject):
    """One ranking at a time. progressed(RankProgress). ranked(): another case is.

    ended(problem): empty if all went well, or it was asked to stop.
    """

    progressed = Signal(object)
    ranked = Signal()
    ended = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._process: subprocess.Popen[str] | None = None
        self.latest = RankProgress()
        self.stopping = False
        held = self._held = list[subprocess.Popen[str]]()
        self.destroyed.connect(lambda: _let_go(held))

    @property
    def busy(self) -> bool:
        """Whether a process ranks."""
        return self._worker is not None

    def start(self, words: Sequence[str], review: str) -> bool:
        """Run the command of these words; return whether it began. review: its name, for napari's question."""
        from napari.qt.threading import GeneratorWorker, create_worker

        if self.busy:
            raise RuntimeError("a ranking is running already")
        self.stopping, self.latest = False, RankProgress()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "genesis_core", *words, "--json", "--stop-with-parent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                **no_console(),
            )
        except OSError as problem:
            self.ended.emit(f"no process could be started ({problem.strerror or problem})")
            return False
        self._process = process
        self._held[:] = [process]
        words_of_it = f"the ranking of '{review}', which will stop and can be gone on with"
        self._worker = worker = create_worker(
            named(_watch, words_of_it), process, _start_thread=False, _worker_class=GeneratorWorker
        )
        worker.yielded.connect(self._take)
        worker.returned.connect(self._over)
        worker.aborted.connect(self._aborted)
        worker.errored.connect(self._errored)
        worker.start()
        return True

    def stop(self) -> None:
        """Ask it to end after the window it is at; what is ranked stays."""
        if self._process is None or self.stopping:
            return
        self.stopping = True
        _say_stop(self._process)

    def _take(self, progress: RankProgress | None) -> None:
        if progress is None or self._worker is None:
            return
        before, self.latest = self.latest, progress
        self.progressed.emit(progress)
        if progress.ranked != before.ranked:
            self.ranked.emit()

    def _over(self, problem: str) -> None:
        self._forget()
        self.ended.emit(problem)

    def _errored(self, problem: Exception) -> None:
        # A defect of ours, of which napari shows the traceback besides.
        self._over(f"the ranking was given up ({type(problem).__name__}: {problem}); what is ranked stays")

    def _aborted(self) -> None:
        # Nobody but napari ends the worker: it closes.
        _let_go(self._held)
        self._forget()

    def _forget(self) -> None:
        self._worker = self._process = None
        self._held.clear()


def _say_stop(process: subprocess.Popen[str]) -> None:
    # One that has ended hears nothing; its exit code tells the rest.
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        process.stdin.write(f"{STOP}\n")
        process.stdin.flush()


def _let_go(held: list[subprocess.Popen[str]]) -> None:
    """Close the stdin of a process: it stops."""
    for process in held:
        with contextlib.suppress(OSError, ValueError):
            if process.stdin is not None:
                process.stdin.close()


def _watch(process: subprocess.Popen[str]) -> Generator[RankProgress | None, None, str]:
    """Yield how far it is, ten times a second at most; return why it failed, empty if it did not."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    errors: deque[str] = deque(maxlen=200)
    assert process.stdout is not None
    assert process.stderr is not None
    threads = [
        threading.Thread(target=_read_into, args=(process.stdout, lines), name="genesis-ranking", daemon=True),
        threading.Thread(target=lambda pipe=process.stderr: errors.extend(pipe), name="genesis-ranking", daemon=True),
    ]
    for thread in threads:
        thread.start()
    progress, ended = RankProgress(), False
    try:
        while not ended:
            fresh = progress
            until = time.monotonic() + _BETWEEN
            while (rest := until - time.monotonic()) > 0 and not ended:
                try:
                    line = lines.get(timeout=rest)
                except queue.Empty:
                    break
                if line is None:
                    ended = True
                else:
                    progress = read_line(progress, line)
            yield progress if progress is not fresh else None
        code = process.wait()
        threads[1].join(5.0)
        said = [line.strip() for line in errors]
        # Where scans failed it ends with 1, and has named them.
        return "" if progress.finished or code in (0, _STOPPED) else _problem(said, code)
    finally:
        _let_go([process])


def _read_into(pipe: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def read_line(progress: RankProgress, line: str) -> RankProgress:
    """Return the progress after a line of `rank --json`; lines that are none of its events change nothing."""
    try:
        event = json.loads(line)
    except ValueError:
        return progress
    if not isinstance(event, dict):
        return progress
    if event.get("event") == "progress":
        left = event.get("seconds_left")
        return replace(
            progress,
            done=_whole(event.get("done")),
            total=_whole(event.get("total")),
            windows=(_whole(event.get("windows_done")), _whole(event.get("windows_total"))),
            seconds_left=float(left) if isinstance(left, int | float) else None,
        )
    if event.get("event") == "proposed":
        return replace(progress, ranked=progress.ranked + 1)
    if event.get("event") == "preparing":
        return replace(progress, preparing=(_whole(event.get("done")), _whole(event.get("total"))))
    if event.get("event") == "finished":
        return replace(progress, finished=True)
    told = (str(event.get("case", "")), str(event.get("reason", "")))
    if event.get("event") == "failed":
        return replace(progress, failed=(*progress.failed, told))
    if event.get("event") == "left_out":
        return replace(progress, left_out=(*progress.left_out, told))
    return progress


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _problem(said: Sequence[str], code: int) -> str:
    errors = [line for line in said if line.lower().startswith(_ERROR)]
    if errors:
        return errors[-1][len(_ERROR) :].strip()
    return f"the ranking ended with exit code {code}" + (f": {said[-1]}" if said else "")
