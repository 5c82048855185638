"""Intervals, tests and words: two methods in pairs, and what a few cases cannot say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.studies.evaluation.comparing import compare, p_in_words
from genesis_core.studies.evaluation.intervals import mean_interval
from genesis_core.studies.evaluation.scoring import StructureScore
from genesis_core.studies.evaluation.summary import ScoredCase, summarise

BASE = StructureScore("liver", "both", 0.9, 0.8, 0.7, 3.0, 1.0, 10.0, 10.0, 0.0, 0.0)


def cases(dice: list[float], hd95: list[float] | None = None, subjects: list[str] | None = None) -> list[ScoredCase]:
    distances = hd95 or [3.0] * len(dice)
    names = subjects or [f"s{k}" for k in range(len(dice))]
    return [
        ScoredCase(f"case{k}", names[k], (replace(BASE, dice=dice[k], hd95_mm=distances[k]),)) for k in range(len(dice))
    ]


def test_a_bootstrap_interval_is_close_to_the_one_of_theory_and_the_same_every_time() -> None:
    values = list(np.random.default_rng(1).normal(0.8, 0.05, 60))
    subjects = [f"s{k}" for k in range(60)]
    interval = mean_interval(values, subjects, 3)
    assert interval is not None
    half = 1.96 * np.std(values) / np.sqrt(60)
    assert interval.low == pytest.approx(np.mean(values) - half, abs=0.1 * half)
    assert interval.high == pytest.approx(np.mean(values) + half, abs=0.1 * half)
    shuffled = [*range(30, 60), *range(30)]
    assert mean_interval([values[k] for k in shuffled], [subjects[k] for k in shuffled], 3) == interval
    assert mean_interval(values, subjects, 4) != interval


def test_cases_of_one_subject_are_not_independent_so_the_interval_is_wider() -> None:
    values = [value for value in np.random.default_rng(2).normal(0.8, 0.05, 12) for _ in range(4)]
    alone = mean_interval(values, [f"c{k}" for k in range(48)])
    together = mean_interval(values, [f"s{k // 4}" for k in range(48)])
    assert alone is not None
    assert together is not None
    assert together.high - together.low > 1.7 * (alone.high - alone.low)


def test_fewer_than_six_subjects_get_no_interval_and_no_test() -> None:
    assert mean_interval([0.8] * 20, [f"s{k % 5}" for k in range(20)]) is None
    result = next(one for one in compare(cases([0.9] * 5), cases([0.8] * 5)) if one.metric == "dice")
    assert (result.interval, result.wilcoxon_p, result.t_test_p) == (None, None, None)
    assert "too few for any test" in result.in_words()
    assert "n = 5" in result.in_words()


def test_a_clear_difference_is_told_with_its_interval() -> None:
    rng = np.random.default_rng(3)
    second = list(rng.uniform(0.7, 0.9, 12))
    first = [value + step for value, step in zip(second, rng.normal(0.021, 0.01, 12), strict=True)]
    result = next(one for one in compare(cases(first), cases(second)) if one.metric == "dice")
    assert result.better == "A"
    assert result.in_words("ours", "theirs").startswith(f"ours is better by {result.mean:.3f} Dice (95 % interval 0.0")
    assert "n = 12" in result.in_words()
    swapped = next(one for one in compare(cases(second), cases(first)) if one.metric == "dice")
    assert swapped.better == "B"
    assert swapped.mean == pytest.approx(-result.mean)
    assert swapped.in_words("theirs", "ours").split("(")[0] == result.in_words("ours", "theirs").split("(")[0]


def test_of_distances_the_smaller_is_better() -> None:
    near, far = [2.0 + 0.01 * k for k in range(10)], [3.0 + 0.02 * k for k in range(10)]
    result = next(one for one in compare(cases([0.8] * 10, near), cases([0.8] * 10, far)) if one.metric == "hd95_mm")
    assert result.better == "A"
    assert result.mean < 0
    assert "A is better by 1.0" in result.in_words()
    assert "mm HD95" in result.in_words()


def test_scans_of_one_subject_count_as_one_observation() -> None:
    dice = [0.9, 0.8] * 8
    other = [value - 0.05 for value in dice]
    subjects = [f"s{k // 2}" for k in range(16)]
    result = compare(cases(dice, subjects=subjects), cases(other, subjects=subjects))[0]
    assert (result.subjects, result.cases) == (8, 16)
    assert "n = 8 subjects, 16 cases" in result.in_words()


def test_equal_methods_do_not_differ() -> None:
    result = compare(cases([0.8] * 8), cases([0.8] * 8))[0]
    assert (result.mean, result.wilcoxon_p, result.better) == (0, 1, None)
    assert "do not differ in any case" in result.in_words()


def test_an_interval_over_zero_is_no_clear_difference() -> None:
    first = [0.8, 0.9, 0.7, 0.85, 0.6, 0.75, 0.8]
    second = [0.82, 0.86, 0.73, 0.80, 0.65, 0.72, 0.81]
    result = compare(cases(first), cases(second))[0]
    assert result.better is None
    assert result.in_words().startswith("No clear difference")


def test_tests_are_those_of_scipy_and_holm_corrects_for_the_number_of_structures() -> None:
    from scipy.stats import ttest_rel, wilcoxon

    rng = np.random.default_rng(7)
    sets = []
    for offset in (0.0, 0.02):
        one = []
        for k in range(15):
            scores = tuple(
                replace(BASE, structure=name, dice=float(rng.uniform(0.6, 0.9)) + offset) for name in ("a", "b", "c")
            )
            one.append(ScoredCase(f"case{k}", f"s{k}", scores))
        sets.append(one)
    found = [one for one in compare(*sets) if one.metric == "dice"]
    for index, result in enumerate(found):
        pair = [[case.scores[index].dice for case in one] for one in sets]
        assert result.wilcoxon_p == pytest.approx(wilcoxon(*pair).pvalue)
        assert result.t_test_p == pytest.approx(ttest_rel(*pair).pvalue)
    smallest = min(found, key=lambda one: one.wilcoxon_p or 1)
    assert smallest.wilcoxon_p_holm == pytest.approx(min(1, 3 * (smallest.wilcoxon_p or 0)))
    assert all((one.wilcoxon_p_holm or 0) >= (one.wilcoxon_p or 0) for one in found)


@pytest.mark.parametrize(("p", "words"), [(None, "–"), (0.0002, "< 0.001"), (0.04, "0.040")])
def test_a_p_value_is_written_as_people_do(p: float | None, words: str) -> None:
    assert p_in_words(p) == words


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_a_summary_names_the_worst_case_and_its_interval_holds_the_mean(values: list[float]) -> None:
    found = summarise(cases(values))[0].metrics["dice"]
    assert found is not None
    assert found.minimum == min(values)
    assert values[int(found.worst.removeprefix("case"))] == min(values)
    assert found.median == pytest.approx(np.median(values))
    assert (found.interval is None) == (len(values) < 6)
    if found.interval is not None:
        assert found.interval.low - 1e-9 <= found.mean <= found.interval.high + 1e-9


def test_cases_where_nobody_draws_a_structure_are_counted_and_left_out_of_its_mean() -> None:
    absent = replace(
        BASE, presence="absent in both", dice=None, iou=None, nsd=None, hd95_mm=None, mean_distance_mm=None
    )
    missed = replace(BASE, presence="missed", dice=0.0, nsd=0.0, hd95_mm=None)
    scored = [
        ScoredCase("a", "a", (BASE,)),
        ScoredCase("b", "b", (missed,)),
        ScoredCase("c", "c", (absent,)),
        ScoredCase("d", "d", ()),
    ]
    one = summarise(scored)[0]
    assert (one.in_both, one.missed, one.only_predicted, one.absent_in_both, one.scored) == (1, 1, 0, 2, 2)
    dice, hd95 = one.metrics["dice"], one.metrics["hd95_mm"]
    assert dice is not None
    assert hd95 is not None
    assert (dice.count, dice.mean, dice.worst) == (2, 0.45, "b")
    assert (hd95.count, hd95.mean) == (1, 3.0)
