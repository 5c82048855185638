"""Two predictions of the same cases against the same references: which is better, by how much, and how sure is that.

Cases are compared in pairs. Where several belong to one subject, the subject's mean difference is the observation:
otherwise two scans of one person would count as two proofs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from genesis_core.studies.evaluation.definitions import METRICS
from genesis_core.studies.evaluation.intervals import FEWEST, Interval, mean_interval
from genesis_core.studies.evaluation.summary import ScoredCase

COMPARED = ("dice", "nsd", "hd95_mm", "mean_distance_mm")
# Below this a p-value is told as "under", in words.
_SMALL = 0.001


@dataclass(frozen=True)
class Comparison:
    """One metric of one structure, A less B, over the cases where both have it.

    cases, subjects: how many. mean: of the differences, one per subject. interval: of that mean; None under six
    subjects. wilcoxon_p: Wilcoxon's signed-rank test, two-sided; t_test_p: paired t-test; None where they say nothing
    (under six subjects). wilcoxon_p_holm: corrected for the number of structures compared (Holm 1979).
    """

    structure: str
    metric: str
    cases: int
    subjects: int
    mean_a: float
    mean_b: float
    mean: float
    interval: Interval | None
    wilcoxon_p: float | None
    t_test_p: float | None
    wilcoxon_p_holm: float | None = None

    @property
    def better(self) -> str | None:
        """ "A" or "B" where the whole interval is on one side of 0, else None."""
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return None
        return "A" if (self.mean > 0) == (METRICS[self.metric].better == "higher") else "B"

    def in_words(self, a: str = "A", b: str = "B") -> str:
        """Return the result as a sentence; a, b: what to call the two."""
        metric = METRICS[self.metric]
        unit = f"{metric.title} {metric.unit}".strip() if not metric.unit else f"{metric.unit} {metric.title}"
        who = f"n = {self.subjects}" + ("" if self.subjects == self.cases else f" subjects, {self.cases} cases")
        a_leads = (self.mean > 0) == (metric.better == "higher")
        leader, other = (a, b) if a_leads else (b, a)
        size = _figure(abs(self.mean))
        if self.interval is None:
            if self.mean == 0:
                found = f"{a} and {b} have the same mean {metric.title}"
            else:
                found = f"{leader} has {size} {unit} {'more' if metric.better == 'higher' else 'less'} than {other}"
            return f"{found} ({who}): too few for any test to mean something, {FEWEST} are needed."
        # Told from the leader's side, as an advantage.
        low, high = self.interval.low, self.interval.high
        if (self.mean < 0) or (self.mean == 0 and low + high < 0):
            low, high = -high, -low
        span = f"95 % interval {_figure(low)} to {_figure(high)}, {who}"
        if self.better is None:
            if self.mean == 0 and low == high == 0:
                return f"{a} and {b} do not differ in any case ({who})."
            return f"No clear difference: {leader} is ahead by {size} {unit} ({span})."
        return f"{leader} is better by {size} {unit} ({span})."


def compare(a: Sequence[ScoredCase], b: Sequence[ScoredCase], seed: int = 0) -> tuple[Comparison, ...]:
    """Return one comparison per structure and metric of COMPARED, for cases of the same name in both.

    seed: of the bootstrap intervals (10,000 resamples).
    """
    other = {case.name: {score.structure: score for score in case.scores} for case in b}
    found: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    for case in a:
        for score in case.scores:
            partner = other.get(case.name, {}).get(score.structure)
            for metric in COMPARED:
                one = score.value(metric)
                two = None if partner is None else partner.value(metric)
                if one is not None and two is not None:
                    found.setdefault((metric, score.structure), []).append((case.subject, one, two))
    results = []
    for metric in COMPARED:
        of_metric = [_compare(name, key, pairs, seed) for (key, name), pairs in found.items() if key == metric]
        results += _corrected(of_metric)
    return tuple(results)


def _compare(structure: str, metric: str, pairs: Sequence[tuple[str, float, float]], seed: int) -> Comparison:
    groups: dict[str, list[tuple[float, float]]] = {}
    for subject, one, two in sorted(pairs):
        groups.setdefault(subject, []).append((one, two))
    means = np.array([np.mean(group, axis=0) for group in groups.values()])
    differences = means[:, 0] - means[:, 1]
    wilcoxon_p, t_test_p = _tests(means) if len(groups) >= FEWEST else (None, None)
    return Comparison(
        structure=structure,
        metric=metric,
        cases=len(pairs),
        subjects=len(groups),
        mean_a=float(means[:, 0].mean()),
        mean_b=float(means[:, 1].mean()),
        mean=float(differences.mean()),
        interval=mean_interval([float(value) for value in differences], list(groups), seed),
        wilcoxon_p=wilcoxon_p,
        t_test_p=t_test_p,
    )


def _tests(means: np.ndarray) -> tuple[float | None, float | None]:
    """Return the p-values of both tests; equal pairs everywhere are no evidence of any difference: 1."""
    from scipy.stats import ttest_rel, wilcoxon

    if not np.any(means[:, 0] != means[:, 1]):
        return 1.0, 1.0
    with warnings.catch_warnings():
        # SciPy warns where all differences are alike; the values then are 0 or not-a-number, and treated so below.
        warnings.simplefilter("ignore")
        values = (wilcoxon(means[:, 0], means[:, 1]).pvalue, ttest_rel(means[:, 0], means[:, 1]).pvalue)
    one, two = (float(value) if math.isfinite(value) else None for value in values)
    return one, two


def _corrected(results: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons with Holm's correction of Wilcoxon's p over those of them that were tested."""
    tested = sorted((p, k) for k, result in enumerate(results) if (p := result.wilcoxon_p) is not None)
    corrected = list(results)
    largest = 0.0
    for rank, (p, k) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        corrected[k] = replace(results[k], wilcoxon_p_holm=largest)
    return corrected


def p_in_words(p: float | None) -> str:
    """Return a p-value as people write it."""
    if p is None:
        return "–"
    return f"< {_SMALL:g}" if p < _SMALL else f"{p:.3f}"


def _figure(value: float) -> str:
    """Return three decimals, or two figures of what is smaller; as in ".021" the zero before the point stays."""
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
