"""What an evaluation found, in memory: for files, for the report, for whoever calls it from Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genesis_core.studies.evaluation.comparing import Comparison
from genesis_core.studies.evaluation.folders import Pair, Pairs
from genesis_core.studies.evaluation.scoring import CaseScore
from genesis_core.studies.evaluation.summary import ScoredCase, StructureSummary


@dataclass(frozen=True)
class CaseResult:
    """What came of one case: its scores, or the reason why there are none. other: the same of the other predictions.

    names: what structures matched by number are called in both, where the reference does not name them.
    """

    pair: Pair
    score: CaseScore | None
    reason: str | None = None
    other: CaseScore | None = None
    other_reason: str | None = None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """A whole evaluation.

    cases: every case that could be scored. left_out: (name, reason) of what could not. summary: per structure. others,
    other_summary, comparisons: of the second set of predictions, where one was given; A is the first, B the second.
    titles: what A and B are called. results: with the paths, for pictures; hidden: names are pseudonyms.
    """

    cases: tuple[ScoredCase, ...]
    left_out: tuple[tuple[str, str], ...]
    summary: tuple[StructureSummary, ...]
    tolerance_mm: float
    seed: int
    notes: tuple[str, ...]
    titles: tuple[str, str]
    others: tuple[ScoredCase, ...] = ()
    other_summary: tuple[StructureSummary, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    results: tuple[CaseResult, ...] = ()
    pairs: Pairs | None = None
    hidden: bool = False
