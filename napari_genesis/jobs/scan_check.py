"""Checking a folder of scans by the core's own check, `inspect --json`, in a process of its own, record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.jobs.json_lines import Answer, JsonLines


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

    @property
    def modalities(self) -> dict[str, list[str]]:
        """Names of the usable scans by what they look like, "ct" and "mr"."""
        found: dict[str, list[str]] = {}
        for record in self.usable:
            found.setdefault(str(record.get("modality")), []).append(Path(str(record["path"])).name)
        return found


class ScanCheck(QObject):
    """Checks one folder at a time. progressed(check): more is known, or all."""

    progressed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = Path()
        self._lines = JsonLines("genesis-scan-check", self)
        self._lines.answered.connect(self._take)

    def start(self, path: Path) -> None:
        """Check a folder; a check that runs is stopped. What it has read is remembered by the core."""
        self._path = path
        self._lines.start(["inspect", str(path), "--json"])

    def stop(self) -> None:
        """Stop the check that runs; nothing more comes of it."""
        self._lines.stop()

    def _take(self, answer: Answer) -> None:
        self.progressed.emit(FolderCheck(self._path, answer.records, answer.done, answer.problem))
