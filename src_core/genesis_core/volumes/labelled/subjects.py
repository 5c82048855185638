"""Whom a case belongs to, so that one subject's cases stay together in every split.

In this order: what the caller or a table says; the patient's number of DICOM files, hashed; a pattern on the case's
name; else the case's own name. What merely looks like one subject is told, and never applied without being asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.labelled.folder_listing import same, stem
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.labelled.rows import read_rows

_NAME_COLUMNS = ("name", "case", "case_id", "id", "image")
_SUBJECT_COLUMNS = ("subject", "subject_id", "patient", "patient_id", "head")
# What tells images of one subject apart, as people and BIDS write it: (what it is, a pattern whose group is the rest).
_VISITS = "ses|session|visit|week|month|day|time|tp|study|scan|frame|phase|followup|baseline"
_SEQUENCES = "t1|t1w|t1c|t1ce|t2|t2w|t2s|flair|dwi|adc|pd|ct|mr|mri|pet"
_PARTS = ("train", "training", "val", "validation", "test", "testing")
# More cases than this in a folder on average are rather a site's than a subject's.
_FEW = 4
_SIGNS = (
    ("a BIDS subject", r"(?:^|.*[/_])(sub-[A-Za-z0-9]+)(?:[/_].*)"),
    ("a session or visit", rf"(.+?)[-_. /](?:(?:{_VISITS})[-_]?\d*|[vt]\d{{1,2}})(?:[-_. /].*)?"),
    ("a side", r"(.+?)[-_. /]?(?:left|right|lh|rh|[-_. ][lr])(?:[-_. /].*)?"),
    ("a sequence or modality", rf"(.+?)[-_. /](?:{_SEQUENCES})(?:[-_. /].*)?"),
    ("the folder they lie in", r"(.+)/(?:[^/]+)"),
    ("a last number", r"(.*\d.*?)[-_. ](?:\d{1,2}|[a-c])"),
)


def read_subjects(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the subject of each case from a table with a column name and a column subject.

    Raises VolumeError naming the line if a cell is empty or a case is given two subjects.
    """
    path = Path(path)
    rows = read_rows(path)
    name, subject = (
        next((column for column in wanted if column in rows.columns), None)
        for wanted in (_NAME_COLUMNS, _SUBJECT_COLUMNS)
    )
    if name is None or subject is None:
        raise VolumeError(
            f"{path}: line 1 must name the columns name and subject; its columns are: {some(rows.columns, 12)}"
        )
    found: dict[str, str] = {}
    for row in rows.rows:
        key, value = row.cells[name], row.cells[subject]
        if not key or not value:
            raise VolumeError(f"{path}: line {row.line}, column {subject if key else name}: the cell is empty")
        if found.setdefault(key, value) != value:
            raise VolumeError(f"{path}: line {row.line}: {key} belongs to {found[key]} already, and not to {value}")
    return found


def assign_subjects(
    cases: Sequence[Case], *, pattern: str | None = None, subjects: Mapping[str, str] | None = None
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Return the cases with a subject each, and sentences on those for which the pattern or the mapping said nothing.

    pattern: a regular expression with one group, the subject, searched in a case's name. subjects: case name to
    subject; an image's file name without ending will do as well. Raises VolumeError if the pattern is no such
    expression, or nothing fits.
    """
    wanted = {same(name): subject for name, subject in (subjects or {}).items()}
    search = _compiled(pattern) if pattern is not None else None
    found, without_mapping, without_pattern, used = [], [], [], set()
    for case in cases:
        names = (case.name, case.name.rpartition("/")[2], *(stem(image.path.name) for image in case.images))
        keys = [key for key in map(same, names) if key in wanted]
        hit = search.search(case.name) if search else None
        used |= set(keys[:1])
        if keys:
            subject = wanted[keys[0]]
        else:
            without_mapping.append(case.name)
            subject = case.subject or (hit[1] if hit and hit[1] else case.name)
            if search and not case.subject and not (hit and hit[1]):
                without_pattern.append(case.name)
        found.append(replace(case, subject=subject))
    if wanted and not used:
        raise VolumeError(
            f"no case is called like one of the {len(wanted)} names that subjects were given for: cases are called "
            f"{some([case.name for case in cases])}, the names given are {some(list(subjects or {}))}"
        )
    if search and len(without_pattern) == len(cases):
        raise VolumeError(
            f"the pattern for subjects {pattern!r} fits no case; they are called {some([case.name for case in cases])}"
        )
    notes = []
    if wanted and without_mapping:
        notes.append(f"{len(without_mapping)} cases have no subject in what was given: {some(without_mapping)}.")
    if unused := sorted(set(wanted) - used):
        notes.append(f"{len(unused)} names with a subject are no case here: {some(unused)}.")
    if without_pattern:
        notes.append(
            f"The pattern {pattern!r} does not fit {len(without_pattern)} cases, each taken as a subject of its own: "
            f"{some(without_pattern)}."
        )
    return tuple(found), tuple(notes)


def suspicious_subjects(cases: Sequence[Case]) -> tuple[str, ...]:
    """Return sentences on cases that look like one subject's by their names but count as several, with a pattern.

    Only names are looked at; successive numbers alone ("head_001", "head_002") say nothing and are not told.
    """
    told = []
    known: set[frozenset[str]] = set()
    # Where somebody said whom a case belongs to, its name says nothing more.
    cases = [case for case in cases if case.subject == case.name]
    for what, pattern in _SIGNS:
        groups: dict[str, list[Case]] = {}
        for case in cases:
            if hit := re.fullmatch(pattern, case.name, re.IGNORECASE):
                groups.setdefault(hit[1], []).append(case)
        apart = {key: members for key, members in groups.items() if len({case.subject for case in members}) > 1}
        # A word that all names share tells no subjects apart ("scan_ct_1", "scan_ct_2").
        if what == "the folder they lie in" and not _small_folders(groups):
            continue
        if not apart or (len(groups) == 1 and len(cases) > 2 and what != "a BIDS subject"):
            continue
        names = frozenset(case.name for members in apart.values() for case in members)
        if names in known:
            continue
        known.add(names)
        first = next(iter(apart.values()))
        told.append(
            f"{len(names)} cases look like {len(apart)} subjects, told apart by {what} "
            f"({some([case.name for case in first])}), but each counts as a subject of its own, so that one subject "
            f"may be trained and validated on. If they belong together, give subject_pattern={f'(?i)^{pattern}$'!r}, "
            "or the subjects in a table."
        )
    return tuple(told)


def _small_folders(groups: Mapping[str, Sequence[Case]]) -> bool:
    """Whether folders rather hold one subject each than a part of the set or a site."""
    if any(same(folder.rpartition("/")[2]) in _PARTS for folder in groups):
        return False
    return len(groups) > 1 and sum(map(len, groups.values())) <= _FEW * len(groups)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as problem:
        raise VolumeError(f"the pattern for subjects {pattern!r} is no regular expression: {problem}") from None
    if compiled.groups != 1:
        raise VolumeError(
            f"the pattern for subjects {pattern!r} has {compiled.groups} groups in round brackets; one is needed, the "
            "subject, as in '(sub-\\d+)_'"
        )
    return compiled
