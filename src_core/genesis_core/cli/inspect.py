"""`napari-genesis inspect`: which scans of a folder are readable, what they are, and why the others are refused."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genesis_core.cli.inspect_groups import HEADINGS, Groups
from genesis_core.cli.inspect_labelled import OPTIONS, LabelledOptions, labelled_hint, run_labelled
from genesis_core.cli.inspect_series import run_series
from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting
from genesis_core.volumes.dicom.choosing import SeriesRules

if TYPE_CHECKING:
    from genesis_core.volumes.inspection import Record

# A longer table is no overview: scans are then counted by group.
_MOST_ROWS = 60
_MOST_HINTED = 1000
# Each thread holds a whole scan in memory.
_MOST_THREADS = 8
_EXAMPLES = 5


class InspectSettings(Settings):
    """What `napari-genesis inspect` takes."""

    scans: Path = setting(..., "Folder of scans, one scan file, or a folder of DICOM slices.")
    threads: int | None = setting(
        None, f"Scans read at once, each held in memory; empty: one per core, at most {_MOST_THREADS}.", ge=1, le=256
    )
    fresh: bool = setting(False, "Read every scan again, also those known from an earlier check.")
    series: Path | None = setting(
        None, "Write a table of the DICOM series here (CSV, with a PNG beside it): which to keep, and why."
    )
    rules: SeriesRules = setting(SeriesRules(), "What makes a DICOM series fit to train on, for --series.")
    overwrite: bool = setting(False, "Replace the table of series if it exists.")
    labelled: LabelledOptions = setting(LabelledOptions(), "How a labelled folder is to be found and checked.")


def run(settings: InspectSettings, output: Output) -> int:
    """Read every scan of the folder and say what it is; refused scans are an answer, not a failure.

    Returns 0, or 130 if it was stopped: what was found until then is remembered.
    """
    from genesis_core.volumes.formats.headers import FILE_ENDINGS
    from genesis_core.volumes.inspection import inspect_scans
    from genesis_core.volumes.scans import survey_folder

    threads = settings.threads or min(os.cpu_count() or 1, _MOST_THREADS)
    if settings.labelled.asked:
        if settings.series is not None:
            raise click.UsageError("--series tells the DICOM series of unlabelled scans: leave out what is of labels")
        return run_labelled(settings.scans, settings.labelled, output, threads=threads, fresh=settings.fresh)
    if settings.series is not None:
        return run_series(settings.scans, settings.series, settings.rules, output, overwrite=settings.overwrite)
    survey = survey_folder(settings.scans)
    found = _Findings(settings.scans.resolve().name)
    stopped = False
    try:
        with (
            stopped_by_signals(),
            closing(inspect_scans(survey.scans, threads=threads, fresh=settings.fresh)) as records,
            output.progress(records, "reading", len(survey.scans)) as shown,
        ):
            for record in shown:
                output.record(record.as_json())
                found.add(record)
    except KeyboardInterrupt:
        stopped = True
    if not output.as_json:
        found.show(output)
    for closed in survey.closed:
        output.warn(f"folder not listed: {closed}")
    others = f"; {survey.skipped} other file{'s' * (survey.skipped != 1)} skipped" if survey.skipped else ""
    output.say(f"{found.readable} readable, {len(found.refused)} refused{others}")
    if not survey.scans and not survey.closed:
        output.say(
            f"No scan is there: subfolders too were searched for {', '.join(FILE_ENDINGS)} and DICOM. Another folder?"
        )
    # Looking for labels reads the tags of every DICOM file again: too long for a line of advice on thousands of scans.
    if not stopped and len(survey.scans) <= _MOST_HINTED and (hint := labelled_hint(settings.scans)):
        output.say(hint)
    if stopped:
        output.warn(
            f"stopped on request with {found.readable + len(found.refused)} of {len(survey.scans)} scans told. "
            "What was read is remembered: run the same command again to go on"
        )
        return 130
    return 0


class _Findings:
    """What a person is shown: every scan while they are few, groups of them once they are many, all refusals."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.readable = 0
        self.refused: list[tuple[str, list[str]]] = []
        self._rows: list[tuple[str, ...]] = []
        self._groups = Groups()
        self._noted: list[tuple[str, list[str]]] = []
        self._unsure: list[tuple[str, list[str]]] = []
        self._counts = {"notes": 0, "unsure": 0}

    def add(self, record: Record) -> None:
        """Take in one record; of readable scans beyond the first few only counts are kept."""
        name = _name(record, self._folder)
        if record.status == "refused":
            self.refused.append((name, [record.reason or ""]))
            return
        self.readable += 1
        self._groups.add(record)
        if self.readable <= _MOST_ROWS:
            self._rows.append(_row(record, self._folder))
        if record.notes:
            self._counts["notes"] += 1
            if len(self._noted) < _MOST_ROWS:
                self._noted.append((name, list(record.notes)))
        if _is_unsure(record):
            self._counts["unsure"] += 1
            if len(self._unsure) < _MOST_ROWS:
                self._unsure.append((name, [record.because or ""]))

    def show(self, output: Output) -> None:
        """Print the table, refusals, notes and doubts."""
        many = self.readable > _MOST_ROWS
        if self._rows and not many:
            headings = ("scan", "voxels z,y,x", "mm x,y,z", "axes", "type", "modality", "values")
            output.table(headings, self._rows)
        elif many:
            output.table(HEADINGS, self._groups.rows())
        _list(output, "refused:", self.refused)
        for heading, entries, count in (
            ("notes:", self._noted, self._counts["notes"]),
            ("modality unsure (?):", self._unsure, self._counts["unsure"]),
        ):
            shown = entries[:_EXAMPLES] if many else entries
            _list(output, heading, shown)
            if count > len(shown):
                output.say(f"  and {count - len(shown)} more; --json tells them all")
        if self.readable or self.refused:
            output.say("")


