"""A review survives a kill at every single write, a full disk at every single write, and two windows at once."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from review_files import corrected, proposal

from genesis_core.errors import GenesisError, ReviewError
from genesis_core.studies.review import (
    Review,
    accept,
    flag,
    propose,
    read_decisions,
    read_draft,
    read_proposals,
    read_states,
    reject,
    undo,
    write_draft,
)
from genesis_core.studies.review.lines import append_line, read_lines

KILLING = Path(__file__).with_name("killing.py")


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.parametrize("action", ["accept", "undo"])
def test_a_kill_before_any_write_leaves_a_review_that_opens_whole(action: str, review: Review, tmp_path: Path) -> None:
    label = corrected(review)
    np.save(review.folder.parent / "wanted.npy", label.as_map())
    write_draft(review, "a", label)
    if action == "undo":
        accept(review, "a", label)
    done = subprocess.run(
        [sys.executable, KILLING, action, review.folder, tmp_path], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > (15 if action == "accept" else 8)


class _Disk:
    """Fails the `number`-th write with a full disk."""

    def __init__(self, number: int) -> None:
        self.left, self.failed = number, False

    def wrapped(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == -1:
                self.failed = True
                raise OSError(errno.ENOSPC, "No space left on device")
            return work(*arguments, **named)

        return maybe


@contextmanager
def full_disk(number: int) -> Iterator[_Disk]:
    """Let one write in the block, counted from 0, find the disk full."""
    disk = _Disk(number)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "replace"), (os, "fsync"), (os, "write"), (os, "mkdir"), (shutil, "copyfile")):
            patch.setattr(module, name, disk.wrapped(getattr(module, name)))
        yield disk


def test_a_disk_that_is_full_at_any_write_of_an_acceptance_loses_nothing(review: Review) -> None:
    label = corrected(review)
    write_draft(review, "a", label)
    for number in range(60):
        with full_disk(number) as disk:
            try:
                accept(review, "a", label)
                error = None
            except GenesisError as problem:
                error = str(problem)
        review = Review.open(review.folder)
        if error is None:
            assert read_states(review)["a"].state == "accepted"
            undo(review)
            if not disk.failed:
                break
            continue
        assert "disk full" in error
        assert read_states(review)["a"].state == "draft", number
        assert files(review.corrected / "images") == files(review.corrected / "labels") == []
        assert files(review.folder / ".accepting") == []
        draft = read_draft(review, "a")
        assert draft is not None
        assert np.array_equal(draft.as_map(), label.as_map())
    assert 8 < number < 59
    accept(review, "a", label)


def test_a_disk_that_is_full_at_any_write_of_an_undo_keeps_the_case_whole(review: Review) -> None:
    label = corrected(review)
    accept(review, "a", label)
    for number in range(60):
        with full_disk(number) as disk:
            try:
                undo(review)
                error = None
            except GenesisError as problem:
                error = str(problem)
        review = Review.open(review.folder)
        there = files(review.corrected / "images"), files(review.corrected / "labels")
        if error is None:
            assert there == ([], [])
            accept(review, "a", label)
            if not disk.failed:
                break
            continue
        assert "disk full" in error
        assert read_states(review)["a"].state == "accepted", number
        assert there == (["a.nii.gz"], ["a.json", "a.nii.gz"])
    assert 5 < number < 59


@pytest.mark.parametrize("decide", [lambda r: flag(r, "a", "odd"), lambda r: reject(r, "a", "moved")])
def test_a_decision_that_finds_the_disk_full_says_so_and_is_not_taken(
    review: Review, decide: Callable[[Review], object]
) -> None:
    with full_disk(0), pytest.raises(ReviewError, match=r"nothing was decided.*disk full"):
        decide(review)
    assert read_decisions(review) == []
    decide(review)
    assert len(read_decisions(review)) == 1


def test_a_line_cut_short_is_passed_over_and_never_continued(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_line(path, {"n": 1})
    with open(path, "a") as file:
        file.write('{"n": 2, "cut')
    append_line(path, {"n": 3})
    assert [line["n"] for line in read_lines(path)] == [1, 3]


def test_two_windows_that_accept_one_case_at_once_accept_it_once(review: Review) -> None:
    label, outcomes = corrected(review), list[str]()
    both = threading.Barrier(2)

    def window() -> None:
        mine = Review.open(review.folder)
        both.wait()
        try:
            accept(mine, "a", label)
            outcomes.append("accepted")
        except ReviewError as problem:
            outcomes.append(str(problem))

    threads = [threading.Thread(target=window) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(word.partition(":")[0] for word in outcomes) == ["a", "accepted"]
    assert "accepted already" in max(outcomes, key=len)
    assert [one.kind for one in read_decisions(review)] == ["accepted"]
    assert files(review.corrected / "images") == ["a.nii.gz"]


def test_windows_that_decide_at_once_lose_no_decision(review: Review) -> None:
    def window(number: int) -> None:
        for turn in range(10):
            flag(review, "a", f"{number} {turn}")

    threads = [threading.Thread(target=window, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.note for one in read_decisions(review)}) == 40


def test_what_a_living_window_is_making_is_not_thrown_away_by_another(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    import genesis_core.studies.review.correction as correction

    write = correction.write_label_files

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        Review.open(review.folder)
        accept(Review.open(review.folder), "site/b", corrected(review, "site/b"))
        return write(*arguments, **named)

    label = corrected(review)
    with monkeypatch.context() as patch:
        calls = iter([meanwhile, write])
        patch.setattr(correction, "write_label_files", lambda *a, **k: next(calls)(*a, **k))
        accept(review, "a", label)
    assert {case for case, state in read_states(review).items() if state.state == "accepted"} == {"a", "site/b"}


def test_a_ranking_that_is_killed_goes_on_with_the_scans_that_are_left(
    model: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import genesis_core.studies.review.proposing as proposing

    class Killed(BaseException):
        pass

    review = Review.create(tmp_path / "review", scans=scans, run=model)
    kept: list[str] = []

    def kill_at_second(path: Path, line: dict[str, Any]) -> None:
        if kept:
            raise Killed
        kept.append(line["case"])
        append_line(path, line)

    monkeypatch.setattr(proposing, "append_line", kill_at_second)
    with pytest.raises(Killed):
        propose(review, device="cpu")
    monkeypatch.setattr(proposing, "append_line", append_line)
    assert [one.case for one in read_proposals(review)] == ["a"]
    events: list[dict[str, Any]] = []
    assert [one.case for one in propose(review, device="cpu", report=events.append)] == ["a", "site/b", "site/c"]
    assert [event["case"] for event in events if event["event"] == "proposed"] == ["site/b", "site/c"]


def test_a_disk_that_is_full_while_ranking_ends_it_with_what_is_done_kept(
    model: Path, scans: Path, tmp_path: Path
) -> None:
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    for number in range(40):
        said = "disk full"
        with full_disk(number) as disk:
            try:
                propose(review, device="cpu")
            except ReviewError as problem:
                said = str(problem)
        assert "disk full" in said
        if not disk.failed:
            break
    assert number < 39
    assert len(read_proposals(review)) == 3
    assert proposal(review).label.is_file()
