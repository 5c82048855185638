"""`napari-genesis rank` from the outside, with a run that was trained on some of the scans."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from review_files import GEOMETRY, corrected, make_scans, scan
from threshold_models import save_threshold_model

import genesis_core as gc
from genesis_core.cli.main import run
from genesis_core.studies.review import Review, accept, propose, read_proposals, read_states, undo
from genesis_core.studies.review.locking import locked
from genesis_core.studies.review.ranking import proposal_folder, read_reference
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.writing import write_volume


def rank(scans: Path, model: Path, out: Path, *more: str) -> int:
    return run(["rank", str(scans), "--model", str(model), "--out", str(out), "--device", "cpu", *more])


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_review_is_made_and_the_queue_printed(
    scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rank(scans, model, tmp_path / "review") == 0
    said = capsys.readouterr()
    assert "site/b: uncertainty 0.000" in said.out
    assert "3 scans proposed. Review:" in said.out
    assert "whether it has seen some of these scans" in said.err
    assert [one.case for one in read_proposals(Review.open(tmp_path / "review"))] == ["a", "site/b", "site/c"]
    assert rank(scans, model, tmp_path / "review", "--order", "name") == 0
    said = capsys.readouterr()
    assert "0 scans proposed, 3 already there" in said.out


def test_programs_get_progress_a_record_per_case_and_the_order(
    scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rank(scans, model, tmp_path / "review", "--json", "--order", "random", "--seed", "4") == 0
    told = records(capsys.readouterr().out)
    proposed = [one for one in told if one["event"] == "proposed"]
    assert [one["case"] for one in proposed] == ["a", "site/b", "site/c"]
    assert {"uncertainty", "volumes_ml", "flags", "places", "label", "images", "seconds"} <= set(proposed[0])
    progress = [one for one in told if one["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 3
    assert {"windows_done", "windows_total", "seconds_left"} <= set(progress[-1])
    assert told[-1]["event"] == "finished"
    assert sorted(told[-1]["order"]) == ["a", "site/b", "site/c"]


def test_dry_run_prints_the_settings_and_a_config_reads_them(
    scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rank(scans, model, tmp_path / "review", "--dry-run") == 0
    settings = capsys.readouterr().out
    assert not (tmp_path / "review").exists()
    (tmp_path / "rank.yaml").write_text(settings)
    assert run(["rank", "--config", str(tmp_path / "rank.yaml")]) == 0
    assert len(read_proposals(Review.open(tmp_path / "review"))) == 3


def test_a_bad_scan_is_named_and_the_others_are_ranked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = make_scans(tmp_path / "scans")
    (scans / "broken.nii.gz").write_bytes(b"no scan")
    assert rank(scans, model, tmp_path / "review", "--json") == 1
    said = capsys.readouterr()
    assert "broken is left out" in said.err
    assert [one["case"] for one in records(said.out) if one["event"] == "failed"] == ["broken"]
    assert len(read_proposals(Review.open(tmp_path / "review"))) == 3
    write_volume(scan(5), scans / "broken.nii.gz", overwrite=True)
    assert rank(scans, model, tmp_path / "review") == 0
    assert len(read_proposals(Review.open(tmp_path / "review"))) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no Unicode")
def test_a_scan_whose_name_is_no_unicode_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = make_scans(tmp_path / "scans")
    shutil.copy(scans / "a.nii.gz", os.fsencode(scans) + b"/caf\xe9.nii.gz")
    shutil.move(scans / "a.nii.gz", scans / "é 日.nii.gz")
    assert rank(scans, model, tmp_path / "review") == 1
    assert "caf\\udce9 is left out: its name is no valid UTF-8" in capsys.readouterr().err
    review = Review.open(tmp_path / "review")
    accept(review, "é 日", corrected(review, "é 日"))
    assert read_states(review)["é 日"].state == "accepted"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: ["--device", "cuda:77"], "sees 0 cuda"),
        (lambda t: ["--model", str(t / "nowhere")], "nowhere: no such folder"),
        (lambda t: ["--order", "best"], "best"),
        (lambda t: ["--out", str(t)], "exists and is no review"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_made(
    change: Any, said: str, scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert rank(scans, model, tmp_path / "review", *change(tmp_path)) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "review").exists()


def test_other_scans_and_an_earlier_round_are_refused_and_a_new_run_is_a_round(
    scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "review"
    assert rank(scans, model, out) == 0
    assert rank(tmp_path, model, out) == 1
    assert "is a review of other scans" in capsys.readouterr().err
    later = save_threshold_model(tmp_path / "later", (-300.5, 150.5))
    assert rank(scans, later, out) == 0
    assert "is now round 1" in capsys.readouterr().out
    assert Review.open(out).rounds == (model, later)
    assert len(list((out / "proposals").iterdir())) == 2
    assert rank(scans, model, out) == 1
    assert "a later round than" in capsys.readouterr().err


def test_a_second_ranking_of_the_same_review_is_refused_while_the_first_runs(
    scans: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    folder = proposal_folder(review)
    folder.mkdir()
    with locked(folder / ".lock"):
        assert rank(scans, model, review.folder) == 1
    assert "another program is ranking these scans" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["signal", "parent"])
def test_ctrl_c_and_the_end_of_the_parent_keep_what_is_done(how: str, model: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in range(30):
        write_volume(scan(number % 8), scans / f"s{number:02}.nii.gz")
    options = ["--model", model, "--out", tmp_path / "review", "--device", "cpu", "--json"]
    program = subprocess.Popen(
        [sys.executable, "-m", "genesis_core", "rank", scans, *options, "--stop-with-parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert program.stdout is not None
    assert program.stdin is not None
    for line in program.stdout:
        if json.loads(line)["event"] == "proposed":
            break
    if how == "signal":
        program.send_signal(signal.SIGINT)
    else:
        program.stdin.close()
        program.stdin = None
    out, err = program.communicate(timeout=60)
    told = records(out)
    if told[-1]["event"] == "finished":
        pytest.skip("it was done before it could be stopped")
    assert program.returncode == 130, err
    assert told[-1]["event"] == "stopped"
    assert "the same command goes on" in err
    review = Review.open(tmp_path / "review")
    done = len(read_proposals(review))
    assert done == told[-1]["proposed"] < 30
    assert len(propose(review, device="cpu")) == 30


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on six labelled scans, and beside it the folder "scans" with two of these, and others."""
    folder = tmp_path_factory.mktemp("trained")
    for name in ("images", "labels"):
        (folder / "labelled" / name).mkdir(parents=True)
    structures = (Structure("soft tissue", 1), Structure("bone", 2))
    for seed in range(6):
        volume = scan(seed)
        array = (volume.array > 0).astype(np.uint8) + (volume.array > 300)
        write_volume(volume, folder / "labelled" / "images" / f"p{seed}.nii.gz")
        write_labels(
            LabelVolume((array,), volume.geometry, structures), folder / "labelled" / "labels" / f"p{seed}.nii.gz"
        )
    settings = {
        "network": {"width": 2},
        "training": {"validate_every": 2, "checkpoint_every": 2, "precision": "float32", "threads": 1},
        "validation_samples": 2,
        "sampling": {"patch_size": [8, 16, 16]},
        "data": {"spacing": "as scanned", "modality": "ct", "cache": str(folder / "cache")},
    }
    gc.finetune(folder / "labelled", folder / "run", settings=settings, max_steps=2, folds=1)
    (folder / "scans").mkdir()
    for seed in (1, 4, 6, 7):
        # Under other names (but for one) and in another format: it is the voxels that tell.
        write_volume(scan(seed), folder / "scans" / f"{'p' if seed == 4 else 'case_'}{seed}.mha")
    return folder


