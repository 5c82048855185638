"""The columns of the table of runs: what each says of a run, and by what it is sorted. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genesis_core.durations import duration
from napari_genesis.runs.listing import RunSummary

# By what the commands and the docks are called.
TASKS = {"restoration": "pretrain", "segmentation": "fine-tune"}
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Cell:
    """text: what is shown. key: what it is sorted by; None stays last either way. tip: more, in a sentence."""

    text: str
    key: Any = None
    tip: str = ""


@dataclass(frozen=True)
class Column:
    """name: in the file that is kept. heading: shown. width: pixels at first. shown: at first. number: to the right."""

    name: str
    heading: str
    width: int
    shown: bool = True
    number: bool = False
    # Whether the first click on the heading shows the largest first.
    falls: bool = False


# The first five fit into a dock of the usual width; the others are scrolled to.
COLUMNS = (
    Column("name", "run", 78),
    Column("state", "state", 88),
    Column("task", "task", 66),
    Column("figure", "best", 56, number=True, falls=True),
    Column("time", "time", 46, number=True, falls=True),
    Column("steps", "steps", 84, number=True, falls=True),
    Column("size", "size", 68, number=True, falls=True),
    Column("date", "last active", 92, falls=True),
    Column("source", "source", 110, shown=False),
    Column("host", "machine", 90, shown=False),
)


def cells_of(run: RunSummary, state: str, now: float) -> tuple[Cell, ...]:
    """Return the cells of a run, one a column. state: as it is known here, such as "paused". now: s since 1970."""
    makers: dict[str, Callable[[], Cell]] = {
        "name": lambda: Cell(run.name, run.name.casefold(), str(run.path)),
        "state": lambda: Cell(state, state, run.trouble),
        "figure": lambda: _figure(run),
        "task": lambda: Cell(TASKS.get(run.task, "?"), run.task),
        "steps": lambda: _steps(run),
        "time": lambda: _time(run),
        "size": lambda: Cell("…") if run.size is None else Cell(size_text(run.size), run.size),
        "date": lambda: Cell(date_text(run.latest, now), run.latest or None, _moment(run.latest)),
        "source": lambda: _source(run),
        "host": lambda: Cell(run.host or "–", run.host or None),
    }
    return tuple(makers[column.name]() for column in COLUMNS)


def size_text(size: float) -> str:
    """Return a size in bytes for people, such as "41 MB" or "1.8 GB"."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if unit >= 3 and size < 9.95 else f"{size:.0f} {_UNITS[unit]}"


def date_text(moment: float, now: float) -> str:
    """Return a time for people: "14:20" for today, "Tue 14:20" for this week, else the date."""
    if not moment:
        return "–"
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if 0 <= now - moment < 6 * 86400:
        return time.strftime("%a %H:%M", then)
    return time.strftime("%d %b" if then.tm_year == today.tm_year else "%d %b %Y", then)


def _moment(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""


def _figure(run: RunSummary) -> Cell:
    figure = run.figure
    if figure is None:
        return Cell("–", tip="Nothing was validated yet.")
    # By the side of other runs a loss is told by what it is against that of returning the mean.
    text = figure.text if figure.baseline is None else f"{'' if figure.final else '~'}{figure.change}"
    # Results come before what is none yet.
    return Cell(text, (figure.name == "Dice" and figure.final, figure.merit), figure.words)


def _time(run: RunSummary) -> Cell:
    if run.seconds < 1:
        return Cell("–")
    whole = duration(run.seconds)
    # After hours the unit of what follows is clear.
    return Cell(whole.removesuffix(" min") if " h " in whole else whole, run.seconds, f"Trained for {whole}.")


def _steps(run: RunSummary) -> Cell:
    begun, count = run.folds
    if count:
        return Cell(f"fold {begun} of {count}", run.step, f"{run.step:,} steps in all folds together")
    total = f" / {run.total_steps:,}" if run.total_steps and run.step != run.total_steps else ""
    return Cell(f"{run.step:,}{total}", run.step)


def _source(run: RunSummary) -> Cell:
    if run.source is None:
        return Cell("–")
    name = run.source.name if run.source.name != "model" else run.source.parent.name
    return Cell(name, name.casefold(), str(run.source))
