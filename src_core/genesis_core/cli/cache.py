"""`napari-genesis cache`: how much the prepared scans take, removing what was not used for long, moving them."""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BeforeValidator

from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.errors import CacheError
from genesis_core.settings import Settings, setting

_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
# Ages that `info` counts by.
_AGES = ((86_400, "within a day"), (7 * 86_400, "within a week"), (30 * 86_400, "within 30 days"))


def _seconds(value: Any) -> Any:
    return _with_unit(value, _SECONDS, "a length of time such as 12h, 30d or 8w")


def _bytes(value: Any) -> Any:
    return _with_unit(value, _BYTES, "a size such as 500MB, 20GB or 1TB")


def _with_unit(value: Any, units: dict[str, int], wanted: str) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", value)
    if match is None or match[2].lower() not in units:
        raise ValueError(f"expected {wanted}")
    return float(match[1]) * units[match[2].lower()]


class CacheSettings(Settings):
    """Settings of the commands on the cache."""

    cache: Path | None = setting(
        None, "Folder of the prepared scans; empty: below $GENESIS_CACHE, else the user's cache folder."
    )


class PruneSettings(CacheSettings):
    """Settings of `cache prune`."""

    older_than: Annotated[float | None, BeforeValidator(_seconds)] = setting(
        None, "Remove what was not used for this long, such as 12h, 30d or 8w.", ge=0
    )
    keep_under: Annotated[float | None, BeforeValidator(_bytes)] = setting(
        None, "Remove the longest unused until no more than this remains, such as 500MB or 20GB.", ge=0
    )


class MoveSettings(CacheSettings):
    """Settings of `cache move`."""

    to: Path = setting(..., "The new folder of the cache, which may exist.")


def info_command(settings: CacheSettings, output: Output) -> None:
    """Say where the cache is and what it holds."""
    from genesis_core.sampling.cache_keeping import survey_cache

    survey = survey_cache(_folder(settings))
    now = time.time()
    ages: dict[str, list[int]] = {name: [0, 0] for _, name in _AGES} | {"longer ago": [0, 0]}
    for file in survey.entries:
        name = next((name for limit, name in _AGES if now - file.used <= limit), "longer ago")
        ages[name][0] += 1
        ages[name][1] += file.size
    used = [file.used for file in survey.entries]
    output.record(
        {
            "folder": str(survey.folder),
            "entries": len(survey.entries),
            "notes": len(survey.notes),
            "half_written": len(survey.half_written),
            "foreign": survey.foreign,
            "bytes": survey.size,
            "oldest": min(used, default=None),
            "newest": max(used, default=None),
        }
    )
    if output.as_json:
        return
    output.say(f"{survey.folder}: {len(survey.entries)} prepared scans, {_size(survey.size)}")
    if used:
        output.table(("last used", "scans", "size"), [(name, str(n), _size(size)) for name, (n, size) in ages.items()])
    if survey.half_written:
        output.say(f"{len(survey.half_written)} half-written files: prune removes those older than a day")
    if survey.foreign:
        output.say(f"{survey.foreign} files there are not the cache's and are left alone")


def prune_command(settings: PruneSettings, output: Output) -> int:
    """Remove entries by age and size; 1 if some could not be removed."""
    from genesis_core.sampling.cache_keeping import prune_cache, survey_cache

    if settings.older_than is None and settings.keep_under is None:
        raise click.UsageError("say what to remove: --older-than 30d, --keep-under 20GB, or both")
    folder = _folder(settings)
    keep_under = None if settings.keep_under is None else int(settings.keep_under)
    removed = prune_cache(folder, older_than=settings.older_than, keep_under=keep_under)
    left = survey_cache(folder)
    output.record({"removed": removed.files, "bytes": removed.size, "left": len(left.entries), "bytes_left": left.size})
    output.say(
        f"removed {removed.files} files, {_size(removed.size)}; {len(left.entries)} prepared scans, "
        f"{_size(left.size)} remain in {folder}"
    )
    for reason in removed.kept_back:
        output.warn(f"cannot be removed: {reason}")
    return 1 if removed.kept_back else 0


def move_command(settings: MoveSettings, output: Output) -> int:
    """Move the entries and say how to use them in the new place; 130 if it was stopped half-way."""
    from genesis_core.sampling.cache_keeping import move_cache

    folder = _folder(settings)
    # Below a root of its own, so that the one environment variable serves everything that is cached.
    to = settings.to / "scans"
    if settings.to.exists() and not settings.to.is_dir():
        raise CacheError(f"{settings.to}: a file, where a folder is wanted")
    try:
        with stopped_by_signals():
            moved = move_cache(folder, to)
    except KeyboardInterrupt:
        output.warn(f"stopped on request: some entries are in {to}, the rest in {folder}. Move again to go on")
        return 130
    output.record({"moved": moved.files, "bytes": moved.size, "folder": str(to.resolve())})
    output.say(f"moved {moved.files} files, {_size(moved.size)}, to {to}")
    root = settings.to.resolve()
    line = f"export GENESIS_CACHE={shlex.quote(str(root))}  (in your shell's start-up file)"
    if os.name == "nt":
        line = f'setx GENESIS_CACHE "{root}"'
    output.say(f"use it from now on: {line}\nor for one run: --cache {to.resolve()}  (data.cache in a settings file)")
    return 0


def _folder(settings: CacheSettings) -> Path:
    from genesis_core.remembered import cache_root

    return settings.cache if settings.cache is not None else cache_root() / "scans"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


@click.group(
    "cache",
    help="Show, prune or move the prepared scans that trainings read from.\n\n\b\nExample:\n"
    "  napari-genesis cache prune --older-than 30d",
)
def command() -> None:
    """Group of the commands on the cache."""


command.add_command(
    settings_command(
        "info",
        CacheSettings,
        info_command,
        text="Show where the cache is, how much it holds, and when that was last used.",
        example="napari-genesis cache info",
        options={"--cache": "cache"},
    )
)
command.add_command(
    settings_command(
        "prune",
        PruneSettings,
        prune_command,
        text="Remove prepared scans by age or size.\n\n"
        "They are prepared again when a training needs them. Files that are not the cache's are left alone.",
        example="napari-genesis cache prune --older-than 30d --keep-under 20GB",
        options={"--older-than": "older_than", "--keep-under": "keep_under", "--cache": "cache"},
    )
)
command.add_command(
    settings_command(
        "move",
        MoveSettings,
        move_command,
        text="Move the prepared scans to another folder or disk.\n\n"
        "Stopped at any moment, what was moved and what was not are both usable. Best done while nothing trains: a "
        "training prepares again what it misses, in the old place.",
        example="napari-genesis cache move --to /data/genesis_cache",
        options={"--to": "to", "--cache": "cache"},
    )
)
