"""Reading the lines of a table people made by hand: any usual separator and encoding, and the line of each row."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.formats.stored import open_file, read_bytes

# A list of cases has some megabytes at most; more is something else.
_LARGEST = 64 << 20
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Row:
    """One line: its number in the file, from 1, and its cells by column, without blanks around them."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Rows:
    """A table. columns: the first line's names in lower case. notes: how it had to be read."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_rows(path: Path) -> Rows:
    """Read a table with names of columns in its first line; empty lines are left out.

    Separators are commas, semicolons or tabs, the encoding UTF-8, UTF-16 or Windows'. Raises VolumeError naming the
    line where it is no such table, has a column twice, or a line has more cells than there are columns.
    """
    with open_file(path) as file:
        data = read_bytes(file, _LARGEST + 1, path)
    if len(data) > _LARGEST:
        raise VolumeError(f"{path}: larger than any list of cases ({_LARGEST >> 20} MiB)")
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise VolumeError(f"{path}: not a text table. Save it as CSV")
    text, notes = _decoded(data)
    try:
        found = csv.reader(io.StringIO(text, newline=""), _dialect(text), strict=True)
        lines = [(found.line_num, [cell.strip() for cell in row]) for row in found]
    except csv.Error as problem:
        raise VolumeError(f"{path}: not a table that can be read ({problem}). Save it as CSV again") from None
    lines = [(line, row) for line, row in lines if any(row)]
    if not lines:
        raise VolumeError(f"{path}: the table is empty. Its first line must name the columns")
    columns = [cell.lower() for cell in lines[0][1]]
    doubled = sorted({column for column in columns if column and columns.count(column) > 1})
    if doubled:
        raise VolumeError(f"{path}: line {lines[0][0]}: the column {doubled[0]!r} is there twice; rename one")
    rows = []
    for line, cells in lines[1:]:
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            raise VolumeError(
                f"{path}: line {line} has {len(cells)} cells, but there are {len(columns)} columns. Put quotes around "
                "cells that hold the separator"
            )
        filled = cells + [""] * (len(columns) - len(cells))
        rows.append(Row(line, {column: cell for column, cell in zip(columns, filled, strict=False) if column}))
    return Rows(tuple(column for column in columns if column), tuple(rows), notes)


def _decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16"), ()
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), ("It is not in UTF-8, and was read as Windows text (cp1252).",)


def _dialect(text: str) -> type[csv.Dialect]:
    """Return how the table is written, judged by its first lines; commas where there is one column only."""
    head = text.split("\n", 1)[0]
    sample = text[: 1 << 14]
    try:
        found = csv.Sniffer().sniff(sample, _SEPARATORS)
    except csv.Error:
        found = csv.excel
    if found.delimiter not in head or found.delimiter not in _SEPARATORS:
        found = csv.excel

    class _Dialect(csv.excel):
        # The sniffer guesses quotes badly; only its separator is taken, and the one the first line has most counts.
        delimiter = max((found.delimiter, *_SEPARATORS), key=head.count)

    return _Dialect
