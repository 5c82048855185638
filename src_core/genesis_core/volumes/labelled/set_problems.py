"""Problems of a labelled set as a whole: what is left out, labels, rare structures and classes, subjects."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genesis_core.volumes.labelled.case import LabelledFolder
from genesis_core.volumes.labelled.check_records import CaseRecord, Problem, ProblemKind, StructureRecord
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.labelled.subjects import suspicious_subjects
from genesis_core.volumes.structure_names import IGNORE

# With fewer subjects, that a structure occurs in one of them says nothing.
_ENOUGH_SUBJECTS = 3
_FIXES: dict[ProblemKind, str] = {
    "grids_differ": "Take the label that was drawn on this very image, or resample it with the tool that made it.",
    "unreadable": "Mend it as said and check again: only files that changed are read.",
    "unlabelled": "Add its label or class, or leave the case where it is.",
}
_NUMBERS = re.compile(r"[-+]?\d[\d.,]*")


def problems_of_set(
    folder: LabelledFolder, records: Sequence[CaseRecord], structures: Sequence[StructureRecord]
) -> list[Problem]:
    """Return what is wrong with a set, judged by the records of all its cases and of its structures."""
    usable = [record for record in records if record.is_usable]
    return [
        *_left_out(folder, records),
        *_labels(usable),
        *_rare_structures(usable, structures),
        *_rare_classes(folder, usable),
        *_subjects(folder, usable),
        *_notes_of_reading(usable),
    ]


def _left_out(folder: LabelledFolder, records: Sequence[CaseRecord]) -> list[Problem]:
    problems = [
        Problem("unpaired", "left_out", (name,), f"{reason}.".replace("..", "."), "Add or rename the file it needs.")
        for name, reason in folder.left_out
    ]
    for record in records:
        if record.is_usable:
            continue
        kind = record.misfit or "unreadable"
        problems.append(Problem(kind, "left_out", (record.name,), f"{record.reason}.".replace("..", "."), _FIXES[kind]))
    return problems


def _labels(usable: Sequence[CaseRecord]) -> list[Problem]:
    problems = []
    empty = tuple(case.name for case in usable if case.has_label and not case.structures and not case.outside)
    if empty:
        problems.append(
            Problem(
                "empty",
                "warning",
                empty,
                "Nothing is drawn in the label.",
                "Right where nothing is to be found; otherwise draw it, or take the case out: it teaches that there "
                "is nothing.",
            )
        )
    values: dict[int, list[str]] = {}
    for case in usable:
        for value, _ in case.outside:
            values.setdefault(value, []).append(case.name)
    groups: dict[tuple[str, ...], list[int]] = {}
    for value, names in values.items():
        groups.setdefault(tuple(names), []).append(value)
    for cases, numbers in groups.items():
        told = some([str(number) for number in numbers], 8)
        voxels = sum(
            count for case in usable if case.name in cases for value, count in case.outside if value in numbers
        )
        problems.append(
            Problem(
                "outside_list",
                "warning",
                cases,
                f"Number{'s' * (len(numbers) > 1)} {told} in the label, not in the list of structures "
                f"({voxels:,} voxels): taken as background.",
                "Name them in the list of structures, or mend the label.",
            )
        )
    return problems


def _rare_structures(usable: Sequence[CaseRecord], structures: Sequence[StructureRecord]) -> list[Problem]:
    problems = []
    structures = [record for record in structures if record.structure.name.lower() != IGNORE]
    never = [record.structure.name for record in structures if not record.cases]
    if never and usable:
        problems.append(
            Problem(
                "rare_structure",
                "warning",
                (),
                f"In the list of structures but drawn nowhere: {some(never, 6)}.",
                "Take them off the list: nothing can be learnt of them. If they are drawn, see whether their numbers "
                "are right.",
            )
        )
    once = [record.structure.name for record in structures if record.subjects == 1]
    if once and len({case.subject for case in usable}) >= _ENOUGH_SUBJECTS:
        named = set(once)
        cases = tuple(case.name for case in usable if named & {drawn.name for drawn in case.structures})
        problems.append(
            Problem(
                "rare_structure",
                "warning",
                cases,
                f"Drawn in one subject only: {some(once, 6)}.",
                "They are kept in training, so how well they are learnt cannot be measured; add cases, or leave them "
                "off the list.",
            )
        )
    return problems


def _rare_classes(folder: LabelledFolder, usable: Sequence[CaseRecord]) -> list[Problem]:
    subjects = {
        name: {case.subject for case in usable if case.class_name == name and case.part == "training"}
        for name in folder.classes
    }
    rare = [f"{name} ({len(found)})" for name, found in subjects.items() if len(found) < 2]
    if not rare:
        return []
    return [
        Problem(
            "rare_class",
            "warning",
            tuple(case.name for case in usable if case.class_name and len(subjects.get(case.class_name, ())) < 2),
            f"Classes with fewer than two subjects to train and validate with: {some(rare, 6)}.",
            "Add cases of them, or join them with another class.",
        )
    ]


def _subjects(folder: LabelledFolder, usable: Sequence[CaseRecord]) -> list[Problem]:
    problems = [
        Problem(
            "subjects",
            "warning",
            (),
            told,
            "Say whom the cases belong to (--subject-pattern, or a table with --subjects), unless it is a coincidence.",
        )
        for told in suspicious_subjects(folder.cases)
    ]
    tested = {case.subject for case in usable if case.part == "test"}
    shared = tuple(case.name for case in usable if case.part == "training" and case.subject in tested)
    if shared:
        problems.append(
            Problem(
                "subject_in_parts",
                "warning",
                shared,
                "Subjects with cases both in the test part and outside it.",
                "Move all cases of a subject to one part. Until then those outside the test part are not used.",
            )
        )
    return problems


def _notes_of_reading(usable: Sequence[CaseRecord]) -> list[Problem]:
    """Tell what reading changed or noticed, once for cases where it is the same but for numbers."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for case in usable:
        for note in case.notes:
            alike.setdefault(_NUMBERS.sub("#", note), []).append((case.name, note))
    problems = []
    for found in alike.values():
        names = tuple(dict.fromkeys(name for name, _ in found))
        text = found[0][1] + (f" ({names[0]}; alike in the others)" if len({note for _, note in found}) > 1 else "")
        problems.append(Problem("reading", "note", names, text, "See whether that is meant."))
    return problems
