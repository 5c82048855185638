"""Who trains, who validates, who is kept for the test: whole subjects, never two scans of one person on two sides.

Subjects are ranked by a hash of (seed, subject), so the split is the same on any file system and in any order of the
cases. It then gives way, as little as possible, for every structure or class to be on both sides.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from genesis_core.errors import VolumeError
from genesis_core.randomness import stream
from genesis_core.volumes.labelled.case import Case

Side = Literal["training", "validation", "test"]

# Below this many subjects one held-out fifth is too few cases to tell two models apart.
FEW_SUBJECTS = 20


@dataclass(frozen=True)
class Split:
    """Pseudonyms of the subjects on each side, sorted. notes: what the user should know.

    rule: how the sides were chosen, in words. seed: of the ranking.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    rule: str
    notes: tuple[str, ...] = ()

    def side_of(self, case: Case) -> Side | None:
        """Return the side of a case: that of its subject; None for a subject the split does not know.

        Cases of a subject with scans in the test part that lie outside that part belong to no side: to train on them
        would be to train on the test, and the test is what the folder says.
        """
        subject = subject_id(case.subject)
        if subject in self.test:
            return "test" if case.part == "test" else None
        return "training" if subject in self.training else "validation" if subject in self.validation else None

    def cases_of(self, side: Side, cases: Sequence[Case]) -> tuple[Case, ...]:
        """Return the cases of one side, in their given order."""
        return tuple(case for case in cases if self.side_of(case) == side)


