"""A command of the core in a process of its own, of which only the newest counts: its JSON lines as they come.

What a dock asks the core while it stays responsive (checks of folders, plans) goes through here; trainings do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.jobs.asking import no_console

# What came is passed on this often, in seconds.
_EVERY = 0.2
_ERROR, _WARNING = "error: ", "warning: "


@dataclass(frozen=True)
class Answer:
    """What a command has said. records: its JSON lines. done: it has ended. problem: why it failed; empty if not.

    warnings: what it warned of, without that word.
    """

    records: tuple[dict[str, Any], ...] = ()
    done: bool = False
    problem: str = ""
    warnings: tuple[str, ...] = ()


class JsonLines(QObject):
    """Runs one command at a time. answered(answer): more is known, or all."""

    answered = Signal(object)
    # Which command, and what it said: from its thread to this object's own.
    _arrived = Signal(int, object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """Make one that runs nothing yet. name: of its threads."""
        super().__init__(parent)
        self._name = name
        self._number = 0
        self._process: subprocess.Popen[str] | None = None
        self._arrived.connect(self._take)

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return self._process is not None

    def start(self, words: Sequence[str]) -> None:
        """Run `napari-genesis` with these words; a command that runs is ended, and nothing more comes of it."""
        self.stop()
        number = self._number
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "genesis_core", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                **no_console(),
            )
        except OSError as problem:
            self.answered.emit(Answer(done=True, problem=str(problem)))
            return
        threading.Thread(target=self._read, args=(number, process), name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End the command that runs; nothing more comes of it."""
        self._number += 1
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()

    def _read(self, number: int, process: subprocess.Popen[str]) -> None:
        said: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        # A full pipe would hold the process up.
        drain = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        drain.start()
        records: list[dict[str, Any]] = []
        told = time.monotonic()
        for line in process.stdout:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
            if time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                self._tell(number, Answer(tuple(records)))
        code = process.wait()
        drain.join()
        warnings = tuple(line.strip().removeprefix(_WARNING) for line in said if line.startswith(_WARNING))
        self._tell(number, Answer(tuple(records), done=True, problem=_problem(said, code), warnings=warnings))

    def _tell(self, number: int, answer: Answer) -> None:
        try:
            self._arrived.emit(number, answer)
        except RuntimeError:
            # The widget is gone, and with it whoever wanted to know.
            return

    def _take(self, number: int, answer: Answer) -> None:
        if number != self._number:
            return
        if answer.done:
            self._process = None
        self.answered.emit(answer)


def _problem(said: Sequence[str], code: int) -> str:
    """Return what was said from the last line that names an error on."""
    begins = [number for number, line in enumerate(said) if line.lower().startswith(_ERROR)]
    if begins:
        return "".join(said[begins[-1] :])[len(_ERROR) :].strip()
    return "" if code == 0 else f"ended with exit code {code}"
