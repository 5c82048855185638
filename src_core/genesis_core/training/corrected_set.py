"""One set of two labelled folders: the cases of a run, and those corrected since, which join its training.

Structures are matched by name, never by number. Corrected cases get names and pseudonyms of their own, so that none is
taken for a case of the first folder; subjects keep their names, so that one person is one subject in both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

from genesis_core.errors import SamplingError, SettingsError, VolumeError
from genesis_core.training.round_chain import CORRECTED
from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelledFolder
from genesis_core.volumes.labelled.check_records import CaseRecord, LabelledCheck, Problem, StructureRecord
from genesis_core.volumes.labelled.duplicates import find_duplicates, same_subject
from genesis_core.volumes.labelled.finding import find_labelled
from genesis_core.volumes.labelled.layout import case_id, some
from genesis_core.volumes.labelled.splitting import subject_id
from genesis_core.volumes.labelled.subjects import assign_subjects, read_subjects
from genesis_core.volumes.structure_names import IGNORE

# Within the joined set a corrected case is called like a file of this folder.
_FOLDER = "corrected/"
# Where a review writes of each case that it accepted what it was called, and its files.
PROVENANCE = "provenance.jsonl"


def find_corrected(
    path: Path, first: LabelledFolder, *, subject_pattern: str | None, subjects: str | os.PathLike[str] | None
) -> LabelledFolder:
    """Return the labelled folder of corrected cases, by names alone; its cases have pseudonyms of their own.

    first: the folder they join. subject_pattern, subjects: how that folder's subjects are told; used here where they
    fit what a case was called when it was reviewed, or is called here. Raises VolumeError as `find_labelled` does,
    SettingsError if the cases have another number of channels.
    """
    folder, notes = find_labelled(path), tuple[str, ...]()
    if subject_pattern is not None or subjects is not None:
        folder, notes = _with_subjects(folder, subject_pattern, None if subjects is None else read_subjects(subjects))
    if len(folder.channels) != len(first.channels):
        raise SettingsError(
            f"{path}: its cases have {len(folder.channels)} images ({some(folder.channels)}), those of the run have "
            f"{len(first.channels)} ({some(first.channels)}); they cannot be learnt together"
        )
    order = _order(folder.channels, first.channels)
    cases = tuple(
        replace(
            case,
            id=CORRECTED + case_id(case.name).removeprefix("case_"),
            images=tuple(case.images[index] for index in order),
            # The numbers of a label without names of its own are those of this folder, not of the first one.
            numbering=case.numbering or folder.structures or None,
        )
        for case in folder.cases
    )
    return replace(folder, channels=first.channels, cases=cases, notes=(*folder.notes, *notes))


def _with_subjects(
    folder: LabelledFolder, pattern: str | None, subjects: Mapping[str, str] | None
) -> tuple[LabelledFolder, tuple[str, ...]]:
    """Return the folder with the subject of each case, and what a user should know of them."""
    reviewed = _names_when_reviewed(folder.root)
    subjects_told: dict[str, str] = {}
    # What is not in the table may still fit the pattern.
    ways = [(None, subjects)] * (subjects is not None) + [(pattern, None)] * (pattern is not None)
    for case in folder.cases:
        # Without a subject of its own, unless its files name one.
        plain = replace(case, subject="" if case.subject == case.name else case.subject)
        called = dict.fromkeys((reviewed.get(_label_file(case), case.name), case.name))
        for (search, table), name in product(ways, called):
            try:
                (found,), _ = assign_subjects([replace(plain, name=name)], pattern=search, subjects=table)
            except VolumeError:
                continue
            subjects_told.setdefault(case.name, found.subject)
    apart = [case.name for case in folder.cases if case.name not in subjects_told]
    notes: tuple[str, ...] = ()
    if apart:
        which = "The" if len(apart) == len(folder.cases) else f"{len(apart)}"
        notes = (
            f"{which} corrected cases are called otherwise than the first ones: each is taken for its own subject "
            f"({some(apart)}).",
        )
    cases = tuple(replace(case, subject=subjects_told.get(case.name, case.subject)) for case in folder.cases)
    return replace(folder, cases=cases), notes


def _names_when_reviewed(root: Path) -> dict[Path, str]:
    """Return what cases were called before, by the files of their labels: within this folder names have no folders."""
    try:
        lines = (root / PROVENANCE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        # Not every folder of corrected cases comes from a review.
        return {}
    names = {}
    for text in lines:
        try:
            line = json.loads(text)
            names[root / line["label"]] = str(line["case"])
        except (ValueError, KeyError, TypeError):
            # A line that tells of an undone decision, or was cut short.
            continue
    return names


def _label_file(case: Case) -> Path:
    return Path() if case.label is None else case.label.parts[0][1].path


def _order(own: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Return where each wanted channel stands; by position where the two do not have the same names."""
    same = len(set(own)) == len(own) and sorted(own) == sorted(wanted)
    return [own.index(name) for name in wanted] if same else list(range(len(own)))


