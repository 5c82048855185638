"""Deleting sets runs aside, keeps what is needed in sight, and can be undone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from runs_driving import write_run

from genesis_core.errors import RunError
from napari_genesis.runs.asking import delete_words
from napari_genesis.runs.deleting import empty, list_deleted, needed_by, put_back, set_aside
from napari_genesis.runs.listing import RunListing


def test_a_deleted_run_is_not_listed_any_more_and_comes_back_as_it_was(tmp_path: Path) -> None:
    run = write_run(tmp_path / "lung")
    before = sorted(path.relative_to(run) for path in run.rglob("*"))
    deleted = set_aside(run)
    assert RunListing().read(tmp_path).runs == ()
    assert [one.path for one in list_deleted(tmp_path)] == [deleted.path]
    assert put_back(deleted) == run
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == before
    assert not (tmp_path / ".deleted").exists()


def test_two_of_one_name_lie_side_by_side_and_a_taken_name_is_not_overwritten(tmp_path: Path) -> None:
    first = set_aside(write_run(tmp_path / "lung", seed=1), now=1e9)
    second = set_aside(write_run(tmp_path / "lung", seed=2), now=1e9)
    assert first.path != second.path
    write_run(tmp_path / "lung", seed=3)
    assert put_back(first) == tmp_path / "lung_2"
    assert "seed: 1" in (tmp_path / "lung_2" / "run.yaml").read_text()
    assert "seed: 3" in (tmp_path / "lung" / "run.yaml").read_text()


def test_a_run_that_trains_is_not_deleted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "lung", state="running", pid=os.getpid())
    with pytest.raises(RunError, match="stop it first"):
        set_aside(run)
    assert (run / "run.yaml").is_file()


def test_what_starts_from_a_run_is_named_whether_by_its_source_or_by_anything_else(tmp_path: Path) -> None:
    write_run(tmp_path / "lung")
    write_run(tmp_path / "liver", "segmentation", source="../lung")
    write_run(tmp_path / "spleen", "segmentation", source="../lung/model")
    write_run(tmp_path / "other", "segmentation", source="../lung_2")
    round_one = write_run(tmp_path / "round", "segmentation")
    with open(round_one / "run.yaml", "a", encoding="utf-8") as file:
        file.write("rounds:\n  previous: ../lung\n  start: previous\n")
    review = tmp_path / "reviews" / "spleens"
    review.mkdir(parents=True)
    (review / "review.yaml").write_text("run: ../../spleen\nrounds: [../../spleen, ../../lung]\n")
    runs = RunListing().read(tmp_path).runs
    assert next(run for run in runs if run.path == round_one).source == tmp_path / "lung"
    assert needed_by(tmp_path / "lung", runs, tmp_path / "reviews") == [
        "liver",
        "round",
        "spleen",
        "the review spleens",
    ]
    assert needed_by(tmp_path / "liver", runs, tmp_path / "reviews") == []


def test_the_question_says_what_is_lost(tmp_path: Path) -> None:
    write_run(tmp_path / "lung")
    runs = RunListing().read(tmp_path).runs
    question, facts = delete_words(runs, [41_000_000], {"lung": ["liver"]})
    assert question == "Delete the run lung?"
    assert "It holds no model." in facts
    assert "lung is what liver started from" in facts
    assert "41 MB" in facts


def test_only_what_was_deleted_is_removed_for_good(tmp_path: Path) -> None:
    write_run(tmp_path / "kept")
    set_aside(write_run(tmp_path / "lung"))
    set_aside(write_run(tmp_path / "liver"), now=time.time() - 5)
    assert [one.name for one in list_deleted(tmp_path)] == ["lung", "liver"]
    empty(list_deleted(tmp_path))
    assert list_deleted(tmp_path) == []
    assert [run.name for run in RunListing().read(tmp_path).runs] == ["kept"]
