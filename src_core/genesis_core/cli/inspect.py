"""`napari-genesis inspect`: which scans of a folder are readable, what they are, and why the others are refused."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.volumes.inspection import Record


class InspectSettings(Settings):
    """What `napari-genesis inspect` takes."""

    scans: Path = setting(..., "Folder of scans, one scan file, or a folder of DICOM slices.")


def run(settings: InspectSettings, output: Output) -> None:
    """Read every scan of the folder and say what it is; refused scans are an answer, not a failure."""
    from genesis_core.volumes.inspection import inspect_scan
    from genesis_core.volumes.scans import survey_folder

    survey = survey_folder(settings.scans)
    records = []
    with output.progress(survey.scans, "reading") as scans:
        for scan in scans:
            record = inspect_scan(scan)
            output.record(record.as_json())
            records.append(record)
    if not output.as_json:
        _show(records, output, settings.scans.resolve().name)
    for closed in survey.closed:
        output.warn(f"folder not listed: {closed}")
    refused = sum(record.status == "refused" for record in records)
    others = f"; {survey.skipped} other file{'s' * (survey.skipped != 1)} skipped" if survey.skipped else ""
    output.say(f"{len(records) - refused} readable, {refused} refused{others}")


def _show(records: list[Record], output: Output, folder: str) -> None:
    readable = [record for record in records if record.status == "readable"]
    refused = [record for record in records if record.status == "refused"]
    if readable:
        headings = ("scan", "voxels z,y,x", "mm x,y,z", "axes", "type", "modality", "values")
        output.table(headings, [_row(record, folder) for record in readable])
    _list(output, "refused:", [(_name(record, folder), [record.reason or ""]) for record in refused])
    _list(output, "notes:", [(_name(record, folder), list(record.notes)) for record in readable if record.notes])
    unsure = [record for record in readable if _is_unsure(record)]
    _list(output, "modality unsure (?):", [(_name(record, folder), [record.because or ""]) for record in unsure])
    if records:
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
    "stays 0.",
    example="napari-genesis inspect scans/",
    arguments={"SCANS": "scans"},
)