def join_folders(first: LabelledFolder, corrected: LabelledFolder) -> LabelledFolder:
    """Return one folder with the cases of both, the corrected ones under names that no other case has."""
    names = _names(first, corrected)
    return replace(
        first,
        cases=(*first.cases, *(replace(case, name=names[case.name]) for case in corrected.cases)),
        left_out=(*first.left_out, *((_FOLDER + name, reason) for name, reason in corrected.left_out)),
        notes=(*first.notes, *corrected.notes),
    )


def refuse_unknown(corrected: LabelledCheck, first: LabelledCheck) -> None:
    """Raise SettingsError if corrected labels name what the first set has not, SamplingError if none can teach."""
    root = corrected.folder.root
    known = [record.structure.name for record in first.structures if record.structure.name.lower() != IGNORE]
    own = [record.structure.name for record in corrected.structures]
    unknown = [name for name in own if name not in known and name.lower() != IGNORE]
    if unknown:
        raise SettingsError(
            f"{root}: {some([repr(name) for name in unknown])} is no structure of the run, which knows "
            f"{', '.join(known)}: rename it in the corrected labels"
        )
    if not any(record.is_usable and record.has_label and record.part == "training" for record in corrected.cases):
        raise SamplingError(
            f"{root}: no corrected case can be learnt from ({len(corrected.left_out)} are left out). napari-genesis "
            f"inspect {root} --labelled says why, and what to do"
        )


def join_checks(first: LabelledCheck, corrected: LabelledCheck) -> LabelledCheck:
    """Return the check of the joined set. Cases of both folders that share a scan are one subject."""
    names = _names(first.folder, corrected.folder)
    folder = join_folders(first.folder, corrected.folder)
    ids = {case.name: case.id for case in folder.cases}
    added = [replace(record, name=names[record.name], id=ids[names[record.name]]) for record in corrected.cases]
    records = (*first.cases, *added)
    usable = [record for record in records if record.is_usable]
    joined = same_subject(usable)
    keys = {subject_id(case.subject): case.subject for case in folder.cases}
    usable_names = {record.name for record in usable}
    return LabelledCheck(
        folder,
        records,
        tuple(
            replace(case, subject=keys[joined[subject_id(case.subject)]])
            for case in folder.cases
            if case.name in usable_names
        ),
        _structures(first, corrected, usable),
        (*first.problems, *_renamed(corrected.problems, names), *_met_in_both(usable, set(names.values()))),
    )


def _names(first: LabelledFolder, corrected: LabelledFolder) -> dict[str, str]:
    """Return what each corrected case is called in the joined set."""
    taken = {case.name for case in first.cases}
    prefix = _FOLDER
    while any(prefix + case.name in taken for case in corrected.cases):
        prefix += _FOLDER
    return {case.name: prefix + case.name for case in corrected.cases}


def _renamed(problems: Iterable[Problem], names: dict[str, str]) -> list[Problem]:
    return [
        replace(problem, cases=tuple(names.get(name, _FOLDER + name) for name in problem.cases)) for problem in problems
    ]


def _met_in_both(usable: list[CaseRecord], corrected: set[str]) -> list[Problem]:
    """Return the duplicates that only show when both sets are looked at."""
    return [
        problem for problem in find_duplicates(usable) if 0 < len(corrected & set(problem.cases)) < len(problem.cases)
    ]


def _structures(
    first: LabelledCheck, corrected: LabelledCheck, usable: list[CaseRecord]
) -> tuple[StructureRecord, ...]:
    """Count the structures over both sets."""
    looked_for: dict[str, int] = {}
    structures: dict[str, Structure] = {}
    for record in (*first.structures, *corrected.structures):
        name = record.structure.name
        looked_for[name] = looked_for.get(name, 0) + record.looked_for
        structures.setdefault(name, record.structure)
    records = []
    for name, structure in structures.items():
        having = [(case.subject, drawn) for case in usable for drawn in case.structures if drawn.name == name]
        sizes = [drawn.millilitres for _, drawn in having]
        extent = (min(sizes), median(sizes), max(sizes)) if sizes else (None, None, None)
        subjects = len({subject for subject, _ in having})
        records.append(StructureRecord(structure, len(having), subjects, looked_for[name], *extent))
    return tuple(records)