def test_scans_the_run_was_trained_on_are_left_out_by_name_and_stay_so(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = tmp_path / "review"
    for _ in range(2):
        assert rank(trained / "scans", trained / "run", review, "--json") == 0
        told = records(capsys.readouterr().out)
        left_out = {one["case"]: one["reason"] for one in told if one["event"] == "left_out"}
        assert left_out.keys() == {"case_1", "p4"}
        assert left_out["case_1"].startswith("it is p1, which the model was trained or validated on")
        # Said once where it goes by the same name in both places.
        assert left_out["p4"].startswith("the model was trained or validated on it")
    assert [one.case for one in read_proposals(Review.open(review))] == ["case_6", "case_7"]


def test_what_is_usual_is_taken_from_the_labels_the_run_was_trained_on(trained: Path, tmp_path: Path) -> None:
    review = Review.create(tmp_path / "review", scans=trained / "scans", run=trained / "run")
    propose(review, device="cpu")
    usual = read_reference(proposal_folder(review))
    assert usual["bone"]["cases"] == usual["bone"]["looked_for"] == 6
    voxel = 0.7 * 0.8 * 2.5 / 1000
    assert usual["bone"]["ml"] == pytest.approx([2 * (3 + seed) * 5 * voxel for seed in range(6)], abs=1e-3)
    assert usual["bone"]["at_border"] == 0
    assert usual["bone"]["largest"] == 1


def test_a_training_set_that_is_gone_is_said_and_nothing_is_left_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "elsewhere" / "run")
    assert rank(trained / "scans", tmp_path / "elsewhere" / "run", tmp_path / "review") == 0
    said = capsys.readouterr()
    assert "Which scans run was trained on cannot be read, so none can be recognised" in said.err
    assert len(read_proposals(Review.open(tmp_path / "review"))) == 4


