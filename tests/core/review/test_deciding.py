"""Beginning a review, drawing drafts, deciding, and taking decisions back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from review_files import corrected, scan

from genesis_core.errors import OutputExistsError, ReviewError
from genesis_core.studies.review import (
    CaseState,
    Review,
    accept,
    drop_draft,
    flag,
    propose,
    read_decisions,
    read_draft,
    read_proposals,
    read_states,
    reject,
    undo,
    unflag,
    write_draft,
)
from genesis_core.volumes.writing import write_volume


def test_a_review_opens_as_it_was_made_also_after_it_moved_with_its_scans(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    (old / "scans").mkdir(parents=True)
    write_volume(scan(), old / "scans" / "a.nii.gz")
    monkeypatch.chdir(old)
    made = Review.create("review", scans="scans", run=os.path.relpath(model))
    assert made == Review.open("review") == Review.open(old / "review")
    assert made.scans == old / "scans"
    assert made.run == model
    stored = yaml.safe_load((old / "review" / "review.yaml").read_text())
    assert stored["schema"] == 1
    assert stored["scans"] == "../scans"
    assert "T" in stored["created"]
    old.rename(tmp_path / "new")
    assert Review.open(tmp_path / "new" / "review").scans == tmp_path / "new" / "scans"


def test_a_review_is_not_made_where_something_is(review: Review, model: Path, scans: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="a review is there already"):
        Review.create(review.folder, scans=scans, run=model)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match="exists and is no review"):
        Review.create(tmp_path / "mine", scans=scans, run=model)
    # What a kill leaves while a review is made is nobody's; a labelled folder called corrected/ may be somebody's.
    (tmp_path / "mine" / "thesis.txt").rename(tmp_path / "mine" / ".0a1b2c3d.tmp.review.yaml")
    (tmp_path / "mine" / "corrected" / "labels").mkdir(parents=True)
    Review.create(tmp_path / "mine", scans=scans, run=model)
    (tmp_path / "theirs" / "corrected" / "labels").mkdir(parents=True)
    (tmp_path / "theirs" / "corrected" / "labels" / "p1.nii.gz").touch()
    with pytest.raises(OutputExistsError, match="exists and is no review"):
        Review.create(tmp_path / "theirs", scans=scans, run=model)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: folder / "nothing", "no such folder"),
        (lambda folder: folder, "has no model yet"),
        (lambda folder: (folder / "folds" / "0").mkdir(parents=True) or folder, "folds are not all trained yet"),
    ],
)
def test_a_run_without_a_model_is_refused(
    prepare: Callable[[Path], Path], said: str, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(ReviewError, match=said):
        Review.create(tmp_path / "review", scans=scans, run=prepare(tmp_path / "run"))
    assert not (tmp_path / "review").exists()


def test_a_folder_that_is_missing_or_no_review_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no such folder of scans"):
        Review.create(tmp_path / "review", scans=tmp_path / "nowhere", run=model)
    with pytest.raises(ReviewError, match=r"no review there \(review\.yaml is missing\)"):
        Review.open(tmp_path)
    (tmp_path / "review.yaml").write_text("schema: 1\nscans: [")
    with pytest.raises(ReviewError, match=r"review\.yaml"):
        Review.open(tmp_path)


def test_the_newest_finished_run_proposes(review: Review, model: Path, tmp_path: Path) -> None:
    import shutil

    first = model
    for name, state in (("second", "finished"), ("third", "running")):
        run = tmp_path / name
        shutil.copytree(model, run / "model")
        (run / "run.yaml").write_text("task: segmentation\n")
        (run / "status.json").write_text(f'{{"state": "{state}"}}')
        review = review.add_round(run)
    assert review.rounds == (first, tmp_path / "second", tmp_path / "third")
    assert review.run == tmp_path / "second"
    assert review.add_round(tmp_path / "second").rounds == review.rounds
    assert Review.open(review.folder) == review
    shutil.rmtree(tmp_path / "second" / "model")
    assert review.run == first


def test_states_follow_from_decisions_and_undo_takes_back_the_last_first(review: Review) -> None:
    assert read_states(review) == {}
    label = corrected(review)
    write_draft(review, "a", label)
    assert read_states(review) == {"a": CaseState("draft")}
    accept(review, "a", label, note="good")
    assert not (review.folder / "drafts" / "a.seg.nrrd").exists()
    flag(review, "a", "ask the surgeon")
    reject(review, "site/b", "metal")
    flag(review, "site/b", "look again")
    unflag(review, "site/b")
    states = read_states(review)
    assert (states["a"].state, states["a"].flagged, states["a"].note) == ("accepted", True, "ask the surgeon")
    assert (states["site/b"].state, states["site/b"].flagged, states["site/b"].note) == ("rejected", False, "metal")
    assert states["a"].is_decided
    undone = []
    for _ in range(5):
        one = undo(review)
        undone.append((one.kind, one.case))
        if one.kind == "unflagged":
            assert read_states(review)["site/b"].flagged
    assert undone == [
        ("unflagged", "site/b"),
        ("flagged", "site/b"),
        ("rejected", "site/b"),
        ("flagged", "a"),
        ("accepted", "a"),
    ]
    with pytest.raises(ReviewError, match="no decision to undo"):
        undo(review)
    assert read_states(review) == {"a": CaseState("draft")}
    assert len(read_decisions(review)) == 10


def test_the_last_decision_of_one_case_can_be_undone(review: Review) -> None:
    reject(review, "a", "metal")
    flag(review, "site/c", "odd")
    assert undo(review, "a").kind == "rejected"
    assert set(read_states(review)) == {"site/c"}
    with pytest.raises(ReviewError, match="a: there is no decision"):
        undo(review, "a")


def test_an_accepted_case_is_undone_before_it_is_rejected_or_accepted_again(review: Review) -> None:
    label = corrected(review)
    accept(review, "a", label)
    with pytest.raises(ReviewError, match=r"was accepted already, by .* undo that first"):
        accept(review, "a", label)
    with pytest.raises(ReviewError, match="is accepted; undo that first"):
        reject(review, "a", "no")
    assert undo(review).kind == "accepted"
    moved = review.folder / "undone" / "1"
    assert {path.name for path in moved.rglob("*") if path.is_file()} == {"a.nii.gz", "a.json", "undone.json"}
    draft = read_draft(review, "a")
    assert draft is not None
    assert np.array_equal(draft.as_map(), label.as_map())
    accept(review, "a", draft)
    undo(review)
    assert (review.folder / "undone" / "2").is_dir()


def test_a_rejected_case_can_be_accepted_and_stays_so(review: Review) -> None:
    reject(review, "a", "metal")
    accept(review, "a", corrected(review))
    assert read_states(review)["a"].state == "accepted"
    undo(review)
    assert read_states(review)["a"].state == "rejected"


def test_a_draft_that_was_drawn_on_while_it_was_accepted_stays(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    import genesis_core.studies.review.correction as correction

    label = corrected(review)
    write_draft(review, "a", label)
    write = correction.write_label_files

    def meanwhile(*arguments: object, **named: object) -> object:
        write_draft(review, "a", label)
        return write(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(correction, "write_label_files", meanwhile)
    accept(review, "a", label)
    assert read_draft(review, "a") is not None


def test_drafts_keep_names_colours_and_layers_and_are_given_up_on_request(review: Review) -> None:
    label = corrected(review, "site/b")
    write_draft(review, "site/b", label)
    write_draft(review, "site/b", label)
    draft = read_draft(review, "site/b")
    assert draft is not None
    assert draft.structures == label.structures
    drop_draft(review, "site/b")
    drop_draft(review, "site/b")
    assert read_draft(review, "site/b") is None
    assert read_states(review) == {}


@pytest.mark.parametrize("decide", [flag, reject, lambda r, c, _n: unflag(r, c)])
def test_a_case_that_does_not_exist_cannot_be_decided(
    review: Review, decide: Callable[[Review, str, str], object]
) -> None:
    with pytest.raises(ReviewError, match="no such case"):
        decide(review, "zz", "note")
    with pytest.raises(ReviewError, match="no such case"):
        write_draft(review, "../../a", corrected(review))


def test_damaged_lines_hide_no_other(review: Review) -> None:
    flag(review, "a", "one")
    with open(review.folder / "decisions.jsonl", "ab") as file:
        file.write(b'\xff\xfe{"id": 3\n{"decision": "rejected"}\n[1]\n{"id": "x", "decision": "eaten", "case": "a"}\n')
    flag(review, "site/b", "two")
    assert [one.note for one in read_decisions(review)] == ["one", "two"]
    ranking = next(review.folder.glob("proposals/*/ranking.jsonl"))
    with open(ranking, "a") as file:
        file.write('{"case": "zz", "label": "zz.nii.gz"}\n{"cut')
    assert [one.case for one in read_proposals(review)] == ["a", "site/b", "site/c"]
    assert len(propose(review, device="cpu")) == 3
