"""Looking after the cache of prepared scans: how much it holds, removing what was not used for long, and moving it.

Only files that the cache wrote, known by their names, are counted and touched. Whatever is removed is prepared again
when it is needed, also while a training uses it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genesis_core.atomic import replacing
from genesis_core.errors import CacheError
from genesis_core.sampling.cache import ABANDONED_SECONDS, is_whole

_ENTRY = re.compile(r"[0-9a-f]{32}\.bricks")
_NOTE = re.compile(r"[0-9a-f]{32}\.modality\.\d+\.json")
_HALF = re.compile(r"\.[0-9a-f]{8}\.tmp\.[0-9a-f]{32}\.(bricks|modality\.\d+\.json)")


@dataclass(frozen=True)
class CacheFile:
    """One file of the cache. used: when it was last opened or written, seconds since the epoch, to the hour."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True)
class CacheSurvey:
    """What a cache folder holds, each kind with the longest unused first.

    entries: prepared scans. notes: small ones on the modality of a scan. half_written: left by killed processes, or
    being written now. foreign: how many files are not the cache's.
    """

    folder: Path
    entries: tuple[CacheFile, ...]
    notes: tuple[CacheFile, ...]
    half_written: tuple[CacheFile, ...]
    foreign: int

    @property
    def size(self) -> int:
        """Bytes of all that is the cache's."""
        return sum(file.size for file in (*self.entries, *self.notes, *self.half_written))


@dataclass(frozen=True)
class Removed:
    """What pruning removed. kept_back: files that could not be removed, with the reason."""

    files: int
    size: int
    kept_back: tuple[str, ...]


def survey_cache(folder: Path) -> CacheSurvey:
    """Return what a cache folder holds; one that does not exist holds nothing. Raises CacheError if it is closed."""
    found: dict[re.Pattern[str], list[CacheFile]] = {_ENTRY: [], _NOTE: [], _HALF: []}
    foreign = 0
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                pattern = next((pattern for pattern in found if pattern.fullmatch(item.name)), None)
                if pattern is None or not item.is_file(follow_symlinks=False):
                    foreign += 1
                    continue
                try:
                    state = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # Another process removed or renamed it just now.
                found[pattern].append(CacheFile(Path(item.path), state.st_size, state.st_mtime))
    except FileNotFoundError:
        pass  # Nothing was prepared yet.
    except OSError as problem:
        raise CacheError(f"{folder}: cannot be listed ({problem.strerror or problem}). Check --cache") from None
    entries, notes, half_written = (tuple(sorted(files, key=lambda file: file.used)) for files in found.values())
    return CacheSurvey(folder, entries, notes, half_written, foreign)


def prune_cache(folder: Path, *, older_than: float | None = None, keep_under: int | None = None) -> Removed:
    """Remove what was not used for `older_than` seconds, then the longest unused until under `keep_under` bytes remain.

    What killed processes left half-written more than a day ago goes in any case. Raises CacheError if the folder cannot
    be listed.
    """
    survey, now = survey_cache(folder), time.time()
    leaving = [file for file in survey.half_written if now - file.used > ABANDONED_SECONDS]
    kept: list[CacheFile] = []
    for file in sorted((*survey.entries, *survey.notes), key=lambda file: file.used):
        (leaving if older_than is not None and now - file.used > older_than else kept).append(file)
    if keep_under is not None:
        left = sum(file.size for file in kept)
        for file in kept:
            if left <= keep_under:
                break
            leaving.append(file)
            left -= file.size
    removed, size, kept_back = 0, 0, []
    for file in leaving:
        try:
            file.path.unlink()
        except FileNotFoundError:
            continue
        except OSError as problem:
            kept_back.append(f"{file.path} ({problem.strerror or problem})")
            continue
        removed, size = removed + 1, size + file.size
    return Removed(removed, size, tuple(kept_back))


def move_cache(folder: Path, to: Path, progress: Callable[[int, int], None] | None = None) -> Removed:
    """Move all entries and notes to the folder `to`, one after the other: stopped at any moment, both are sound caches.

    An entry leaves its old place only once it lies whole in the new one. progress: called as (done, all) files.
    Returns what was moved. Raises CacheError if the place cannot be written or has not enough room.
    """
    if to.resolve() == folder.resolve():
        raise CacheError(f"{to}: the cache is there already")
    survey = survey_cache(folder)
    files = (*survey.entries, *survey.notes)
    if not files:
        return Removed(0, 0, ())
    try:
        to.mkdir(parents=True, exist_ok=True)
        needed = sum(file.size for file in files)
        free = shutil.disk_usage(to).free
        if os.stat(to).st_dev != os.stat(folder).st_dev and needed > free:
            raise CacheError(
                f"{to}: {needed / 1e9:.1f} GB are to be moved, but only {free / 1e9:.1f} GB are free there"
            )
        for number, file in enumerate(files, 1):
            _move(file.path, to / file.path.name)
            if progress:
                progress(number, len(files))
    except OSError as problem:
        raise CacheError(
            f"{to}: the cache cannot be moved there ({problem.strerror or problem}). What was moved is in the new "
            "place, the rest in the old one, and both can be used: make room or choose another folder, and move again"
        ) from None
    return Removed(len(files), needed, ())


def _move(source: Path, target: Path) -> None:
    if target.exists() and _is_whole(target):
        # Names tell content: what is there is the same.
        source.unlink(missing_ok=True)
        return
    try:
        os.replace(source, target)
        return
    except FileNotFoundError:
        return  # Pruned by another process in between.
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
    with replacing(target) as temporary:
        # With its time, which says when it was used.
        shutil.copy2(source, temporary)
    if _is_whole(target):
        source.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    return is_whole(path) if _ENTRY.fullmatch(path.name) else path.stat().st_size > 0
