"""Splits by subject: partitions, the same everywhere, with every structure on both sides where that is possible."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.labelled.split_file import write_split
from genesis_core.volumes.labelled.splitting import advise_split, split_cases, subject_id


def case(name: str, subject: str | None = None, part: str = "training", class_name: str | None = None) -> Case:
    return Case(name, f"case_{name}", (), None, class_name, subject or name, part)  # type: ignore[arg-type]


def cases_of(subjects: int) -> list[Case]:
    return [case(f"s{number}") for number in range(subjects)]


@st.composite
def sets(draw: st.DrawFn) -> tuple[list[Case], dict[str, list[str]]]:
    """Draw cases of a few subjects, some in the test part, and what is drawn in them."""
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=12, unique_by=lambda t: subject_id(t)))
    cases, contents = [], {}
    for place, subject in enumerate(names):
        for scan in range(draw(st.integers(1, 3))):
            part = draw(st.sampled_from(["training", "training", "training", "test"])) if place else "training"
            cases.append(case(f"{place}_{scan}", subject, part))
            contents[f"{place}_{scan}"] = draw(st.lists(st.sampled_from("abcd"), max_size=3))
    return cases, contents


@settings(deadline=None, max_examples=150)
@given(sets(), st.integers(0, 2**40), st.floats(0, 0.99))
def test_every_subject_is_on_exactly_one_side(
    given_set: tuple[list[Case], dict[str, list[str]]], seed: int, share: float
) -> None:
    cases, contents = given_set
    (split,) = split_cases(cases, contents=contents, validation_fraction=share, seed=seed)
    sides = [*split.training, *split.validation, *split.test]
    assert sorted(sides) == sorted({subject_id(one.subject) for one in cases})
    assert split.training
    assert set(split.test) == {subject_id(one.subject) for one in cases if one.part == "test"}
    for one in cases:
        assert split.side_of(one) == "test" if one.part == "test" else split.side_of(one) != "test"


@settings(deadline=None, max_examples=150)
@given(sets(), st.randoms(use_true_random=False), st.sampled_from([None, 2, 3]))
def test_the_order_of_the_cases_changes_nothing(given_set: tuple, random: object, folds: int | None) -> None:
    cases, contents = given_set
    shuffled = list(cases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    free = {one.subject for one in cases} - {one.subject for one in cases if one.part == "test"}
    folds = folds if folds and len(free) >= folds else None
    first = split_cases(cases, contents=contents, folds=folds)
    assert split_cases(shuffled, contents=contents, folds=folds) == first


@settings(deadline=None, max_examples=100)
@given(sets(), st.sampled_from([None, 2]))
def test_more_scans_of_known_subjects_move_nobody(given_set: tuple, folds: int | None) -> None:
    cases, contents = given_set
    free = {one.subject for one in cases} - {one.subject for one in cases if one.part == "test"}
    folds = folds if folds and len(free) >= folds else None
    more = [replace(one, name=f"again_{one.name}") for one in cases]
    wider = contents | {f"again_{name}": drawn for name, drawn in contents.items()}
    before = split_cases(cases, contents=contents, folds=folds)
    after = split_cases([*cases, *more], contents=wider, folds=folds)
    assert [(one.training, one.validation, one.test) for one in before] == [
        (one.training, one.validation, one.test) for one in after
    ]


@settings(deadline=None, max_examples=100)
@given(sets(), st.integers(2, 5), st.integers(0, 99))
def test_folds_hold_every_subject_out_exactly_once(given_set: tuple, folds: int, seed: int) -> None:
    cases, contents = given_set
    free = {one.subject for one in cases} - {one.subject for one in cases if one.part == "test"}
    if len(free) < folds:
        with pytest.raises(VolumeError, match="folds"):
            split_cases(cases, contents=contents, folds=folds)
        return
    splits = split_cases(cases, contents=contents, folds=folds, seed=seed)
    held_out = [subject for split in splits for subject in split.validation]
    assert sorted(held_out) == sorted(subject_id(subject) for subject in free)
    sizes = [len(split.validation) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert all(not set(split.training) & set(split.validation) for split in splits)


@settings(deadline=None, max_examples=100)
@given(st.integers(10, 60), st.integers(2, 4), st.integers(0, 500))
def test_a_rare_structure_is_on_both_sides(subjects: int, holders: int, seed: int) -> None:
    cases = cases_of(subjects)
    contents = {one.name: ["liver"] + (["cyst"] if place < holders else []) for place, one in enumerate(cases)}
    (split,) = split_cases(cases, contents=contents, seed=seed)
    cysts = {subject_id(f"s{place}") for place in range(holders)}
    assert cysts & set(split.training)
    assert cysts & set(split.validation)
    assert len(split.validation) == round(0.2 * subjects)
    assert not split.notes


def test_a_structure_of_one_subject_stays_in_training_and_that_is_said() -> None:
    cases = cases_of(10)
    for seed in range(30):
        (split,) = split_cases(cases, contents={"s3": ["cyst"]}, seed=seed)
        assert subject_id("s3") in split.training
        assert split.notes == ("Not in validation, for too few subjects have it: cyst.",)


def test_folds_spread_a_rare_structure() -> None:
    cases = cases_of(10)
    splits = split_cases(cases, contents={f"s{place}": ["cyst"] for place in range(5)}, folds=5)
    cysts = {subject_id(f"s{place}") for place in range(5)}
    assert [len(cysts & set(split.validation)) for split in splits] == [1] * 5


def test_classes_count_as_structures_do() -> None:
    cases = [case(f"s{place}", class_name="tumour" if place < 2 else "normal") for place in range(20)]
    (split,) = split_cases(cases, seed=1)
    tumours = {subject_id("s0"), subject_id("s1")}
    assert tumours & set(split.training)
    assert tumours & set(split.validation)


def test_accents_stored_in_two_ways_are_one_subject() -> None:
    composed, apart = "Jérôme", unicodedata.normalize("NFD", "Jérôme")
    assert composed != apart
    assert subject_id(composed) == subject_id(apart)
    cases = cases_of(7)
    assert split_cases([*cases, case("x", composed)]) == split_cases([*cases, case("x", apart)])


def test_the_split_of_a_seed_stays_what_it_was() -> None:
    (split,) = split_cases(cases_of(10), seed=7)
    assert split.validation == tuple(sorted(map(subject_id, ("s0", "s9"))))


def test_seeds_give_different_splits() -> None:
    assert len({split_cases(cases_of(20), seed=seed)[0].validation for seed in range(20)}) > 10


def test_cases_of_test_subjects_outside_the_test_part_are_not_used_and_that_is_said() -> None:
    cases = [*cases_of(5), case("early", "twice"), case("late", "twice", "test")]
    (split,) = split_cases(cases)
    assert split.side_of(cases[5]) is None
    assert split.side_of(cases[6]) == "test"
    assert "1 case outside the test part belongs to subjects inside it" in split.notes[0]
    used = [one for side in ("training", "validation", "test") for one in split.cases_of(side, cases)]
    assert len(used) == 6


def test_one_subject_alone_is_trained_on_and_nothing_is_held_out() -> None:
    (split,) = split_cases([case("a", "one"), case("b", "one")])
    assert split.validation == ()
    assert "one subject" in split.notes[0]


def test_a_set_of_test_cases_only_cannot_be_split() -> None:
    with pytest.raises(VolumeError, match="test part"):
        split_cases([case("a", part="test")])


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_shares_that_are_none_are_refused(share: float) -> None:
    with pytest.raises(VolumeError, match="validation_fraction"):
        split_cases(cases_of(3), validation_fraction=share)


def test_advice_offers_folds_to_small_sets_only() -> None:
    assert "--folds 5" in advise_split(19)
    assert "--folds 3" in advise_split(3)
    assert "folds" not in advise_split(20)
    assert "unknown" in advise_split(1)


@pytest.mark.parametrize("folds", [None, 4])
def test_the_file_records_every_side_and_names_nobody(tmp_path: Path, folds: int | None) -> None:
    cases = [*(case(f"c{number}", f"Meier {number}") for number in range(9)), case("t", "Schulze", part="test")]
    splits = split_cases(cases, folds=folds, seed=3)
    write_split(splits, tmp_path / "split.json")
    text = (tmp_path / "split.json").read_text()
    assert "Meier" not in text
    values = json.loads(text)
    assert (values["seed"], values["test"]) == (3, [subject_id("Schulze")])
    told = [(tuple(fold["training"]), tuple(fold["validation"])) for fold in values["folds"]]
    assert told == [(split.training, split.validation) for split in splits]
