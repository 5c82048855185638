"""How sure a mean is: bootstrap intervals, drawn by counting random numbers, so that they come out the same anywhere.

Subjects are drawn, not cases: two scans of one person are not two independent observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.randomness import stream, uniforms

RESAMPLES = 10_000
LEVEL = 0.95
# Below this many subjects neither an interval nor a test of a difference means much; a signed-rank test of five pairs
# cannot reach p = 0.05 whatever they hold.
FEWEST = 6
_TOGETHER = 500


@dataclass(frozen=True)
class Interval:
    """A range in which the true mean plausibly lies, at the level LEVEL."""

    low: float
    high: float


def mean_interval(values: Sequence[float], subjects: Sequence[str], seed: int = 0) -> Interval | None:
    """Return the percentile bootstrap interval of the mean of `values`; None for fewer than six subjects.

    subjects: whom each value belongs to. RESAMPLES times, as many subjects as there are are drawn with replacement, and
    all their values averaged. seed: the same seed and values give the same interval, whatever their order.
    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13.
    """
    groups: dict[str, list[float]] = {}
    for subject, value in sorted(zip(subjects, values, strict=True)):
        groups.setdefault(subject, []).append(float(value))
    if len(groups) < FEWEST:
        return None
    sums = np.array([sum(group) for group in groups.values()])
    counts = np.array([len(group) for group in groups.values()], float)
    means = _resampled_means(sums, counts, stream(seed, "bootstrap of a mean"))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _resampled_means(sums: NDArray[np.float64], counts: NDArray[np.float64], key: int) -> NDArray[np.float64]:
    number = len(sums)
    means = []
    for start in range(0, RESAMPLES, _TOGETHER):
        rows = min(_TOGETHER, RESAMPLES - start)
        drawn = (uniforms(key, rows * number, start * number) * number).astype(np.intp).reshape(rows, number)
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)
