"""Fine-tuning as a user runs it: from a folder to a model, stopped, resumed, in folds, and with wrong input."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import genesis_core as gc
from genesis_core.cli.main import run
from genesis_core.errors import ModelError, RunError
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.studies.twins import train_twins
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.voxel_fingerprint import image_fingerprint
from genesis_core.volumes.writing import write_volume

STRUCTURES = ("lung_right", "lung_left", "liver")
QUICK = {
    "network": {"width": 2},
    "training": {"validate_every": 3, "checkpoint_every": 2, "batch_size": 2, "precision": "float32", "threads": 1},
    "validation_samples": 2,
    "sampling": {"patch_size": [16, 24, 24]},
    "data": {"spacing": "as scanned"},
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five small phantoms with three structures; names that must not show in a run."""
    folder = tmp_path_factory.mktemp("set") / "labelled"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(5):
        add_case(folder, number)
    return folder


@pytest.fixture(scope="module")
def source(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-training of one step."""
    out = tmp_path_factory.mktemp("source") / "source"
    settings = {"network": {"width": 2}, "training": {"precision": "float32", "threads": 1}, "validation_samples": 2}
    return gc.pretrain(labelled / "images", out, settings=settings, max_steps=1, patch_size=(16, 24, 24)).path


def add_case(folder: Path, number: int) -> None:
    phantom = make_phantom(number, (28, 40, 40))
    array = np.zeros(phantom.labels.array.shape, np.uint8)
    for value, name in enumerate(STRUCTURES, start=1):
        array[phantom.labels.array == LABELS[name]] = value
    structures = tuple(Structure(name, value) for value, name in enumerate(STRUCTURES, start=1))
    name = f"secret_patient_{number}.nii.gz"
    write_volume(phantom.volume, folder / "images" / name)
    write_labels(LabelVolume((array,), phantom.labels.geometry, structures), folder / "labels" / name)


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model" / "weights.safetensors")


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def after(steps: int) -> Callable[[], bool]:
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


def stop_at(step: int, fold: int = 1) -> dict[str, Callable[..., Any]]:
    """Arguments that stop a fine-tuning in the middle of its training, once it has told of `step` steps of a fold."""
    heard: list[str] = []

    def reached() -> bool:
        folds = [number for number, kind in enumerate(heard) if kind == "fold"] or [0]
        return len(folds) >= fold and heard[folds[fold - 1] :].count("step") >= step

    return {"report": lambda event: heard.append(event["event"]), "stop": reached}


def test_a_labelled_folder_becomes_a_model_that_segments(labelled: Path, tmp_path: Path) -> None:
    done = gc.finetune(labelled, tmp_path / "run", settings=QUICK, max_steps=6, folds=1)
    assert done.status().state == "finished"
    model = gc.load_model(tmp_path / "run")
    assert [entry.name for entry in model.card.structures] == list(STRUCTURES)
    assert model.card.task == "segmentation"
    assert model.card.activation == "softmax"
    scores = json.loads((tmp_path / "run" / "held_out.json").read_text())
    assert len(scores["cases"]) == 1
    assert model.card.metrics["held_out_mean_dice"] == scores["means"]["mean_dice"]
    stored = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert stored["plan"]["training.max_steps"].startswith("6: as you set it")
    assert stored["cases"]["validation"] == list(scores["cases"])
    scan = gc.read_volume(labelled / "images" / "secret_patient_0.nii.gz")
    assert gc.segment(model, scan).labels.geometry == scan.geometry


def test_the_settings_a_caller_hands_in_stay_as_they_are(labelled: Path, tmp_path: Path) -> None:
    before = copy.deepcopy(QUICK)
    gc.finetune(labelled, tmp_path / "run", settings=QUICK, max_steps=1, folds=1, width=3)
    assert before == QUICK


def test_no_name_of_a_scan_is_written_into_the_run(labelled: Path, tmp_path: Path) -> None:
    gc.finetune(labelled, tmp_path / "run", settings=QUICK, max_steps=2, folds=1)
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert b"secret_patient" not in path.read_bytes(), path


def test_a_stopped_run_resumes_to_the_very_same_weights(labelled: Path, tmp_path: Path) -> None:
    gc.finetune(labelled, tmp_path / "whole", settings=QUICK, max_steps=6, folds=1)
    stopped = gc.finetune(labelled, tmp_path / "halves", settings=QUICK, max_steps=6, folds=1, **stop_at(3))
    assert stopped.status().state == "stopped"
    assert 0 < stopped.status().step < 6
    resumed = gc.finetune(out=tmp_path / "halves", resume=True)
    assert resumed.status().state == "finished"
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "halves"))
    assert (tmp_path / "halves" / "held_out.json").read_text() == (tmp_path / "whole" / "held_out.json").read_text()


def test_a_run_killed_before_its_plan_is_planned_when_it_goes_on(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("genesis_core.training.finetune.prepare_set", killed)
        with pytest.raises(KeyboardInterrupt):
            gc.finetune(labelled, tmp_path / "run", settings=QUICK, max_steps=1, folds=1)
    settings = read_settings(RunFolder(tmp_path / "run"))
    assert isinstance(settings, FinetuneSettings)
    assert settings.is_given("sampling.patch_size")
    assert not any(settings.is_given(key) for key in ("network.norm", "data.axis_codes", "training.keep", "seed"))
    gc.finetune(out=tmp_path / "run", resume=True)
    resumed = read_settings(RunFolder(tmp_path / "run"))
    assert isinstance(resumed, FinetuneSettings)
    assert "as you set it" not in resumed.plan["network.norm"]
    assert "as you set it" in resumed.plan["sampling.patch_size"]
    # Five subjects: no best state is picked.
    assert resumed.training.keep == "last"


def test_the_person_is_told_the_name_of_a_held_out_case_and_the_run_is_not(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--folds", "1", "--max-steps", "1", "--patch-size", "16,24,24", "--width", "2", "--precision", "float32"]
    words += ["--set", "validation_samples=2", "--set", "training.threads=1"]
    assert run(["finetune", str(labelled), "--out", str(tmp_path / "run"), *words]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("held-out ")]
    assert line.startswith("held-out secret_patient_")
    assert "(case_" in line
    assert "secret" not in (tmp_path / "run" / "events.jsonl").read_text()


def test_folds_hold_every_case_out_once_and_are_applied_together(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genesis_core.training.run_folder._HEARTBEAT_SECONDS", 0.0)
    out = tmp_path / "run"
    alive: list[tuple[str, int, float]] = []

    def look(event: dict[str, Any]) -> None:
        status = RunFolder(out).status()
        alive.append((event["event"], status.step, status.heartbeat))

    gc.finetune(labelled, out, settings=QUICK, max_steps=2, folds=2, report=look)
    # The run itself shows that it lives, and how far it is, while its folds train and are scored.
    assert [step for kind, step, _ in alive if kind == "step"] == [1, 2, 3, 4]
    beats = [heartbeat for kind, _, heartbeat in alive if kind in ("step", "held_out")]
    assert all(later > earlier for earlier, later in pairwise(beats))
    scores = json.loads((out / "held_out.json").read_text())
    assert len(scores["cases"]) == 5
    models = gc.load_ensemble(out)
    assert len(models) == 2
    scan = gc.read_volume(labelled / "images" / "secret_patient_0.nii.gz")
    found = gc.segment(models, scan, overlap=0)
    assert (found.predictions, found.labels.geometry) == (2, scan.geometry)
    # As a source one is needed, and the message names those that can be taken.
    with pytest.raises(ModelError, match=r"2 models, one for each fold \(folds/0/model, folds/1/model\)"):
        gc.load_model(out)
    with pytest.raises(ModelError, match="load_ensemble"):
        gc.finetune(labelled, tmp_path / "next", source=out, settings=QUICK)
    assert len(gc.load_ensemble(out / "folds" / "1")) == 1
    held_out = [
        yaml.safe_load((out / "folds" / str(k) / "run.yaml").read_text())["cases"]["validation"] for k in (0, 1)
    ]
    assert sorted([*held_out[0], *held_out[1]]) == sorted(scores["cases"])
    data = models[0].card.data
    assert data["subjects_by_part"] == {"training": data["training_cases"], "validation": data["validation_cases"]}
    assert sum(data["subjects_by_part"].values()) == data["subjects"] == 5
    assert run(["finetune", "--resume", "--out", str(out)]) == 0


def test_stopped_folds_go_on_where_they_were(labelled: Path, tmp_path: Path) -> None:
    gc.finetune(labelled, tmp_path / "whole", settings=QUICK, max_steps=3, folds=2)
    first = gc.finetune(labelled, tmp_path / "run", settings=QUICK, max_steps=3, folds=2, **stop_at(1, fold=2))
    assert first.status().state == "stopped"
    assert 0 < RunFolder(tmp_path / "run" / "folds" / "1").status().step < 3
    assert gc.finetune(out=tmp_path / "run", resume=True).status().state == "finished"
    for fold in ("0", "1"):
        assert equal(weights(tmp_path / "whole" / "folds" / fold), weights(tmp_path / "run" / "folds" / fold))


def test_folds_killed_in_the_second_go_on_with_the_same_cases_and_leave_the_first_alone(
    labelled: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "labelled", tmp_path / "run"
    shutil.copytree(labelled, folder)
    planned: list[dict[str, Any]] = []

    def kill(event: dict[str, Any]) -> None:
        planned.extend([event] if event["event"] == "planned" else [])
        if len(planned) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gc.finetune(folder, out, settings=QUICK, max_steps=2, folds=2, report=kill)
    done = {path: path.stat().st_mtime_ns for path in (out / "folds" / "0").rglob("*") if path.is_file()}
    (folder / "images" / "secret_patient_3.nii.gz").rename(tmp_path / "away.nii.gz")
    with pytest.raises(RunError, match="1 of the run's cases are not there"):
        gc.finetune(out=out, resume=True)
    (tmp_path / "away.nii.gz").rename(folder / "images" / "secret_patient_3.nii.gz")
    add_case(folder, 7)
    heard: list[dict[str, Any]] = []
    assert gc.finetune(out=out, resume=True, report=heard.append).status().state == "finished"
    assert done == {path: path.stat().st_mtime_ns for path in (out / "folds" / "0").rglob("*") if path.is_file()}
    assert any("1 case is new in the folder" in event.get("message", "") for event in heard)
    assert len(json.loads((out / "held_out.json").read_text())["cases"]) == 5


def test_a_source_gives_its_weights_width_norm_and_intensities(labelled: Path, tmp_path: Path) -> None:
    settings = {"network": {"width": 3}, "training": {"precision": "float32", "threads": 1}, "validation_samples": 2}
    gc.pretrain(labelled / "images", tmp_path / "source", settings=settings, max_steps=2, patch_size=(16, 24, 24))
    quick = {**QUICK, "network": {}}
    heard: list[dict[str, Any]] = []
    gc.finetune(
        labelled,
        tmp_path / "run",
        source=tmp_path / "source",
        settings=quick,
        max_steps=1,
        folds=1,
        report=heard.append,
    )
    card = gc.load_model(tmp_path / "run").card
    assert (card.network.width, card.network.norm) == (3, "batch")
    assert card.source == "source"
    transfer = next(event for event in heard if event["event"] == "transfer")
    assert "start from model 'source' (encoder+decoder)" in transfer["message"]


def test_it_is_said_aloud_if_pre_training_saw_a_held_out_scan(
    labelled: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = set(gc.load_model(source).card.data["seen"])
    cases = gc.find_labelled(labelled).cases
    was_seen = {case.id: image_fingerprint(gc.read_volume(case.images[0].path)) in seen for case in cases}
    assert sorted(was_seen.values()) == [False, True, True, True, True]
    words = ["--source", str(source), "--width", "2", "--dry-run"]
    assert run(["finetune", str(labelled), *words]) == 0
    assert "pre-trained on 4 of the scans that are held out" in capsys.readouterr().err
    for held_out in was_seen:
        heard: list[dict[str, Any]] = []
        split = {"training": [name for name in was_seen if name != held_out], "validation": [held_out]}
        gc.finetune(
            labelled,
            tmp_path / held_out,
            source=source,
            settings={**QUICK, "network": {}, "cases": split},
            max_steps=1,
            report=heard.append,
        )
        warned = any("pre-trained on 1 of the scans" in event.get("message", "") for event in heard)
        assert warned == was_seen[held_out]


def test_twins_are_trained_at_equal_budget_on_the_same_cases_when_a_stopped_run_goes_on(
    labelled: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    asked: dict[str, Any] = {**QUICK, "network": {}, "twins": True}
    gc.finetune(labelled, out, source=source, settings=asked, max_steps=2, folds=1, stop=after(30))
    assert RunFolder(out).status().state == "stopped"
    assert run(["finetune", "--resume", "--out", str(out), "--processes", "2"]) == 2
    assert "twins train in one process" in capsys.readouterr().err
    assert run(["finetune", "--resume", "--out", str(out)]) == 0
    assert "nothing can be said" in capsys.readouterr().out
    own = yaml.safe_load((out / "run.yaml").read_text())
    for name in ("scratch", "scratch_plain"):
        twin = yaml.safe_load((out / "twins" / name / "run.yaml").read_text())
        assert twin["cases"] == own["cases"]
        assert twin["training"] == own["training"]
        assert twin["network"] == own["network"]
        assert twin["source"] is None
    assert twin["augmentation"]["recipe_probability"] == 0
    answers = json.loads((out / "twins.json").read_text())
    assert answers["scratch"]["verdict"] == "too few subjects to tell"


def test_each_fold_of_a_twin_has_the_steps_and_cases_of_the_runs_own(
    labelled: Path, source: Path, tmp_path: Path
) -> None:
    settings = {**QUICK, "network": {}}
    done = gc.finetune(labelled, tmp_path / "run", source=source, settings=settings, folds=2, max_hours=1e-6)
    # As if more steps had fitted the time on a machine at rest.
    stored = done.path / "folds" / "0" / "run.yaml"
    values = yaml.safe_load(stored.read_text())
    stored.write_text(yaml.safe_dump({**values, "training": {**values["training"], "max_steps": 7}}))
    planned: list[int] = []

    def hear(event: dict[str, Any]) -> None:
        planned.extend([event["steps"]] if event["event"] == "planned" else [])

    assert train_twins(done, report=hear, stop=lambda: bool(planned)) is None
    assert planned == [7]
    for fold in ("0", "1"):
        own, twin = (
            yaml.safe_load((path / "folds" / fold / "run.yaml").read_text())
            for path in (done.path, done.path / "twins" / "scratch")
        )
        assert twin["training"]["max_steps"] == own["training"]["max_steps"]
        assert twin["cases"] == own["cases"]
        assert twin["source"] is None


def test_only_the_structures_asked_for_are_learnt(labelled: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "data": {"spacing": "as scanned", "structures": ["liver"]}}
    gc.finetune(labelled, tmp_path / "run", settings=settings, max_steps=1, folds=1)
    card = gc.load_model(tmp_path / "run").card
    assert [(entry.name, entry.value) for entry in card.structures] == [("liver", 3)]
    assert card.activation == "sigmoid"


def test_the_plan_is_shown_without_writing_anything(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", str(labelled), "--out", str(tmp_path / "run"), "--dry-run"]
    assert run([*words, "--spacing", "0.8,0.8,3"]) == 0
    assert "data.spacing = 0.8 x 0.8 x 3 mm: as you set it" in capsys.readouterr().out
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert shown.index("The plan, and why:") < shown.index("data.spacing = as scanned: all") < shown.index("task: segm")
    assert "training.max_steps = 1000" in shown
    assert "data.structures = lung_right (drawn in 5 of 5 cases it was looked for in), lung_left" in shown
    assert not (tmp_path / "run").exists()


def test_the_plan_says_which_structures_were_not_looked_for_everywhere(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        case = tmp_path / "masks" / f"case_{number}"
        (case / "segmentations").mkdir(parents=True)
        phantom = make_phantom(number, (28, 40, 40))
        write_volume(phantom.volume, case / "ct.nii.gz")
        # Nobody looked for the liver in the last case.
        for name in STRUCTURES[: 3 if number < 2 else 2]:
            drawn = np.asarray(phantom.labels.array == LABELS[name], np.uint8)
            mask = LabelVolume((drawn,), phantom.labels.geometry, (Structure(name, 1),))
            write_labels(mask, case / "segmentations" / f"{name}.nii.gz")
    assert run(["finetune", str(tmp_path / "masks"), "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "liver (drawn in 2 of 2 cases it was looked for in)" in shown
    assert "of 3 cases in all. Each is learnt where it was looked for" in shown
    assert "left open elsewhere (sigmoid)" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--structures", "spleen"], 1, "spleen is none of the set's; it has lung_right, lung_left, liver"),
        (["--source", "nowhere"], 1, "nowhere: no such folder"),
        (["--spacing", "-1,1,1"], 2, "greater than 0"),
    ],
)
def test_wrong_settings_are_named(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert run(["finetune", str(labelled), "--out", str(tmp_path / "run"), *arguments]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_a_run_without_a_folder_is_wrong_usage(
    labelled: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run([command, str(labelled)]) == 2
    assert "--out is required" in capsys.readouterr().err


def test_a_folder_without_pairs_is_refused_with_what_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    write_volume(make_phantom(1, (8, 8, 8)).volume, tmp_path / "in" / "a.nii.gz")
    assert run(["finetune", str(tmp_path / "in"), "--out", str(tmp_path / "run")]) == 1
    assert "images/" in capsys.readouterr().err
    # The right folder can then be named with the same --out.
    assert not (tmp_path / "run").exists()
