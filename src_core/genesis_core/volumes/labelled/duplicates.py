"""The same voxels under two names: scans and labels are compared by what they hold, not by their files.

A fingerprint is a hash of the voxels after reading, brought to one orientation and one type, so a scan that was saved
again in another format, type or axis order is found. The grid is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from genesis_core.volumes.labelled.check_records import CaseRecord, Problem


@dataclass(frozen=True)
class Seen:
    """What two sets are compared by. subject: its pseudonym (`subject_id`). images: fingerprints of its scans."""

    name: str
    subject: str
    images: frozenset[str]


@dataclass(frozen=True)
class Shared:
    """Something of the first set met in the second: their names, and what is the same."""

    first: str
    second: str
    by: Literal["the same scan", "the same subject"]


def find_duplicates(cases: Sequence[CaseRecord]) -> list[Problem]:
    """Name cases that hold the same scan, the same label, or both, and cases with one image twice."""
    problems = []
    for case in cases:
        prints = _images(case)
        if len(set(prints)) < len(prints):
            problems.append(
                Problem(
                    "same_channels",
                    "warning",
                    (case.name,),
                    "Two of its images hold the same voxels.",
                    "Put the right image in place of one of them, or leave that channel out of the whole set.",
                )
            )
    together: set[frozenset[str]] = set()
    for group in _groups((print_, case) for case in cases for print_ in set(_images(case))):
        names = tuple(case.name for case in group)
        if frozenset(names) in together:
            continue
        together.add(frozenset(names))
        if len({case.label for case in group}) == 1 and len({case.class_name for case in group}) == 1:
            problems.append(
                Problem(
                    "same_case",
                    "warning",
                    names,
                    "The same scan with the same label, under several names.",
                    f"Delete all but one. Until then {_kept(group)}.",
                )
            )
        else:
            what = "labels" if any(case.label for case in group) else "classes"
            problems.append(
                Problem(
                    "same_image",
                    "warning",
                    names,
                    f"The same scan with different {what}.",
                    f"If one is wrong, delete it; if two people drew, keep one of them for training. Until then "
                    f"{_kept(group)}.",
                )
            )
    for group in _groups((case.label, case) for case in cases if case.label):
        names = tuple(case.name for case in group)
        if frozenset(names) not in together:
            problems.append(
                Problem(
                    "same_label",
                    "warning",
                    names,
                    "Exactly the same label on different scans.",
                    "Look at them: a label was probably saved under the wrong name. It is right only where scans of "
                    "one subject were registered to each other; give these one subject then (--subjects).",
                )
            )
    return problems


def same_subject(cases: Sequence[CaseRecord]) -> dict[str, str]:
    """Return for each subject the one it is joined with: those whose cases hold the same scan become one."""
    leader = {case.subject: case.subject for case in cases}

    def find(subject: str) -> str:
        while leader[subject] != subject:
            subject = leader[subject]
        return subject

    for group in _groups((print_, case) for case in cases for print_ in set(_images(case))):
        found = sorted({find(case.subject) for case in group})
        for other in found[1:]:
            leader[other] = found[0]
    return {subject: find(subject) for subject in leader}


def seen_in(cases: Iterable[CaseRecord]) -> list[Seen]:
    """Return what `shared_subjects` compares, of cases that were checked."""
    return [Seen(case.name, case.subject, frozenset(_images(case))) for case in cases]


def shared_subjects(first: Iterable[Seen], second: Iterable[Seen]) -> list[Shared]:
    """Return what of `second` is in `first` as well, by the voxels of a scan, else by the name of the subject.

    To tell, for instance, that pre-training saw scans that a target task is tested on.
    """
    by_image: dict[str, str] = {}
    by_subject: dict[str, str] = {}
    for one in first:
        by_subject.setdefault(one.subject, one.name)
        for print_ in one.images:
            by_image.setdefault(print_, one.name)
    found = []
    for one in second:
        same = sorted(by_image[print_] for print_ in one.images if print_ in by_image)
        if same:
            found.append(Shared(same[0], one.name, "the same scan"))
        elif one.subject in by_subject:
            found.append(Shared(by_subject[one.subject], one.name, "the same subject"))
    return found


def _kept(group: Sequence[CaseRecord]) -> str:
    if len({case.part for case in group}) > 1:
        return "those outside the test part are not used"
    return "they are kept on one side of every split"


def _images(case: CaseRecord) -> list[str]:
    # A scan without content is the same as any other such scan, and told of elsewhere.
    return [channel.fingerprint for channel in case.channels if not channel.is_constant]


def _groups(pairs: Iterable[tuple[str, CaseRecord]]) -> list[list[CaseRecord]]:
    groups: dict[str, list[CaseRecord]] = {}
    for print_, case in pairs:
        groups.setdefault(print_, []).append(case)
    return [group for group in groups.values() if len(group) > 1]
