"""`napari-genesis inspect --labelled`: which cases of a labelled folder can be used, what is drawn, what is wrong."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from genesis_core.cli.interrupting import stopped_by_signals
from genesis_core.cli.output import Output
from genesis_core.errors import VolumeError
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.volumes.labelled.check_records import CaseRecord, LabelledCheck, Problem

# A longer table is no overview: cases are then counted by what they have in common.
_MOST_ROWS = 40
_MOST_STRUCTURES = 40
_MOST_NAMES = 8
_HEADINGS = {"left_out": "left out", "warning": "warnings", "note": "notes"}


Layout = Literal["nnunet", "decathlon", "mask_folders", "images_labels", "bids", "dicom", "table", "side_by_side"]


class LabelledOptions(Settings):
    """How a labelled folder is to be found and checked."""

    check: bool = setting(False, "Check images against their labels, and tell what is drawn and what is wrong.")
    layout: Layout | None = setting(None, "Its layout, where another one is recognised.")
    labels: str | None = setting(None, "Folder of labels to take, where there are several.")
    subject_pattern: str | None = setting(
        None, "Regular expression whose one group is the subject, searched in a case's name, such as '(sub-\\d+)'."
    )
    subjects: Path | None = setting(None, "Table with the columns name and subject.")

    @property
    def asked(self) -> bool:
        """Whether the check is wanted: any of its options asks for it."""
        return self.check or any((self.layout, self.labels, self.subject_pattern, self.subjects))


# What the user types, and the setting it is.
OPTIONS = {
    "--labelled": "labelled.check",
    "--layout": "labelled.layout",
    "--labels": "labelled.labels",
    "--subject-pattern": "labelled.subject_pattern",
    "--subjects": "labelled.subjects",
}


def run_labelled(folder: Path, options: LabelledOptions, output: Output, *, threads: int, fresh: bool) -> int:
    """Check a labelled folder and tell what was found; problems are an answer, not a failure.

    Returns 0, or 130 if it was stopped: what was read until then is remembered.
    """
    from genesis_core.volumes.labelled.checking import check_labelled
    from genesis_core.volumes.labelled.finding import find_labelled

    found = find_labelled(
        folder,
        layout=options.layout,
        labels=options.labels,
        subject_pattern=options.subject_pattern,
        subjects=options.subjects,
    )
    try:
        with stopped_by_signals(), output.progress(range(len(found.cases)), "reading", len(found.cases)) as bar:
            check = check_labelled(
                found, threads=threads, remember=not fresh, progress=lambda done, total: _advance(bar)
            )
    except KeyboardInterrupt:
        output.warn("stopped on request. What was read is remembered: run the same command again to go on")
        return 130
    for case in check.cases:
        output.record({"record": "case", **case.as_json()})
    output.record({"record": "summary", **check.summary()})
    if not output.as_json:
        show(check, output)
    return 0


def labelled_hint(folder: Path) -> str | None:
    """Return one line for a folder that looks labelled, judged by names alone; None for others."""
    from genesis_core.volumes.labelled.finding import find_labelled

    try:
        found = find_labelled(folder)
    except VolumeError:
        return None
    drawn = sum(case.label is not None or case.class_name is not None for case in found.cases)
    if not drawn:
        return None
    return f"{drawn} labelled case{'s' * (drawn != 1)} ({found.layout}): check images against labels with --labelled"


def show(check: LabelledCheck, output: Output) -> None:
    """Print the cases, the structures or classes, the problems with their fixes, and a last line."""
    from genesis_core.volumes.labelled.splitting import advise_split

    summary = check.summary()
    output.say(f"{check.folder.layout}\n")
    if check.usable:
        if len(check.usable) <= _MOST_ROWS:
            _show_cases(check, output)
        else:
            _show_groups(check.usable, output)
    _show_structures(check, output)
    _show_classes(summary["classes"], output)
    for severity in _HEADINGS:
        _show_problems([one for one in check.problems if one.severity == severity], check, output)
    for note in check.notes:
        output.say("")
        _say(output, note, "")
    free = {case.subject for case in check.usable_cases} - {
        case.subject for case in check.usable_cases if case.part == "test"
    }
    output.say("")
    if free:
        _say(output, advise_split(len(free)), "")
    parts = [f"{_count(summary['usable'], 'usable case')} of {_count(summary['subjects'], 'subject')}"]
    parts += [f"{summary['test']} of them in the test part"] * (summary["test"] > 0)
    parts += [f"{summary['left_out']} left out"] * (summary["left_out"] > 0)
    parts += [f"{summary['unpaired']} not paired"] * (summary["unpaired"] > 0)
    warnings = sum(problem.severity == "warning" for problem in check.problems)
    parts += [_count(warnings, "warning")] if warnings else ["no warnings"]
    _say(output, "; ".join(parts), "")


def _show_cases(check: LabelledCheck, output: Output) -> None:
    subjects = {case.name: case.subject for case in check.folder.cases}
    with_subjects = len(set(subjects.values())) < len(subjects)
    with_parts = any(case.part == "test" for case in check.usable)
    with_classes = bool(check.folder.classes)
    headings = ["case"] + ["subject"] * with_subjects + ["part"] * with_parts + ["class"] * with_classes
    headings += ["voxels z,y,x", "mm x,y,z", "axes", "modality", "values 0.5 to 99.5 %"]
    with_labels = any(case.has_label for case in check.usable)
    headings += ["drawn", "ml"] * with_labels
    rows = []
    for case in check.usable:
        row = [case.name] + [subjects[case.name]] * with_subjects + [case.part] * with_parts
        row += [case.class_name or ""] * with_classes
        row += [_numbers(case.shape or ()), _numbers(case.spacing or ()), case.orientation or ""]
        row += [_modalities(case), _values(case)]
        if with_labels:
            total = sum(one.millilitres for one in case.structures)
            row += [_drawn(case), _millilitres(total) if case.has_label else ""]
        rows.append(row)
    output.table(headings, rows)


def _show_groups(cases: Sequence[CaseRecord], output: Output) -> None:
    groups: dict[tuple[str, ...], list[CaseRecord]] = {}
    for case in cases:
        key = (_modalities(case).replace("?", ""), _numbers(case.spacing or ()), case.orientation or "")
        groups.setdefault(key, []).append(case)
    rows = []
    for (modality, spacing, axes), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        shapes = [case.shape for case in found if case.shape]
        least, most = (
            [min(axis) for axis in zip(*shapes, strict=True)],
            [max(axis) for axis in zip(*shapes, strict=True)],
        )
        extent = _numbers(least) if least == most else f"{_numbers(least)} to {_numbers(most)}"
        example = found[0].name if len(found) == 1 else f"{found[0].name}, ..."
        rows.append((example, str(len(found)), extent, spacing, axes, modality))
    output.table(("cases", "number", "voxels z,y,x", "mm x,y,z", "axes", "modality"), rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        output.say(f"and {len(rows) - _MOST_ROWS} more kinds; --json tells every case")


def _show_structures(check: LabelledCheck, output: Output) -> None:
    if not check.structures:
        return
    # What is drawn nowhere stands among the problems.
    drawn = [one for one in check.structures if one.cases]
    rows = [
        (
            one.structure.name,
            str(one.structure.value),
            f"{one.cases} of {one.looked_for}",
            _millilitres(one.least),
            _millilitres(one.median),
            _millilitres(one.most),
        )
        for one in drawn[:_MOST_STRUCTURES]
    ]
    if rows:
        output.say("")
        output.table(("structure", "number", "cases", "ml least", "median", "most"), rows)
    if len(drawn) > _MOST_STRUCTURES:
        output.say(f"and {len(drawn) - _MOST_STRUCTURES} more structures; --json tells them all")


def _show_classes(classes: dict[str, int], output: Output) -> None:
    if classes:
        output.say("")
        output.table(("class", "cases"), [(name, str(count)) for name, count in classes.items()])
        _say(output, "Nothing here learns classes yet: finetune learns what is drawn.", "")


def _show_problems(problems: Sequence[Problem], check: LabelledCheck, output: Output) -> None:
    if not problems:
        return
    output.say("")
    output.say(click.style(f"{_HEADINGS[problems[0].severity]}:", bold=True))
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.kind, problem.fix), []).append(problem)
    for (_, fix), alike in groups.items():
        for problem in alike[:_MOST_ROWS]:
            if problem.severity == "left_out":
                _say(output, f"{_names(problem.cases)}: {problem.text}", "  ")
                continue
            _say(output, problem.text, "  ")
            # Not where it is everybody, or where the text names them.
            if len(problem.cases) < len(check.usable) and not all(name in problem.text for name in problem.cases):
                _say(output, f"cases: {_names(problem.cases)}", "    ")
        if len(alike) > _MOST_ROWS:
            output.say(f"  and {len(alike) - _MOST_ROWS} more; --json tells them all")
        _say(output, f"-> {fix}", "    ")


def _say(output: Output, text: str, indent: str) -> None:
    # Piped output keeps a sentence on one line, for grep.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    later = f"{indent}  " if indent else ""
    for line in text.splitlines():
        output.say(textwrap.fill(line, max(width, 40), initial_indent=indent, subsequent_indent=later))


def _names(cases: Sequence[str]) -> str:
    shown = ", ".join(cases[:_MOST_NAMES])
    return f"{shown} and {len(cases) - _MOST_NAMES} more" if len(cases) > _MOST_NAMES else shown


def _drawn(case: CaseRecord) -> str:
    if not case.has_label:
        return ""
    count = len(case.structures)
    return case.structures[0].name if count == 1 else f"{count} structures" if count else "nothing"


def _modalities(case: CaseRecord) -> str:
    return " ".join(f"{one.modality.upper()}{'?' if one.certainty < 0.6 else ''}" for one in case.channels)


def _values(case: CaseRecord) -> str:
    return ", ".join(f"{one.percentiles[1]:.4g} to {one.percentiles[3]:.4g}" for one in case.channels)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _millilitres(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _advance(bar: Any) -> None:
    next(bar, None)
