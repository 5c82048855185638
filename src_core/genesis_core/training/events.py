"""The events of a run: one JSON object a line, appended and flushed, so that anybody can follow a run while it goes on.

Kinds before the first step: preparing, prepared, plan, transfer, twin, corrupting, processes (how several share each
batch), planned. Of a training: started, step, timing (where the time of the steps since the last such event went),
validation, preview, checkpoint, warning, stopped, finished, failed. Of a fine-tuning also: fold, held_out, scores,
folds_finished. After a resume the same step may appear twice; the later record counts.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

Event = dict[str, Any]
VERSION = 1


def make_event(kind: str, **values: Any) -> Event:
    """Return one event; numbers that JSON cannot hold (NaN, infinity) become None."""
    clean = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }
    return {"v": VERSION, "time": round(time.time(), 3), "event": kind, **clean}


class EventWriter:
    """Appends events to `events.jsonl`; a line cut short by a kill is closed first, never continued."""

    def __init__(self, path: Path) -> None:
        cut = path.exists() and path.stat().st_size > 0 and not _ends_with_newline(path)
        self._file: IO[str] = open(path, "a", encoding="utf-8")  # noqa: SIM115 - lives as long as the run
        if cut:
            self._file.write("\n")

    def write(self, event: Event) -> None:
        """Append one event as one line and flush it."""
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path) -> Iterator[Event]:
    """Yield the events of `events.jsonl`; a line cut short by a kill is passed over."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event


def last_of_each_step(events: Iterator[Event], kind: str) -> list[Event]:
    """Return the events of one kind in the order of their steps, the later record of a step replacing the earlier."""
    by_step = {
        event["step"]: event for event in events if event["event"] == kind and isinstance(event.get("step"), int)
    }
    return [by_step[step] for step in sorted(by_step)]


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
