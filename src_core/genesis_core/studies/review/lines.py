"""Append-only files of one JSON object a line, which a kill, a full disk or a second writer cannot damage.

A line is one write at the end of the file. A line cut short is passed over when the file is read, and closed, never
continued, by the next one; if a line cannot be written whole, the file is put back to what it was.
"""

from __future__ import annotations

import getpass
import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def append_line(path: Path, line: Line) -> None:
    """Append one object as one line, synced to disk. Raises OSError, with the file as it was, if that fails."""
    data = (json.dumps(line, allow_nan=False) + "\n").encode("ascii")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if size and not _ends_with_newline(descriptor, size):
            data = b"\n" + data
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(28, "No space left on device", str(path))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read_lines(path: Path, with_text: str = "") -> Iterator[Line]:
    """Yield the objects of a file, none if it is missing; what is no object is passed over.

    with_text: only of lines that hold this text, as `append_line` writes it.
    """
    if not path.is_file():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for text in file:
            if with_text not in text:
                continue
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


def new_id() -> str:
    """Return an id for a line that others refer to."""
    return uuid.uuid4().hex[:12]


def signed(line: Line) -> Line:
    """Return a line with its version, id, time (UTC) and the login name of who decided it in front."""
    return {"v": 1, "id": new_id(), "time": datetime.now(UTC).isoformat(timespec="seconds"), "login": _login(), **line}


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may run as a number without a name.
        return "unknown"


def _ends_with_newline(descriptor: int, size: int) -> bool:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"
