"""What a table of runs needs of a run's events, read bit by bit and without those of single steps. No Qt."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from genesis_core.training.events import Event

_AT_ONCE = 1 << 18
# Most lines are these, and nothing of them is needed: they are told by their text, without parsing.
_STEP = b'"event": "step"'
_WARNINGS = 3


class EventScan:
    """Follows one `events.jsonl`; only what was appended is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self._forget()

    def _forget(self) -> None:
        self.by_step: dict[int, Event] = {}
        # Seconds of training up to the last event that told them, and when it last began.
        self._spent = 0.0
        self._began: float | None = None
        # Number of folds, if there are any, and how many have begun.
        self.folds = (0, 0)
        self._warnings: dict[str, None] = {}

    @property
    def validations(self) -> list[Event]:
        """The validations in the order of their steps; after a resume the later record of a step."""
        return [self.by_step[step] for step in sorted(self.by_step)]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The last warnings, each once."""
        return tuple(self._warnings)

    def seconds(self, latest: float) -> float:
        """Return how long it has trained. latest: its last sign of life, in seconds since 1970."""
        return self._spent + (max(0.0, latest - self._began) if self._began is not None else 0.0)

    def read(self) -> None:
        """Take in what came since; a file that is not there, or cannot be read, has nothing new."""
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                if self._inode is not None and (found.st_ino != self._inode or found.st_size < self._offset):
                    self._forget()
                    self._offset = 0
                self._inode = found.st_ino
                if found.st_size == self._offset:
                    return
                file.seek(self._offset)
                while self._take(file.read(_AT_ONCE)):
                    # The window's thread comes first.
                    time.sleep(0)
                    file.seek(self._offset)
        except OSError:
            return

    def _take(self, chunk: bytes) -> bool:
        """Take in the whole lines of a chunk; return whether more may follow."""
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) == _AT_ONCE:
            # A line longer than all that is read at once is no event of ours.
            end = len(chunk)
        self._offset += end
        for line in chunk[:end].splitlines():
            if _STEP not in line:
                self._add(line)
        return bool(end) and len(chunk) == _AT_ONCE

    def _add(self, line: bytes) -> None:
        try:
            event: Any = json.loads(line)
        except ValueError:
            return
        if not isinstance(event, dict):
            return
        kind, step = event.get("event"), event.get("step")
        if kind == "validation" and isinstance(step, int):
            self.by_step[step] = event
        elif kind == "started":
            self._began = _number(event.get("time"))
            if isinstance(step, int):
                # What was validated after the checkpoint it goes on from is done again.
                self.by_step = {at: one for at, one in self.by_step.items() if at <= step}
        elif kind in ("stopped", "finished"):
            seconds = _number(event.get("seconds"))
            self._spent, self._began = (self._spent if seconds is None else seconds), None
        elif kind == "warning" and isinstance(event.get("message"), str):
            self._warnings.pop(event["message"], None)
            self._warnings[event["message"]] = None
            if len(self._warnings) > _WARNINGS:
                del self._warnings[next(iter(self._warnings))]
        elif kind == "fold":
            number, count = event.get("fold"), event.get("folds")
            if isinstance(number, int) and isinstance(count, int):
                self.folds = (number, count)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
