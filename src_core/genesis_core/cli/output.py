"""What commands say: sentences and a progress bar on a terminal, plain lines elsewhere, JSON lines for programs.

With `--json`, stdout holds nothing but one JSON object a line; everything meant for people goes to stderr.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

T = TypeVar("T")
# Columns of a table that is piped: nobody's path is longer.
_WIDEST = 4096
# A name shortened further tells nothing.
_SHORTEST = 16
# What writing raises once nobody reads: after `| head`, with a dead `tee`, in a terminal that was closed.
_NOBODY_READS = (errno.EPIPE, errno.EIO)


def shortened(text: str, width: int) -> str:
    """Return `text` in at most `width` characters, cut in the middle: of a path, both ends tell most."""
    if len(text) <= width:
        return text
    start = (width - 1) // 3
    return f"{text[:start]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (width - 1 - start) :]}"


class Output:
    """Where one command writes. as_json: JSON lines on stdout instead of sentences."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        # Whether the work is worth doing though nobody reads what is said: a training's folder holds it all.
        self.outlives_readers = False

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches: progress bars only make sense then."""
        return not self.as_json and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Say a sentence to the person (stdout; stderr with --json)."""
        with self.to_a_reader():
            click.echo(text, err=self.as_json)

    def warn(self, text: str) -> None:
        """Say something the person should act on (stderr)."""
        with self.to_a_reader():
            click.echo(f"warning: {text}", err=True)

    def record(self, values: dict[str, Any]) -> None:
        """Write one JSON line, with --json only."""
        if self.as_json:
            with self.to_a_reader():
                click.echo(json.dumps(values, allow_nan=False))

    @contextmanager
    def to_a_reader(self) -> Iterator[None]:
        """Write within the block: with `outlives_readers`, one that is gone mutes its stream instead of raising."""
        try:
            yield
        except OSError as problem:
            if not self.outlives_readers or problem.errno not in _NOBODY_READS:
                raise
            _mute_unread()

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table: where it is wider than the terminal, the first column is shortened in the middle.

        Piped output is never cut.
        """
        from rich.console import Console
        from rich.table import Table

        told = [list(row) for row in rows]
        console = Console(stderr=self.as_json, markup=False)
        if not console.is_terminal:
            console.width = _WIDEST
        others = sum(
            2 + max((len(row[column]) for row in [headings, *told]), default=0) for column in range(1, len(headings))
        )
        room = max(console.width - others, _SHORTEST)
        table = Table(*headings, box=None, pad_edge=False, header_style="bold")
        for row in told:
            table.add_row(shortened(row[0], room), *row[1:])
        console.print(table)

    @contextmanager
    def progress(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[Iterator[T]]:
        """Yield an iterator over `items` that shows a bar with the time left on a terminal, and nothing elsewhere.

        total: how many items there are, where they have no length.
        """
        if not self.is_terminal:
            yield iter(items)
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield iter(bar.track(items, total, description=what))


def _mute_unread() -> None:
    """Send to nowhere what is still to come on the streams that nobody reads; Python flushes them once more at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
