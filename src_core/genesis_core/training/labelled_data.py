"""From a labelled folder to cases ready to be sampled: found, checked, prepared, and known in figures.

A run that continues another one has a second folder, of corrected cases; `corrected_set` makes one set of the two.
People are told names of files, the run folder only pseudonyms: it may be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genesis_core.errors import SamplingError, SettingsError
from genesis_core.training.corrected_set import find_corrected, join_checks, join_folders, refuse_unknown
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.named_numbers import with_names
from genesis_core.training.set_facts import SetFacts, StructureFacts, Triple
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelledFolder
from genesis_core.volumes.labelled.check_records import CaseRecord, LabelledCheck
from genesis_core.volumes.labelled.checking import check_labelled
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.structure_names import IGNORE
from genesis_core.volumes.volume import Modality

# Called with the kind of an event, its values, and the sentence for the person, where it names a file.
Report = Callable[[str, dict[str, Any], str | None], None]
_AXES = ("LR", "PA", "SI")


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A labelled folder that was checked. cases: usable, to learn from. structures: to learn, in channel order.

    facts: the figures a plan is made from.
    """

    check: LabelledCheck
    cases: tuple[Case, ...]
    structures: tuple[Structure, ...]
    facts: SetFacts


def find_set(settings: FinetuneSettings) -> LabelledFolder:
    """Return the labelled folder of `settings.data`, by names alone; raises as `look_at_set` does for a wrong one.

    Of a run that continues another one: with the corrected cases, under names and pseudonyms of their own.
    """
    first, corrected = _find_folders(settings)
    return first if corrected is None else join_folders(first, corrected)


def look_at_set(
    settings: FinetuneSettings, report: Report, should_stop: Callable[[], bool] | None = None
) -> LabelledSet | None:
    """Find and check the labelled folder of `settings.data`; bad cases are reported and left out.

    Returns None if `should_stop` said so before all were read. Raises SettingsError if no folder is named or a
    structure is none of the set's, VolumeError if it has no known layout, SamplingError if no case is usable.
    """
    data = settings.data
    folder, corrected = _find_folders(settings)
    check = _check(folder, corrected, report, should_stop)
    if check is None:
        return None
    for problem in check.problems:
        if problem.severity != "note":
            ids = _ids(check, problem.cases)
            report("warning", {"step": 0, "message": f"{ids}{problem.kind.replace('_', ' ')}"}, _said(problem))
    cases = tuple(case for case in check.usable_cases if case.part == "training" and case.label is not None)
    if not cases:
        raise SamplingError(
            f"{data.labelled}: no case can be learnt from ({len(check.left_out)} are left out). "
            f"napari-genesis inspect {data.labelled} --labelled says why, and what to do"
        )
    structures = _chosen(check, data.structures)
    names = {case.name for case in cases}
    records = [record for record in check.usable if record.name in names]
    modality = _modality(records, data.modality)
    return LabelledSet(check, cases, structures, _facts(records, cases, structures, modality, folder.channels))


def _find_folders(settings: FinetuneSettings) -> tuple[LabelledFolder, LabelledFolder | None]:
    """Return the labelled folder, and that of the corrected cases, if there is one, still under its own names."""
    data, rounds = settings.data, settings.rounds
    if data.labelled is None:
        raise SettingsError("no labelled cases: name the labelled folder to learn from")
    if rounds is not None and not data.labelled.exists():
        raise SettingsError(
            f"{data.labelled}: the labelled cases that {rounds.previous.name} learnt from are not there; if the folder "
            "was moved, name it: --set data.labelled=FOLDER"
        )
    first = find_labelled(
        data.labelled,
        layout=data.layout,
        labels=data.labels,
        subject_pattern=data.subject_pattern,
        subjects=data.subjects,
    )
    first = with_names(first, data.names)
    if rounds is None or rounds.corrected is None:
        return first, None
    return first, find_corrected(rounds.corrected, first, subject_pattern=data.subject_pattern, subjects=data.subjects)