def _row(record: Record, folder: str) -> tuple[str, ...]:
    return (
        _name(record, folder),
        " ".join(str(n) for n in record.shape or ()),
        " ".join(f"{v:.3g}" for v in record.spacing or ()),
        record.orientation or "",
        record.dtype or "",
        f"{(record.modality or '').upper()}{'?' if _is_unsure(record) else ''}",
        f"{record.minimum:.5g} to {record.maximum:.5g}",
    )


def _is_unsure(record: Record) -> bool:
    return record.certainty is not None and record.certainty < 0.6


def _name(record: Record, folder: str) -> str:
    path = folder if record.path == "." else record.path
    return path if record.series is None else f"{path} [series {record.series}]"


def _list(output: Output, heading: str, entries: list[tuple[str, list[str]]]) -> None:
    if entries:
        output.say(f"\n{heading}")
    # Piped output keeps a sentence on one line, for grep.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for name, sentences in entries:
        output.say(f"  {name}")
        for line in "\n".join(sentences).splitlines():
            output.say(textwrap.fill(line, max(width, 40), initial_indent="    ", subsequent_indent="    "))


command = settings_command(
    "inspect",
    InspectSettings,
    run,
    text="List the scans of a folder: which are readable, which are refused, and why.\n\n"
    "Every scan is read to its end, since damage may lie anywhere. Refused scans are reported, and the exit code "
    "stays 0. What was found is remembered: files that are untouched since are not read again, unless --fresh is "
    "given. With --json the records come in the order of the listing.\n\n"
    "--labelled checks a folder of scans with labels case by case, and tells what is drawn, what is wrong and the "
    "fix. --series writes a table of the DICOM series of many patients, with the one of each study that fits the "
    "rules (rules.least_slices, rules.largest_spacing, ...) marked to keep, and a sheet of thumbnails.",
    example="napari-genesis inspect scans/\n  napari-genesis inspect labelled/ --labelled\n"
    "  napari-genesis inspect patients/ --series series.csv",
    arguments={"SCANS": "scans"},
    options={"--threads": "threads", "--fresh": "fresh", "--series": "series", "--overwrite": "overwrite", **OPTIONS},
)