def test_a_run_of_regions_is_ranked_with_a_word_and_its_corrections_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genesis_core.errors import ReviewError

    shutil.copytree(trained / "run", trained / "regions", dirs_exist_ok=True)
    text = (trained / "regions" / "run.yaml").read_text()
    assert "regions: {}" in text
    (trained / "regions" / "run.yaml").write_text(text.replace("regions: {}", "regions: {body: [soft tissue, bone]}"))
    assert rank(trained / "scans", trained / "regions", tmp_path / "review") == 0
    assert "structures that are made of others (body)" in capsys.readouterr().err
    review = Review.open(tmp_path / "review")
    with pytest.raises(ReviewError, match="so they cannot teach it"):
        accept(review, "case_6", corrected(review, "case_6"))


def test_an_accepted_case_is_not_proposed_by_the_next_model_until_it_is_undone(review: Review, tmp_path: Path) -> None:
    accept(review, "a", corrected(review))
    later = save_threshold_model(tmp_path / "later", (-300.5, 150.5))
    review = review.add_round(later)
    events: list[dict[str, Any]] = []
    assert [one.case for one in propose(review, device="cpu", report=events.append)] == ["site/b", "site/c"]
    assert {"event": "left_out", "case": "a", "reason": "it is accepted already"} in events
    assert read_states(review)["a"].state == "accepted"
    undo(review)
    assert len(propose(review, device="cpu")) == 3


def test_a_file_that_was_only_touched_keeps_its_proposal(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = make_scans(tmp_path / "scans")
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    propose(review, device="cpu")
    os.utime(scans / "a.nii.gz", (1, 1))
    monkeypatch.setattr("genesis_core.inference.segment.segment", None)
    assert len(propose(review, device="cpu")) == 3


def test_a_scan_in_another_file_keeps_its_proposal_and_on_another_grid_gets_a_new_one(
    model: Path, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in ("a.nii", "b.nii.gz"):
        write_volume(scan(), scans / name)
    review = Review.create(tmp_path / "review", scans=scans, run=model)
    propose(review, device="cpu")
    write_volume(scan(), scans / "a.nii.gz")
    (scans / "a.nii").unlink()
    wider = replace(GEOMETRY, spacing=(0.9, 0.9, 2.5))
    write_volume(scan(geometry=wider), scans / "b.nii.gz", overwrite=True)
    events: list[dict[str, Any]] = []
    first, second = propose(review, device="cpu", report=events.append)
    assert [one["case"] for one in events if one["event"] == "proposed"] == ["b"]
    assert first.images == (scans / "a.nii.gz",)
    assert read_labels(second.label).geometry.spacing == pytest.approx((0.9, 0.9, 2.5))
    for case in ("a", "b"):
        accept(review, case, corrected(review, case))


def test_a_review_that_lies_among_its_scans_is_not_ranked(model: Path, tmp_path: Path) -> None:
    scans = make_scans(tmp_path / "scans")
    review = Review.create(scans / "review", scans=scans, run=model)
    for _ in range(2):
        assert [one.case for one in propose(review, device="cpu")] == ["a", "site/b", "site/c"]
    accept(review, "a", corrected(review))
    assert [one.case for one in propose(review, device="cpu")] == ["a", "site/b", "site/c"]


def test_segmenting_training_scans_with_the_run_says_so(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["segment", str(trained / "scans"), "--model", str(trained / "run"), "--out", str(tmp_path / "out")]
    assert run([*arguments, "--device", "cpu"]) == 0
    said = capsys.readouterr().err
    assert "trained or validated on 2 of these scans (case_1" in said
