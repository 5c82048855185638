"""Which series of many patients' folders to train on: rules, their reasons in words, and a table a person may edit.

The table has the last word: training takes the rows whose `keep` says yes.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genesis_core.atomic import write_text
from genesis_core.errors import VolumeError
from genesis_core.settings import Settings, setting
from genesis_core.volumes.dicom.listing import SeriesRecord

_COLUMNS = ("keep", "folder", "series", "description", "slices", "spacing", "kernel", "reason")
_YES, _NO = ("yes", "y", "true", "1", "x", "keep"), ("no", "n", "false", "0", "", "drop")
# Words of image types and descriptions that mark no primary volume.
_SCOUTS = ("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SURVEY")
_CAPTURES = ("SCREEN SAVE", "DOSE REPORT", "PATIENT PROTOCOL", "DOSE INFO")
_REFORMATS = ("MPR", "MIP", "MINIP", "VRT", "REFORMATTED", "CPR", "CURVED", "PROJECTION IMAGE", "VOLUME RENDERED")
# Soft kernels by vendor: Siemens B and Br, Bf by number; GE by name; Philips by letter; Canon by FC number.
_SOFT_NAMES = ("SOFT", "STANDARD", "STND", "A", "B", "BODY")
_SHARP_NAMES = ("LUNG", "BONE", "BONEPLUS", "EDGE", "SHARP", "DETAIL", "D", "E", "L", "YA", "YB", "YC")


class SeriesRules(Settings):
    """What makes a series fit to train on."""

    least_slices: int = setting(60, "A series with fewer slices is dropped.", ge=1)
    largest_spacing: float = setting(3.0, "A series whose slices lie farther apart is dropped.", unit="mm", gt=0)
    orientations: tuple[str, ...] = setting(("axial",), "Orientations to keep: axial, coronal, sagittal, oblique.")
    modalities: tuple[str, ...] = setting(("CT", "MR"), "Modality tags to keep.")
    one_per_study: bool = setting(True, "Keep one series of each study and modality: the thinnest, then the softest.")
    allow_tilted: bool = setting(False, "Keep series with a tilted gantry, which need resampling.")
    drop_derived: bool = setting(True, "Drop scouts, screen captures and reformatted series.")
    kernels: tuple[str, ...] = setting((), "Kernels by preference; where none of them is there, the softest is kept.")


@dataclass(frozen=True)
class Choice:
    """One row of the table. keep: whether to train on it; reason: why, in words. folder, series: where it is."""

    keep: bool
    folder: str
    series: str
    description: str
    slices: int
    spacing: tuple[float, float, float] | None
    kernel: str
    reason: str


def choose_series(records: Sequence[SeriesRecord], rules: SeriesRules | None = None) -> tuple[Choice, ...]:
    """Return for each series, in the given order, whether it is kept, and why."""
    rules = rules or SeriesRules()
    reasons = [_unfit(record, rules) for record in records]
    studies: dict[tuple[str, str], list[int]] = {}
    for index, record in enumerate(records):
        if reasons[index] is None:
            # Where the study is unknown, nothing says that two series belong together.
            studies.setdefault((record.study or f"\0{index}", record.modality), []).append(index)
    for members in studies.values():
        best = min(members, key=lambda index: _rank(records[index], rules))
        if rules.one_per_study:
            for index in members:
                if index != best:
                    reasons[index] = _worse(records[index], records[best], rules)
    return tuple(
        Choice(
            keep=reason is None,
            folder=record.folder,
            series=record.uid,
            description=record.description,
            slices=record.slices,
            spacing=record.spacing,
            kernel=record.kernel,
            reason=reason or "fits the rules",
        )
        for record, reason in zip(records, reasons, strict=True)
    )


def write_table(choices: Sequence[Choice], path: str | os.PathLike[str]) -> Path:
    """Write choices as a CSV table to edit in any spreadsheet; returns its path."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in choices:
        spacing = " x ".join(f"{value:.4g}" for value in one.spacing) if one.spacing else ""
        cells = [one.folder, one.series, one.description, str(one.slices), spacing, one.kernel, one.reason]
        writer.writerow(["yes" if one.keep else "no", *map(_plain, cells)])
    write_text(path, buffer.getvalue())
    return Path(path)


