"""Preparing labelled cases: bad ones are reported by their pseudonyms, the others are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from labelled_files import CT, ORGANS, case, drawn, save

from genesis_core.errors import SamplingError
from genesis_core.sampling.labelled_preparing import prepare_cases


def test_bad_cases_are_named_by_pseudonym_and_the_others_used(tmp_path: Path) -> None:
    cases = [case(tmp_path, name) for name in ("one", "two", "three", "four")]
    (tmp_path / "two_0.nii.gz").write_bytes(b"not a scan")
    save(drawn()[2:], tmp_path / "four_label.nii.gz")
    seen: list[tuple[int, int]] = []
    usable, problems = prepare_cases(
        cases, ORGANS, CT, tmp_path / "cache", progress=lambda done, total, _: seen.append((done, total))
    )
    assert [one.id for one in usable] == ["case_one", "case_three"]
    assert [one.id for one, _ in problems] == ["case_two", "case_four"]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for _, reason in problems:
        assert str(tmp_path) not in reason


def test_a_set_without_any_usable_case_is_refused_with_reasons(tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="nothing is drawn"):
        prepare_cases([replace(case(tmp_path), label=None)], ORGANS, CT, tmp_path / "cache")
    with pytest.raises(SamplingError, match="no labelled case"):
        prepare_cases([], ORGANS, CT, tmp_path / "cache")


def test_asked_to_stop_it_returns_what_is_done(tmp_path: Path) -> None:
    cases = [case(tmp_path, name) for name in ("one", "two")]
    usable, problems = prepare_cases(cases, ORGANS, CT, tmp_path / "cache", should_stop=lambda: True)
    assert (usable, problems) == ([], [])
