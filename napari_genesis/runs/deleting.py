"""Runs that are deleted: what is lost with them, setting them aside, putting them back, doing away with them for good.

A deleted run is moved to the folder `.deleted` beside it: on the same disk, so at once, whatever its size, and in the
same way on every system and network disk, where the system's own trash may be missing or delete for good. Only
`empty` frees the space, and only for what was set aside. No Qt.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_core.errors import GenesisError, RunError
from genesis_core.settings import read_yaml
from genesis_core.training.run_folder import RunFolder
from napari_genesis.runs.listing import RunSummary, folder_size

FOLDER = ".deleted"
# What is a path has one of these: sources, rounds before this one, whatever comes later.
_SEPARATOR = re.compile(r"[/\\]")


@dataclass(frozen=True)
class SetAside:
    """A run that was deleted and is still there. path: where it lies now. original: where it was."""

    path: Path
    original: Path
    moment: float

    @property
    def name(self) -> str:
        """What the run was called."""
        return self.original.name


def needed_by(run: Path, others: Sequence[RunSummary], reviews: Path | None = None) -> list[str]:
    """Return the names of runs, and of reviews, that start from this run or name anything in it in their settings.

    reviews: the folder of reviews, if there is one.
    """
    names = [other.name for other in others if other.path != run and _names(other.path / "run.yaml", run.absolute())]
    if reviews is not None and reviews.is_dir():
        files = sorted(reviews.glob("*/review.yaml"))
        names += [f"the review {file.parent.name}" for file in files if _names(file, run.absolute())]
    return names


def _names(file: Path, run: Path) -> bool:
    """Whether any text in a YAML file is a path, from the file's folder, into a run."""
    try:
        values = read_yaml(file)
    except GenesisError:
        # Damaged, or gone: it can name nothing.
        return False
    places = (
        Path(os.path.normpath(file.parent.absolute() / text)) for text in _texts(values) if _SEPARATOR.search(text)
    )
    return any(place == run or run in place.parents for place in places)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def set_aside(path: Path, now: float | None = None) -> SetAside:
    """Move a run to `.deleted`. Raises RunError if it trains, or cannot be moved; it is then where it was."""
    run = RunFolder(path)
    try:
        alive = run.status().is_alive
    except RunError:
        # Nobody trains what nobody can read.
        alive = False
    if alive:
        raise RunError(f"{path.name} trains: stop it first")
    moment = time.time() if now is None else now
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(moment))
    try:
        number = 0
        while True:
            folder = path.parent / FOLDER / (f"{stamp}-{number}" if number else stamp)
            target = folder / path.name
            if not target.exists():
                break
            number += 1
        folder.mkdir(parents=True, exist_ok=True)
        os.rename(path, target)
    except OSError as problem:
        raise RunError(f"{path.name} cannot be deleted ({problem.strerror or problem}); nothing was changed") from None
    return SetAside(target, path, moment)


def put_back(deleted: SetAside) -> Path:
    """Put a run back where it was, under another name if that is taken; return where it is.

    Raises RunError if it is not there any more, or cannot be moved.
    """
    target, number = deleted.original, 1
    while target.exists():
        number += 1
        target = deleted.original.with_name(f"{deleted.original.name}_{number}")
    try:
        os.rename(deleted.path, target)
        _remove_empty(deleted.path.parent)
    except OSError as problem:
        raise RunError(f"{deleted.name} cannot be put back ({problem.strerror or problem})") from None
    return target


def list_deleted(folder: Path) -> list[SetAside]:
    """Return what was deleted from a folder of runs and is still there, the latest first."""
    found = []
    try:
        for stamp in (folder / FOLDER).iterdir():
            moment = _moment(stamp.name)
            if moment is not None and stamp.is_dir():
                found += [SetAside(run, folder / run.name, moment) for run in stamp.iterdir() if run.is_dir()]
    except OSError:
        return []
    return sorted(found, key=lambda one: (-one.moment, one.name))


def deleted_size(folder: Path) -> int:
    """Return what all deleted runs of a folder take, in bytes."""
    return sum(folder_size(one.path) for one in list_deleted(folder))


def empty(runs: Sequence[SetAside]) -> None:
    """Do away with these deleted runs for good. Raises RunError naming what is left."""
    left = []
    for one in runs:
        try:
            # Of a run that was linked into the workspace, only the link is ours.
            one.path.unlink() if one.path.is_symlink() else shutil.rmtree(one.path)
            _remove_empty(one.path.parent)
        except OSError as problem:
            left.append(f"{one.name} ({problem.strerror or problem})")
    if left:
        raise RunError(f"not all could be removed: {', '.join(left)}")


def _remove_empty(folder: Path) -> None:
    for place in (folder, folder.parent):
        try:
            place.rmdir()
        except OSError:
            # Others lie there still.
            return


def _moment(stamp: str) -> float | None:
    try:
        return time.mktime(time.strptime(stamp[:15], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return None