def read_table(path: str | os.PathLike[str]) -> tuple[Choice, ...]:
    """Read a table as `write_table` writes it, edited or not; columns in any order, commas or semicolons.

    Raises VolumeError naming line and column of what cannot be read, and for a series listed twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise VolumeError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise VolumeError(f"{path}: cannot be read as UTF-8 text ({problem}). Save it as CSV (UTF-8)") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        needed = ("keep", "folder", "series")
        if missing := [name for name in needed if name not in header]:
            raise VolumeError(
                f"{path}: line 1 has no column {', '.join(missing)}; the columns are {', '.join(_COLUMNS)}"
            )
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as problem:
        raise VolumeError(f"{path}: line {reader.line_num}: {problem}. Save it as CSV (UTF-8)") from None
    choices: list[Choice] = []
    lines: dict[tuple[str, str], int] = {}
    for line, row in rows:
        if len(row) > len(header):
            raise VolumeError(f"{path}: line {line} has {len(row)} cells, but there are {len(header)} columns")
        choice = _parse(path, line, dict(zip(header, (cell.strip() for cell in row), strict=False)))
        key = (choice.folder, choice.series)
        if key in lines:
            raise VolumeError(f"{path}: lines {lines[key]} and {line} name the same series {choice.series}")
        lines[key] = line
        choices.append(choice)
    return tuple(choices)


def _parse(path: Path, line: int, cells: dict[str, str]) -> Choice:
    def wrong(column: str, wanted: str) -> VolumeError:
        return VolumeError(f"{path}: line {line}, column {column}: '{cells.get(column, '')}' is not {wanted}")

    keep = cells.get("keep", "").lower()
    if keep not in _YES + _NO:
        raise wrong("keep", "yes or no")
    if not cells.get("folder"):
        raise wrong("folder", "a folder ('.' is the listed folder itself)")
    try:
        slices = int(cells.get("slices") or 0)
    except ValueError:
        raise wrong("slices", "a whole number") from None
    spacing: tuple[float, float, float] | None = None
    if text := cells.get("spacing"):
        try:
            x, y, z = (float(part) for part in text.split("x"))
        except ValueError:
            raise wrong("spacing", "three lengths in mm such as '0.7 x 0.7 x 1'") from None
        spacing = (x, y, z)
    return Choice(
        keep in _YES, cells["folder"], cells.get("series", ""), cells.get("description", ""), slices, spacing,
        cells.get("kernel", ""), cells.get("reason", ""),
    )  # fmt: skip


def _plain(cell: str) -> str:
    """Keep a spreadsheet from taking text of a scanner for a formula."""
    return f" {cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _unfit(record: SeriesRecord, rules: SeriesRules) -> str | None:
    """Say why a series does not fit by itself, or None."""
    words = f" {record.image_type} {record.description} ".upper().replace("_", " ").replace("\\", " ")
    parts = {part for text in words.split() for part in text.split("-")}
    if record.modality == "MR" and "MPR" not in record.image_type.upper().split():
        # Siemens describe their primary MPRAGE as "t1_mpr_sag": of MR the image type alone tells a reformat.
        parts.discard("MPR")
    if rules.drop_derived:
        if found := next((word for word in _SCOUTS if word in words), None):
            return f"a scout or localiser ({found.lower()})"
        if "SECONDARY" in record.image_type.upper().split() and "DERIVED" in record.image_type.upper().split():
            return "derived from another series (image type DERIVED SECONDARY)"
        if found := next((word for word in _CAPTURES if word in words), None):
            return f"a screen capture or report ({found.lower()})"
        if found := next((word for word in _REFORMATS if (word in words if " " in word else word in parts)), None):
            return f"reformatted from another series ({found})"
    if record.modality not in rules.modalities:
        return f"its modality is {record.modality or 'unknown'}, not {' or '.join(rules.modalities)}"
    if record.problem and not (record.sheared and rules.allow_tilted):
        return record.problem
    if record.orientation not in rules.orientations:
        return f"it is {record.orientation or 'of unknown orientation'}, not {' or '.join(rules.orientations)}"
    if record.slices < rules.least_slices:
        return f"{record.slices} slices, fewer than {rules.least_slices}"
    if record.spacing is not None and record.spacing[2] > rules.largest_spacing * (1 + 1e-6):
        return f"its slices lie {record.spacing[2]:.3g} mm apart, more than {rules.largest_spacing:g} mm"
    return None


def _rank(record: SeriesRecord, rules: SeriesRules) -> tuple[float, float, float, float, str, str]:
    """Order series of one study, the best first."""
    preferred = [kernel.upper() for kernel in rules.kernels]
    kernel = record.kernel.upper()
    place = preferred.index(kernel) if kernel in preferred else len(preferred)
    spacing = round(record.spacing[2], 2) if record.spacing else float("inf")
    return (place, spacing, sharpness(record.kernel), -record.slices, record.folder, record.uid)


def sharpness(kernel: str) -> float:
    """Return how sharp a reconstruction kernel is, about 0 (softest) to 100, 50 where its name says nothing.

    Source: the vendors' naming: Siemens B30f to B80f and Br36 to Br69, Canon FC01 to FC09 (soft) and FC50 on (lung),
    GE and Philips by words and letters.
    """
    name = kernel.upper().split(" ")[0]
    if name in _SOFT_NAMES or kernel.upper() in _SOFT_NAMES:
        return 30.0
    if name in _SHARP_NAMES:
        return 80.0
    digits = "".join(c for c in name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") if c.isdigit())[:2]
    return float(digits) if digits else 50.0


def _worse(record: SeriesRecord, best: SeriesRecord, rules: SeriesRules) -> str:
    """Say why another series of the same study was preferred."""
    mine, other = _rank(record, rules), _rank(best, rules)
    named = f"'{best.description or best.uid}' of the same study"
    if mine[0] != other[0]:
        return f"{named} has the preferred kernel {best.kernel}"
    if mine[1] != other[1]:
        return f"{named} has thinner slices ({other[1]:g} mm, here {mine[1]:g} mm)"
    if mine[2] != other[2]:
        return f"{named} has the softer kernel ({best.kernel or 'unnamed'}, here {record.kernel or 'unnamed'})"
    if mine[3] != other[3]:
        return f"{named} has more slices ({best.slices}, here {record.slices})"
    return f"{named} is equally good and comes first"