def subject_id(subject: str) -> str:
    """Return the pseudonym of a subject: "subject_" and twelve hexadecimal digits of a hash of its key.

    The key is brought to one Unicode form first, since file systems store accents in two ways.
    """
    return "subject_" + hashlib.blake2b(_normal(subject).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


def split_cases(
    cases: Sequence[Case],
    *,
    contents: Mapping[str, Collection[str]] | None = None,
    folds: int | None = None,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> tuple[Split, ...]:
    """Split the subjects of some cases; one split, or one per fold, where every subject is held out exactly once.

    cases: their order does not matter. contents: names of the structures drawn in a case, by the case's name; a case's
    class counts as well. Each is put on both sides where two subjects have it, and into training where one has.
    folds: None, or at least 2 and at most the number of subjects. validation_fraction: in [0, 1), of the subjects
    outside the test part, where folds is None; at least one of two and never all.
    Raises VolumeError if nothing is left to train on, or for folds that cannot be made.
    """
    test = {_normal(case.subject) for case in cases if case.part == "test"}
    holdings: dict[str, frozenset[str]] = {}
    for case in cases:
        subject = _normal(case.subject)
        if subject not in test:
            found = {*(contents or {}).get(case.name, ()), *([case.class_name] if case.class_name else [])}
            holdings[subject] = holdings.get(subject, frozenset()) | found
    if not holdings:
        raise VolumeError("no subject is left to train on: every one has cases in the test part")
    if not 0 <= validation_fraction < 1:
        raise VolumeError(f"validation_fraction {validation_fraction:g}: a share in [0, 1) is needed, such as 0.2")
    ranked = sorted(holdings, key=lambda subject: (stream(seed, "split", subject), subject))
    notes = _shared_with_test(cases, test)
    if folds is not None:
        rule = f"{folds} folds by subject, structures and classes spread evenly, ranked by a hash of seed and subject"
        held_out = _folds(ranked, holdings, folds)
    else:
        rule = f"{validation_fraction:g} of the subjects held out, ranked by a hash of seed and subject"
        held_out = [_held_out(ranked, holdings, validation_fraction)]
    return tuple(
        Split(
            _ids(set(holdings) - part), _ids(part), _ids(test), seed, rule, (*notes, *_one_sided(part, holdings, test))
        )
        for part in held_out
    )


def advise_split(subjects: int) -> str:
    """Say in words which split suits this many subjects outside the test part."""
    if subjects < 2:
        return "One subject: nothing can be held out, so how well a model does on anybody else stays unknown."
    if subjects < 5:
        return (
            f"{subjects} subjects: too few to judge a model by; hold one out in turn (--folds {subjects}) to see at "
            "least whether it works."
        )
    if subjects < FEW_SUBJECTS:
        return (
            f"{subjects} subjects: a fifth of them is too few to judge a model by. Five folds (--folds 5) hold every "
            "subject out once, and cost five trainings."
        )
    return f"{subjects} subjects: holding out a fifth ({max(1, round(subjects / 5))}) is enough to choose a model by."


def _held_out(ranked: list[str], holdings: Mapping[str, frozenset[str]], fraction: float) -> set[str]:
    """Take subjects by rank where training keeps what they hold, then exchange few for what validation lacks."""
    if len(ranked) < 2 or fraction <= 0:
        return set()
    count = min(max(1, round(fraction * len(ranked))), len(ranked) - 1)
    left = Counter(content for contents in holdings.values() for content in contents)
    subjects_with = dict(left)
    chosen: list[str] = []
    for subject in ranked:
        if len(chosen) < count and all(left[content] > 1 for content in holdings[subject]):
            chosen.append(subject)
            left.subtract(holdings[subject])
    # Where the others all hold something nobody else in training has, training has to give some of it up.
    for subject in [subject for subject in ranked if subject not in chosen][: count - len(chosen)]:
        chosen.append(subject)
        left.subtract(holdings[subject])
    for content, number in sorted(subjects_with.items(), key=lambda item: (item[1], item[0])):
        if number > 1 and left[content] == number:
            _exchange_for(content, chosen, left, ranked, holdings)
    return set(chosen)


def _exchange_for(
    content: str, chosen: list[str], left: Counter[str], ranked: list[str], holdings: Mapping[str, frozenset[str]]
) -> None:
    """Exchange one held-out subject for the first holder of `content`, if no side loses anything by it."""
    held_out = Counter(name for subject in chosen for name in holdings[subject])
    for leaving in reversed(chosen):
        only_there = {name for name in holdings[leaving] if held_out[name] == 1}
        for entering in ranked:
            gained = holdings[entering]
            if entering in chosen or content not in gained or not only_there <= gained:
                continue
            if all(left[name] + (name in holdings[leaving]) > 1 for name in gained):
                chosen[chosen.index(leaving)] = entering
                left.update(holdings[leaving])
                left.subtract(gained)
                return


def _folds(ranked: list[str], holdings: Mapping[str, frozenset[str]], folds: int) -> list[set[str]]:
    """Deal the subjects out, rarest contents first, each to the fold that has least of them.

    Iterative stratification: Sechidis, Tsoumakas, Vlahavas 2011, with sizes that differ by one at most.
    """
    if not 2 <= folds <= len(ranked):
        raise VolumeError(
            f"{folds} folds: between 2 and the number of subjects outside the test part ({len(ranked)}) are possible"
        )
    small, larger = divmod(len(ranked), folds)
    dealt: list[list[str]] = [[] for _ in range(folds)]
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    waiting = list(ranked)
    left = Counter(content for contents in holdings.values() for content in contents)
    while waiting:
        rarest = min(((number, content) for content, number in left.items() if number > 0), default=(0, ""))[1]
        subject = next(one for one in waiting if not rarest or rarest in holdings[one])
        full = sum(len(fold) > small for fold in dealt)
        room = [fold for fold in range(folds) if len(dealt[fold]) < small + (full < larger)]
        least = min(room, key=lambda fold: (held[fold][rarest], len(dealt[fold]), fold))
        dealt[least].append(subject)
        held[least].update(holdings[subject])
        left.subtract(holdings[subject])
        waiting.remove(subject)
    return [set(fold) for fold in dealt]


def _one_sided(held_out: set[str], holdings: Mapping[str, frozenset[str]], test: set[str]) -> list[str]:
    """Say what validation or training lacks."""
    if not held_out:
        found = "one subject" if len(holdings) == 1 else "a validation share of 0"
        return [f"With {found}, nothing is held out: the last state is kept instead of the best."]
    notes = []
    everything: set[str] = set().union(*holdings.values())
    for name, side in (("validation", held_out), ("training", set(holdings) - held_out)):
        lacking = sorted(everything.difference(*(holdings[subject] for subject in side)))
        if lacking:
            shown = ", ".join(lacking[:6]) + (f" and {len(lacking) - 6} more" if len(lacking) > 6 else "")
            notes.append(f"Not in {name}, for too few subjects have it: {shown}.")
    return notes


def _shared_with_test(cases: Sequence[Case], test: set[str]) -> list[str]:
    kept_out = sum(case.part != "test" and _normal(case.subject) in test for case in cases)
    if not kept_out:
        return []
    return [
        f"{kept_out} case{'s' * (kept_out != 1)} outside the test part belong{'s' * (kept_out == 1)} to subjects "
        "inside it, and are used neither to train nor to validate."
    ]


def _ids(subjects: set[str]) -> tuple[str, ...]:
    return tuple(sorted(subject_id(subject) for subject in subjects))


def _normal(subject: str) -> str:
    return unicodedata.normalize("NFC", subject)
