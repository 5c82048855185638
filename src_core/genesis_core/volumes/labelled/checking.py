"""The check of a labelled folder: every case read whole, what is wrong named, and what to do about it.

Cases that cannot be used are left out and named; nothing is raised for them. What was read is remembered by size and
time of its files, so that a second check costs no reading.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from statistics import median

from genesis_core.parallel import for_each
from genesis_core.remembered import Remembered
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import LabelledFolder
from genesis_core.volumes.labelled.case_check import VERSION, check_case, refused
from genesis_core.volumes.labelled.check_records import CaseRecord, LabelledCheck, StructureRecord
from genesis_core.volumes.labelled.duplicates import find_duplicates, same_subject
from genesis_core.volumes.labelled.label_list import join_lists
from genesis_core.volumes.labelled.outliers import unlike_the_others
from genesis_core.volumes.labelled.set_problems import problems_of_set
from genesis_core.volumes.labelled.splitting import subject_id
from genesis_core.volumes.structure_names import is_unnamed

_log = logging.getLogger(__name__)
_ORDER = ("left_out", "warning", "note")


def check_labelled(
    folder: LabelledFolder,
    *,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    remember: bool = True,
) -> LabelledCheck:
    """Read every case of a labelled folder and return what it holds, what is wrong with it, and the fixes.

    threads: cases read at once; each holds one case in memory. progress: called as (done, all). should_stop: once it
    says so, the check ends with the cases read so far, and `stopped` is set. remember: use what was found before on
    files that are untouched since; what is found now is kept either way.
    """
    store = Remembered("labelled_case", VERSION, fresh=not remember)
    found: dict[int, tuple[CaseRecord, tuple[Structure, ...]]] = {}
    try:
        for index, result in for_each(
            folder.cases,
            lambda case: check_case(case, folder, store),
            threads=threads,
            progress=progress,
            should_stop=should_stop,
        ):
            if isinstance(result, Exception):
                _log.error("%s could not be checked", folder.cases[index].id, exc_info=result)
                found[index] = refused(folder.cases[index], result), ()
            else:
                found[index] = result
    finally:
        store.close()
    records = [found[index][0] for index in sorted(found)]
    lists = [found[index][1] for index in sorted(found)]
    return _summarise(folder, records, lists, stopped=len(found) < len(folder.cases))


def _summarise(
    folder: LabelledFolder, records: Sequence[CaseRecord], lists: Sequence[Sequence[Structure]], *, stopped: bool
) -> LabelledCheck:
    usable = [record for record in records if record.is_usable]
    structures = _structures(folder, usable, lists)
    problems = [
        *problems_of_set(folder, records, structures),
        *find_duplicates(usable),
        *unlike_the_others(usable, folder.channels),
    ]
    joined = same_subject(usable)
    names = {record.name for record in usable}
    keys = {subject_id(case.subject): case.subject for case in folder.cases}
    return LabelledCheck(
        folder,
        tuple(records),
        tuple(
            replace(case, subject=keys[joined[subject_id(case.subject)]]) for case in folder.cases if case.name in names
        ),
        structures,
        tuple(sorted(problems, key=lambda problem: _ORDER.index(problem.severity))),
        stopped,
    )


def _structures(
    folder: LabelledFolder, usable: Sequence[CaseRecord], lists: Sequence[Sequence[Structure]]
) -> tuple[StructureRecord, ...]:
    """Count the structures of the folder's list; where it has none, those that the labels name."""
    records = []
    for structure in folder.structures or _found(lists):
        having = [(case.subject, drawn) for case in usable for drawn in case.structures if drawn.name == structure.name]
        sizes = [drawn.millilitres for _, drawn in having]
        looked_for = sum(case.was_looked_for(structure.name) for case in usable)
        extent = (min(sizes), median(sizes), max(sizes)) if sizes else (None, None, None)
        subjects = len({subject for subject, _ in having})
        records.append(StructureRecord(structure, len(having), subjects, looked_for, *extent))
    return tuple(records)


def _found(lists: Sequence[Sequence[Structure]]) -> list[Structure]:
    """Return the structures that the cases' labels list, each with a number of its own.

    Those of the files, where they agree; else named ones are numbered anew, around the numbers that have no name.
    """
    first: dict[str, Structure] = {}
    for structure in (one for members in lists for one in members):
        first.setdefault(structure.name, structure)
    values = {(one.name, one.value) for members in lists for one in members}
    if len(values) == len(first) == len({value for _, value in values}):
        return sorted(first.values(), key=lambda one: (one.layer, one.value))
    unnamed = sorted((one for one in first.values() if is_unnamed(one)), key=lambda one: one.value)
    taken = {one.value for one in unnamed}
    free = (number for number in count(1) if number not in taken)
    named = join_lists([one for one in members if not is_unnamed(one)] for members in lists)
    return [*unnamed, *(replace(one, value=number) for one, number in zip(named, free, strict=False))]
