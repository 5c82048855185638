"""Whether a source helped: twins at equal budget, and an answer that says how sure it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.cli.main import run as run_command
from genesis_core.studies.twins import compare_twins
from genesis_core.training.held_out import HeldOut


def scores(values: list[float], offset: float = 0.0) -> HeldOut:
    names = [f"case_{number}" for number in range(len(values))]
    return HeldOut(
        {name: {"liver": value + offset} for name, value in zip(names, values, strict=True)},
        {name: f"subject_{name}" for name in names},
    )


VALUES = [0.61, 0.72, 0.55, 0.81, 0.66, 0.7, 0.59, 0.77]


def test_a_source_that_is_better_everywhere_helps_and_one_that_is_worse_hurts() -> None:
    better = compare_twins("scratch", scores(VALUES, 0.05), scores(VALUES))
    assert better.verdict == "helps"
    assert better.difference == pytest.approx(0.05)
    assert "helps (+0.050 mean Dice" in better.sentence()
    assert compare_twins("scratch", scores(VALUES), scores(VALUES, 0.05)).verdict == "hurts"


def test_equal_twins_show_no_difference() -> None:
    mixed = scores([value + (0.03 if number % 2 else -0.03) for number, value in enumerate(VALUES)])
    assert compare_twins("scratch", mixed, scores(VALUES)).verdict == "no difference shown"


def test_few_subjects_are_no_answer_however_many_their_cases() -> None:
    own, twin = scores(VALUES, 0.2), scores(VALUES)
    same = {name: f"subject_{number % 3}" for number, name in enumerate(own.subjects)}
    answer = compare_twins("scratch", HeldOut(own.scores, same), HeldOut(twin.scores, same))
    assert (answer.verdict, answer.subjects, answer.cases) == ("too few subjects to tell", 3, 8)
    assert "nothing can be said" in answer.sentence()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_exchanging_the_two_turns_the_answer_around(pairs: list[tuple[float, float]]) -> None:
    first, second = scores([a for a, _ in pairs]), scores([b for _, b in pairs])
    one, other = compare_twins("scratch", first, second), compare_twins("scratch", second, first)
    assert one.difference == pytest.approx(-other.difference)
    turned = {"helps": "hurts", "hurts": "helps"}
    assert one.verdict == turned.get(other.verdict, other.verdict)


def test_twins_without_a_source_are_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["finetune", str(tmp_path), "--out", str(tmp_path / "run"), "--twins"]) == 2
    assert "there is none: leave --twins" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
