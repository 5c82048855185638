"""`napari-genesis inspect --series TABLE.csv`: the DICOM series of many patients, which to keep, and why."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.errors import OutputExistsError, SettingsError, VolumeError
from genesis_core.volumes.dicom.choosing import SeriesRules

if TYPE_CHECKING:
    from genesis_core.volumes.dicom.choosing import Choice
    from genesis_core.volumes.dicom.listing import SeriesRecord

# More thumbnails are no overview, and each decodes a slice.
_MOST_PICTURES = 200
_COLUMNS = 6


def run_series(folder: Path, table: Path, rules: SeriesRules, output: Output, *, overwrite: bool) -> int:
    """List the series, apply the rules, and write the table and a sheet of thumbnails beside it.

    Returns 0, or 130 if it was stopped before the table was written.
    """
    from genesis_core.pictures.encoding import write_png
    from genesis_core.volumes.dicom.choosing import choose_series, write_table
    from genesis_core.volumes.dicom.listing import each_series, in_order

    picture = table.with_suffix(".png")
    _check_outputs(table, picture, overwrite)
    closed: list[str] = []
    try:
        with stopped_by_signals(), output.progress(each_series(folder, closed), "listing series") as found:
            records = in_order(found)
    except KeyboardInterrupt:
        output.warn("stopped on request; no table was written")
        return 130
    for place in closed:
        output.warn(f"folder not listed: {place}")
    if not records:
        raise VolumeError(f"{folder}: no DICOM series in this folder or its subfolders")
    choices = choose_series(records, rules)
    for record, choice in zip(records, choices, strict=True):
        output.record(_as_json(record, choice))
    if not output.as_json:
        headings = ("keep", "folder", "description", "modality", "slices", "size", "mm", "plane", "kernel", "why")
        rows = [_row(record, choice) for record, choice in zip(records, choices, strict=True)]
        output.table(headings, rows)
    write_table(choices, table)
    write_png(_sheet(records, choices, output), picture)
    kept = sum(choice.keep for choice in choices)
    output.say(
        f"\n{kept} of {len(records)} series are kept. {table} may be edited (column keep); {picture} shows them."
    )
    typed = shlex.join(["napari-genesis", "pretrain", str(folder), "--series", str(table), "--out", "runs/NAME"])
    output.say(f"next: {typed}")
    return 0


def _check_outputs(table: Path, picture: Path, overwrite: bool) -> None:
    """Refuse what would fail only after all patients were listed."""
    if table.suffix.lower() != ".csv":
        raise click.UsageError(f"--series {table}: the table is written as .csv, with a picture beside it as .png")
    if not table.parent.is_dir():
        raise SettingsError(f"{table}: its folder does not exist; make it first")
    for path in (table, picture):
        if path.exists() and not overwrite:
            raise OutputExistsError(f"{path} exists; choose another name, or replace it with --overwrite")


def _row(record: SeriesRecord, choice: Choice) -> tuple[str, ...]:
    spacing = " ".join(f"{value:.3g}" for value in record.spacing) if record.spacing else "-"
    return (
        "yes" if choice.keep else "no",
        record.folder,
        record.description or "-",
        record.modality or "-",
        str(record.slices),
        f"{record.size[0]}x{record.size[1]}",
        spacing,
        record.orientation or "-",
        record.kernel or "-",
        choice.reason,
    )


def _as_json(record: SeriesRecord, choice: Choice) -> dict[str, Any]:
    return {
        "keep": choice.keep,
        "reason": choice.reason,
        "folder": record.folder,
        "series": record.uid,
        "study": record.study,
        "description": record.description,
        "modality": record.modality,
        "slices": record.slices,
        "size": list(record.size),
        "spacing": list(record.spacing) if record.spacing else None,
        "orientation": record.orientation,
        "kernel": record.kernel,
        "problem": record.problem,
    }


def _sheet(records: tuple[SeriesRecord, ...], choices: tuple[Choice, ...], output: Output) -> Any:
    import numpy as np

    from genesis_core.pictures.mosaic import Tile, mosaic
    from genesis_core.volumes.dicom.listing import thumbnail

    tiles: list[Tile] = []
    for number, (record, choice) in enumerate(zip(records, choices, strict=True), start=2):
        if len(tiles) == _MOST_PICTURES:
            output.warn(f"the picture shows the first {_MOST_PICTURES} of {len(records)} series")
            break
        try:
            image = thumbnail(record)
        except VolumeError:
            # What is wrong with it stands in the table.
            image = np.full((64, 64), 40, np.uint8)
        title = f"line {number}: {'keep' if choice.keep else 'drop'}"
        caption = f"{record.description or record.modality} {record.slices} slices. {choice.reason}"
        tiles.append(Tile(image, title, caption, framed=choice.keep))
    return mosaic(tiles, _COLUMNS, title="DICOM series", subtitle="numbers are lines of the table", tile_width=180)
