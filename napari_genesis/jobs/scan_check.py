"""Checking a folder of scans by the core's own check, `inspect --json`, in a process of its own, record by record."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.jobs.asking import no_console

# What came is passed on this often, in seconds.
_EVERY = 0.2


@dataclass(frozen=True)
class FolderCheck:
    """What is known of a folder. records: as `inspect --json` tells them. problem: why it could not be checked."""

    path: Path
    records: tuple[dict[str, Any], ...] = ()
    done: bool = False
    problem: str = ""

    @property
    def usable(self) -> list[dict[str, Any]]:
        """The records of readable scans."""
        return [record for record in self.records if record.get("status") == "readable"]

    @property
    def refused(self) -> list[dict[str, Any]]:
        """The records of refused scans, each with a reason."""
        return [record for record in self.records if record.get("status") == "refused"]


class ScanCheck(QObject):
    """Checks one folder at a time. progressed(check): more is known, or all."""

    progressed = Signal(object)
    # Which check, and what it knows: from its thread to this object's own.
    _arrived = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self._process: subprocess.Popen[str] | None = None
        self._arrived.connect(self._take)

    def start(self, path: Path) -> None:
        """Check a folder; a check that runs is stopped. What it has read is remembered by the core."""
        self.stop()
        number = self._number
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "genesis_core", "inspect", str(path), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                **no_console(),
            )
        except OSError as problem:
            self.progressed.emit(FolderCheck(path, done=True, problem=str(problem)))
            return
        threading.Thread(
            target=self._read, args=(number, path, process), name="genesis-scan-check", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop the check that runs; nothing more comes of it."""
        self._number += 1
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()

    def _read(self, number: int, path: Path, process: subprocess.Popen[str]) -> None:
        errors: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        # A full pipe would hold the process up.
        drain = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
        drain.start()
        records: list[dict[str, Any]] = []
        said = time.monotonic()
        for line in process.stdout:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            records.append(record)
            if time.monotonic() - said >= _EVERY:
                said = time.monotonic()
                self._tell(number, FolderCheck(path, tuple(records)))
        code = process.wait()
        drain.join()
        problems = [line.strip().removeprefix("error: ") for line in errors if line.startswith("error: ")]
        problem = problems[-1] if problems else "" if code == 0 else f"the check ended with exit code {code}"
        self._tell(number, FolderCheck(path, tuple(records), done=True, problem=problem))

    def _tell(self, number: int, check: FolderCheck) -> None:
        try:
            self._arrived.emit(number, check)
        except RuntimeError:
            # The widget is gone, and with it whoever wanted to know.
            return

    def _take(self, number: int, check: FolderCheck) -> None:
        if number == self._number:
            self.progressed.emit(check)
