"""What a set of scored cases says about each structure: mean with interval, median, spread, the worst case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genesis_core.studies.evaluation.definitions import METRICS
from genesis_core.studies.evaluation.intervals import Interval, mean_interval
from genesis_core.studies.evaluation.scoring import StructureScore


@dataclass(frozen=True)
class ScoredCase:
    """One case with its scores. name: as the folder calls it, or its pseudonym. subject: whom it belongs to.

    not_looked_for: structures that its reference does not list, so that nobody knows whether they are there.
    """

    name: str
    subject: str
    scores: tuple[StructureScore, ...]
    not_looked_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """One metric of one structure over the cases that have it, `count` of them in `subjects` subjects.

    sd: of the sample, None for one case. worst: the name of the worst case (lowest, highest or farthest from 0, as the
    metric has it). interval: of the mean; None for fewer than six subjects.
    """

    count: int
    subjects: int
    mean: float
    interval: Interval | None
    median: float
    sd: float | None
    minimum: float
    maximum: float
    worst: str


@dataclass(frozen=True)
class StructureSummary:
    """One structure over all cases. Counts of cases: where both draw it, one alone does, or nobody does."""

    structure: str
    in_both: int
    missed: int
    only_predicted: int
    absent_in_both: int
    metrics: dict[str, Distribution | None]

    @property
    def scored(self) -> int:
        """Cases that count for Dice: those where somebody draws the structure."""
        return self.in_both + self.missed + self.only_predicted


def summarise(cases: Sequence[ScoredCase], seed: int = 0) -> tuple[StructureSummary, ...]:
    """Return one summary per structure, in the order they first appear; seed: of the intervals."""
    names = dict.fromkeys(score.structure for case in cases for score in case.scores)
    summaries = []
    for name in names:
        found = [(case, score) for case in cases for score in case.scores if score.structure == name]
        counts = Counter(score.presence for _, score in found)
        drawn = counts["both"] + counts["missed"] + counts["only predicted"]
        metrics = {key: _distribution(found, key, seed) for key in METRICS}
        summaries.append(
            StructureSummary(
                structure=name,
                in_both=counts["both"],
                missed=counts["missed"],
                only_predicted=counts["only predicted"],
                absent_in_both=sum(name not in case.not_looked_for for case in cases) - drawn,
                metrics=metrics,
            )
        )
    return tuple(summaries)


def _distribution(found: Sequence[tuple[ScoredCase, StructureScore]], key: str, seed: int) -> Distribution | None:
    known = [(value, case) for case, score in found if (value := score.value(key)) is not None]
    if not known:
        return None
    values = np.array([value for value, _ in known])
    subjects = [case.subject for _, case in known]
    badness = {"higher": -values, "lower": values, "nearer 0": np.abs(values)}[METRICS[key].better]
    return Distribution(
        count=len(values),
        subjects=len(set(subjects)),
        mean=float(values.mean()),
        interval=mean_interval([float(value) for value in values], subjects, seed),
        median=float(np.median(values)),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        minimum=float(values.min()),
        maximum=float(values.max()),
        worst=known[int(np.argmax(badness))][1].name,
    )
