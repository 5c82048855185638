"""Following a file of events that another process appends to, line by line and from where one left off. No Qt."""

from __future__ import annotations

import json
import os
from pathlib import Path

from genesis_core.training.events import Event

# Some thousand events: a tenth of a second to parse, so that a long run's curves appear bit by bit.
_AT_ONCE = 1 << 19


class EventTail:
    """Reads `events.jsonl` piece by piece; a line whose end is not written yet waits for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self.at_end = False

    def read(self) -> tuple[list[Event], bool]:
        """Return the events that came since, some thousand at most, and whether the file began anew.

        It began anew if it is another file or shorter than before. Lines that are no events are passed over.
        `at_end` tells whether more is there already. Raises nothing for a file that is not there.
        """
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                anew = self._inode is not None and (found.st_ino != self._inode or found.st_size < self._offset)
                if anew:
                    self._offset = 0
                self._inode = found.st_ino
                file.seek(self._offset)
                chunk = file.read(_AT_ONCE)
        except OSError:
            self.at_end = True
            return [], False
        whole = chunk.rfind(b"\n") + 1
        # A line longer than all that is read at once would never end: it is no event of ours.
        taken = whole or (len(chunk) if len(chunk) == _AT_ONCE else 0)
        self._offset += taken
        self.at_end = len(chunk) < _AT_ONCE
        return [event for line in chunk[:whole].splitlines() if (event := _event(line)) is not None], anew


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
