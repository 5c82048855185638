"""All runs of a folder, each in the few facts a table shows; read again, only what changed costs anything. No Qt.

For a thread. Sizes are measured apart, since that walks through every folder.
"""

from __future__ import annotations

import math
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from genesis_core.errors import GenesisError
from genesis_core.model.ensemble import ENSEMBLE
from genesis_core.studies.run_figures import RunFigure, held_out_means, run_figure
from genesis_core.training.held_out import FILE
from genesis_core.training.run_folder import RunFolder, RunStatus, list_runs
from napari_genesis.jobs.record import whole
from napari_genesis.runs.event_scan import EventScan

# Top-level keys of a run.yaml as it is written; parsing the whole of some hundred files would hold the window up.
_KEY = re.compile(r"^(task|source|device):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# A later round that goes on from the models of the run before, written on one line or on several.
_ROUND = re.compile(r"^rounds:\s*\{?\s*previous: ([^,\n]*?)[ \t]*[,\n]\s*start: previous\b", re.MULTILINE)
_MOST_YAML = 1 << 20
# A run that trains grows all the time; it is measured again after this many seconds.
_SIZE_EVERY = 30.0
# Seconds since 1970 that a calendar can still show.
_LATEST = 1e11
Signature = tuple[int, int] | None


@dataclass(frozen=True)
class RunSummary:
    """One run. word: its state for people, "damaged" included. task: restoration, segmentation or empty if unknown.

    latest: its last sign of life, in seconds since 1970. seconds: spent on training. size: bytes; None: not measured.
    source: the run or model it started from. folds: begun and in all, (0, 0) for a single training. trouble: why it is
    damaged, or why it ended. warnings: the last of its events.
    """

    path: Path
    word: str
    task: str = ""
    step: int = 0
    total_steps: int | None = None
    figure: RunFigure | None = None
    seconds: float = 0.0
    size: int | None = None
    latest: float = 0.0
    host: str = ""
    source: Path | None = None
    device: str = "auto"
    folds: tuple[int, int] = (0, 0)
    has_model: bool = False
    trouble: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def is_alive(self) -> bool:
        """Whether a process works on it, here or elsewhere."""
        return self.word in ("running", "stopping")


@dataclass(frozen=True)
class Listing:
    """The runs of a folder. trouble: why there are none, if the folder cannot be read."""

    folder: Path
    runs: tuple[RunSummary, ...] = ()
    trouble: str = ""


@dataclass
class _Known:
    """What was read of a run, and of which state of its files."""

    scan: EventScan
    settings: Signature = None
    task: str = ""
    device: str = "auto"
    source: Path | None = None
    trouble: str = ""
    held_out: Signature = None
    means: dict[str, float] = field(default_factory=dict)
    folds: dict[int, EventScan] = field(default_factory=dict)
    size: int | None = None
    sized: Signature = None
    sized_at: float = 0.0


class RunListing:
    """Reads a folder of runs again and again. One thread at a time for `read`, one for `measure`."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def read(self, folder: Path) -> Listing:
        """Return the runs there are now; a folder that is not there yet has none."""
        if not folder.exists():
            return Listing(folder)
        try:
            found = list_runs(folder)
        except (GenesisError, OSError) as problem:
            return Listing(folder, trouble=str(problem))
        for path in set(self._known) - {run.path for run in found}:
            self._known.pop(path, None)
        runs = []
        for run in found:
            runs.append(self._summary(run))
            # Lets the window's thread in between two runs.
            time.sleep(0)
        return Listing(folder, tuple(runs))

    def measure(self, paths: tuple[Path, ...]) -> dict[Path, int]:
        """Return the size on disk, in bytes, of those that were never measured, or have changed since a while ago."""
        sizes = {}
        for path in paths:
            known = self._known.get(path)
            if known is None:
                continue
            run = RunFolder(path)
            now = _signature(run.status_file)
            stale = known.sized != now and time.monotonic() - known.sized_at > _SIZE_EVERY
            if known.size is None or stale:
                known.size, known.sized, known.sized_at = folder_size(path), now, time.monotonic()
            sizes[path] = known.size
            time.sleep(0)
        return sizes

    def _summary(self, run: RunFolder) -> RunSummary:
        known = self._known.setdefault(run.path, _Known(EventScan(run.events_file)))
        trouble = ""
        try:
            status = run.status()
            word = status.word
            trouble = str(status.message) if word in ("failed", "interrupted", "stopped") else ""
        except GenesisError as problem:
            status, word, trouble = RunStatus("queued"), "damaged", str(problem)
        self._read_settings(run, known)
        known.scan.read()
        self._read_folds(run, known)
        changed = _signature(run.path / FILE)
        if changed != known.held_out:
            known.held_out, known.means = changed, held_out_means(run.path)
        latest = _moment(status.heartbeat) or _modified(run.settings_file)
        folds = known.folds.values()
        validations = known.scan.validations or [event for fold in folds for event in fold.validations]
        return RunSummary(
            path=run.path,
            word="damaged" if known.trouble else word,
            task=known.task,
            step=whole(status.step, 0),
            total_steps=whole(status.total_steps, None),
            figure=run_figure(validations, known.means),
            seconds=known.scan.seconds(latest) + sum(fold.seconds(latest) for fold in folds),
            size=known.size,
            latest=latest,
            host=str(status.host),
            source=known.source,
            device=known.device,
            folds=known.scan.folds,
            has_model=(run.model / "model.yaml").is_file() or (run.path / ENSEMBLE).is_file(),
            trouble=known.trouble or trouble,
            warnings=known.scan.warnings or tuple(one for fold in folds for one in fold.warnings),
        )

    def _read_settings(self, run: RunFolder, known: _Known) -> None:
        changed = _signature(run.settings_file)
        if changed == known.settings:
            return
        known.settings, known.trouble = changed, ""
        known.task, known.device, known.source = "", "auto", None
        try:
            with open(run.settings_file, encoding="utf-8") as file:
                text = file.read(_MOST_YAML)
        except (OSError, ValueError) as problem:
            known.trouble = f"its run.yaml cannot be read ({problem})"
            return
        found = dict(_KEY.findall(text))
        known.task = found.get("task", "").strip("'\"")
        known.device = found.get("device", "auto").strip("'\"") or "auto"
        if not known.task:
            known.trouble = "its run.yaml is damaged: it names no task"
        before = _ROUND.search(text)
        source = (before.group(1) if before else found.get("source", "")).strip("'\"")
        if source not in ("", "null", "~"):
            known.source = Path(os.path.normpath(run.path / source))

    def _read_folds(self, run: RunFolder, known: _Known) -> None:
        for number in range(known.scan.folds[0]):
            place = run.path / "folds" / str(number) / "events.jsonl"
            known.folds.setdefault(number, EventScan(place)).read()


def folder_size(path: Path) -> int:
    """Return what the files of a folder take, in bytes; links are not followed, what vanishes meanwhile is nothing."""
    total, waiting = 0, [str(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _moment(seconds: float) -> float:
    """Return a time of a file, or 0 for what is none: a damaged file may name any number."""
    return seconds if math.isfinite(seconds) and 0 < seconds < _LATEST else 0.0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