def _check(
    first: LabelledFolder, corrected: LabelledFolder | None, report: Report, should_stop: Callable[[], bool] | None
) -> LabelledCheck | None:
    """Read both folders, each by its own list of structures, and return them as one set; None if asked to stop."""
    total = len(first.cases) + (0 if corrected is None else len(corrected.cases))

    def checked(folder: LabelledFolder, before: int) -> LabelledCheck | None:
        check = check_labelled(
            folder,
            progress=lambda done, _: report("preparing", {"done": before + done, "total": total}, None),
            should_stop=should_stop,
        )
        return None if check.stopped else check

    check = checked(first, 0)
    if check is None or corrected is None:
        return check
    more = checked(corrected, len(first.cases))
    if more is None:
        return None
    refuse_unknown(more, check)
    return join_checks(check, more)


def _chosen(check: LabelledCheck, names: Sequence[str]) -> tuple[Structure, ...]:
    there = {record.structure.name: record for record in check.structures}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SettingsError(
            f"data.structures: {', '.join(unknown)} is none of the set's; it has {', '.join(there) or 'none'}"
        )
    wanted = list(names) or [name for name, record in there.items() if record.cases]
    if not [name for name in wanted if name.lower() != IGNORE]:
        raise SamplingError("no structure is drawn in any usable case: there is nothing to learn")
    if names:
        # Places marked as not annotated stay unknown, whatever is learnt.
        wanted += [name for name in there if name.lower() == IGNORE and name not in names]
    return tuple(there[name].structure for name in wanted)


def _modality(records: Sequence[CaseRecord], asked: str) -> Modality:
    if asked in ("ct", "mr"):
        return "ct" if asked == "ct" else "mr"
    found = {channel.modality for record in records for channel in record.channels}
    if len(found) > 1:
        count = sum(record.modality == "ct" for record in records)
        raise SettingsError(
            f"{count} of {len(records)} cases look like CT and the others like MR, but one intensity mapping must "
            "serve all: set --modality to ct or mr, or keep them apart"
        )
    return found.pop()


def _facts(
    records: Sequence[CaseRecord],
    cases: Sequence[Case],
    structures: Sequence[Structure],
    modality: Modality,
    channels: tuple[str, ...],
) -> SetFacts:
    shapes, spacings = zip(*(_in_lps(record) for record in records), strict=True)
    facts = []
    for structure in structures:
        drawn = [one for record in records for one in record.structures if one.name == structure.name]
        if structure.name.lower() != IGNORE and drawn:
            extent = np.percentile([one.extent for one in drawn], 90, axis=0)
            volume = float(np.median([one.millilitres for one in drawn]))
            facts.append(
                StructureFacts(
                    structure.name, len(drawn), (float(extent[0]), float(extent[1]), float(extent[2])), volume
                )
            )
    subjects = len({case.subject for case in cases})
    ranges = _percentile_ranges(records)
    return SetFacts(modality, tuple(shapes), tuple(spacings), subjects, tuple(facts), channels, ranges)


def _percentile_ranges(records: Sequence[CaseRecord]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return, per channel, the least and the largest 0.5th, 50th and 99.5th percentile over the cases."""
    channels = zip(*(record.channels for record in records), strict=True)
    ranges = []
    for one in channels:
        inner = np.asarray([channel.percentiles[1:4] for channel in one])
        ranges.append(tuple((float(low), float(high)) for low, high in zip(inner.min(0), inner.max(0), strict=True)))
    return tuple(ranges)


def _in_lps(record: CaseRecord) -> tuple[tuple[int, int, int], Triple]:
    """Return shape (z, y, x) and spacing (x, y, z) as they are once the axes are turned to LPS."""
    assert record.orientation is not None
    assert record.shape is not None
    assert record.spacing is not None
    order = [next(i for i, code in enumerate(record.orientation) if code in pair) for pair in _AXES]
    size = record.shape[::-1]
    return (
        (size[order[2]], size[order[1]], size[order[0]]),
        (record.spacing[order[0]], record.spacing[order[1]], record.spacing[order[2]]),
    )


def _ids(check: LabelledCheck, names: Sequence[str]) -> str:
    known = {record.name: record.id for record in check.cases}
    ids = [known[name] for name in names if name in known]
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"{', '.join(ids[:3])}{more}: " if ids else ""


def _said(problem: Any) -> str:
    more = f" and {len(problem.cases) - 3} more" if len(problem.cases) > 3 else ""
    where = f"{', '.join(problem.cases[:3])}{more}: " if problem.cases else ""
    return f"{where}{problem.text} {problem.fix}"
