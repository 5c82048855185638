"""Continuing a fine-tuning with corrected cases: who stays held out, what goes on from what, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import genesis_core as gc
from genesis_core.cli.main import run
from genesis_core.errors import GenesisError, RunError, SettingsError
from genesis_core.model.folder import load_model, save_model
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.training.round_chain import is_corrected
from genesis_core.training.rounds import next_round
from genesis_core.training.run_folder import RunFolder
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.labelled.layout import case_id
from genesis_core.volumes.writing import write_volume

STRUCTURES = ("lung_right", "lung_left", "liver")
QUICK: dict[str, Any] = {
    "network": {"width": 2, "depth": 3},
    "training": {"validate_every": 4, "checkpoint_every": 2, "batch_size": 1, "precision": "float32", "threads": 1},
    "validation_samples": 1,
    "sampling": {"patch_size": [16, 16, 16]},
    "data": {"spacing": "as scanned"},
}
SHAPE = (16, 32, 32)


def write_case(folder: Path, name: str, seed: int, values: dict[str, int] | None = None) -> None:
    """Write a phantom and its labels. values: number of each structure; those not named are not looked for."""
    values = values or {structure: value for value, structure in enumerate(STRUCTURES, start=1)}
    phantom = make_phantom(seed, SHAPE)
    array = np.zeros(SHAPE, np.uint8)
    for structure, value in values.items():
        array[phantom.labels.array == LABELS[structure]] = value
    structures = tuple(Structure(structure, value) for structure, value in values.items())
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_volume(phantom.volume, folder / "images" / f"{name}.nii.gz")
    write_labels(LabelVolume((array,), phantom.labels.geometry, structures), folder / "labels" / f"{name}.nii.gz")


def after(steps: int) -> Callable[[], bool]:
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model" / "weights.safetensors")


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def cases_of(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load((folder / "run.yaml").read_text())["cases"]
    return found


def messages(heard: list[dict[str, Any]], kind: str) -> str:
    return "\n".join(event.get("said") or event["message"] for event in heard if event["event"] == kind)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace: labelled/ with four phantoms, corrected/ with two, round_0 trained on one split, folds_0 on two."""
    folder = tmp_path_factory.mktemp("workspace")
    for seed in range(4):
        write_case(folder / "labelled", f"secret_patient_{seed}", seed)
    for seed in (10, 11):
        write_case(folder / "corrected", f"secret_visitor_{seed}", seed)
    gc.finetune(folder / "labelled", folder / "round_0", settings=QUICK, max_steps=8, folds=1)
    gc.finetune(folder / "labelled", folder / "folds_0", settings=QUICK, max_steps=4, folds=2)
    return folder


def test_a_run_goes_on_from_its_model_and_holds_the_same_cases_out(place: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    out = tmp_path / "round_1"
    done = gc.finetune(previous=place / "round_0", corrected=place / "corrected", out=out, report=heard.append)
    assert done.status().state == "finished"
    before, now = cases_of(place / "round_0"), cases_of(out)
    assert now["validation"] == before["validation"]
    added = [name for name in now["training"] if name not in before["training"]]
    assert now["training"][: len(before["training"])] == before["training"]
    assert len(added) == 2
    assert all(is_corrected(name) for name in added)
    stored = yaml.safe_load((out / "run.yaml").read_text())
    # A quarter of the eight steps, and a schedule of its own.
    assert stored["training"]["max_steps"] == 2
    assert "a quarter of the 8 of a whole training" in stored["plan"]["training.max_steps"]
    assert "the learning rate is warmed up to 0.001 again" in stored["plan"]["rounds.start"]
    assert "2 corrected cases join" in stored["plan"]["rounds.corrected"]
    assert "the last layer included; the optimiser starts afresh" in messages(heard, "transfer")
    assert set(json.loads((out / "held_out.json").read_text())["cases"]) == set(before["validation"])
    card = gc.load_model(out).card
    assert [(one.name, one.value) for one in card.structures] == [(n, v) for v, n in enumerate(STRUCTURES, 1)]
    assert card.source == "round_0"


def test_the_first_weights_of_a_round_are_the_last_of_the_one_before(place: Path, tmp_path: Path) -> None:
    settings = {"training": {"learning_rate": 1e-12, "weight_decay": 0.0}}
    gc.finetune(previous=place / "folds_0", corrected=place / "corrected", out=tmp_path / "run", settings=settings)
    for fold in ("0", "1"):
        before, now = weights(place / "folds_0" / "folds" / fold), weights(tmp_path / "run" / "folds" / fold)
        assert before.keys() == now.keys()
        for key in before:
            # Fold i goes on from fold i, the last layer included.
            np.testing.assert_allclose(now[key], before[key], atol=1e-6)


def test_every_fold_keeps_whom_it_holds_out(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    gc.finetune(previous=place / "folds_0", corrected=place / "corrected", out=out)
    for fold in ("0", "1"):
        before, now = cases_of(place / "folds_0" / "folds" / fold), cases_of(out / "folds" / fold)
        assert now["validation"] == before["validation"]
        assert [name for name in now["training"] if not is_corrected(name)] == before["training"]
        assert sum(is_corrected(name) for name in now["training"]) == 2
    rounds = gc.rounds_of(out)
    assert [one.number for one in rounds] == [0, 1]
    assert [(one.cases, one.corrected) for one in rounds] == [(4, 0), (6, 2)]
    for one in rounds:
        means = json.loads((one.run / "held_out.json").read_text())["means"]
        assert one.dice["mean_dice"] == means["mean_dice"]
        assert one.dice["liver"] == means["dice_liver"]


def test_a_stopped_round_resumes_to_the_very_same_weights(place: Path, tmp_path: Path) -> None:
    corrected = tmp_path / "corrected"
    shutil.copytree(place / "corrected", corrected)
    given: dict[str, Any] = {"previous": place / "folds_0", "corrected": corrected, "max_steps": 4}
    gc.finetune(out=tmp_path / "whole", **given)
    stopped = gc.finetune(out=tmp_path / "halves", stop=after(40), **given)
    assert stopped.status().state == "stopped"
    assert (tmp_path / "halves" / "folds" / "0").is_dir()
    # Who accepts further cases meanwhile does not change a run that has begun.
    write_case(corrected, "later", 12)
    assert gc.finetune(out=tmp_path / "halves", resume=True).status().state == "finished"
    for fold in ("0", "1"):
        assert equal(weights(tmp_path / "whole" / "folds" / fold), weights(tmp_path / "halves" / "folds" / fold))
    first, second = (json.loads((tmp_path / name / "held_out.json").read_text()) for name in ("whole", "halves"))
    assert first == second


def test_the_same_command_resumes_a_round_that_is_there(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["finetune", "--continue", str(place / "round_0"), "--corrected", str(place / "corrected")]
    assert run([*words, "--out", str(out), "--resume", "auto"]) == 0
    assert run([*words, "--out", str(out), "--resume", "auto"]) == 0
    assert run([*words, "--start", "source", "--out", str(out), "--resume", "auto"]) == 1


def test_a_chain_of_three_keeps_corrected_cases_and_counts_steps_from_the_first(place: Path, tmp_path: Path) -> None:
    corrected = tmp_path / "corrected"
    shutil.copytree(place / "corrected", corrected)
    gc.finetune(previous=place / "round_0", corrected=corrected, out=tmp_path / "round_1")
    write_case(corrected, "secret_visitor_12", 12)
    gc.finetune(previous=tmp_path / "round_1", out=tmp_path / "round_2")
    gc.finetune(previous=tmp_path / "round_2", start="source", out=tmp_path / "round_3", max_steps=1)
    held_out = cases_of(place / "round_0")["validation"]
    assert all(cases_of(tmp_path / name)["validation"] == held_out for name in ("round_1", "round_2", "round_3"))
    rounds = gc.rounds_of(tmp_path / "round_3")
    assert [(one.number, one.run.name, one.start, one.corrected) for one in rounds] == [
        (0, "round_0", None, 0),
        (1, "round_1", "previous", 2),
        (2, "round_2", "previous", 3),
        (3, "round_3", "source", 3),
    ]
    steps = [yaml.safe_load((one.run / "run.yaml").read_text())["training"]["max_steps"] for one in rounds]
    assert steps == [8, 2, 2, 1]
    assert next_round(tmp_path / "round_3", out=None, start="source").training.max_steps == 1
    # Where an earlier run is gone, what is left still knows its number.
    shutil.rmtree(tmp_path / "round_1")
    left = gc.rounds_of(tmp_path / "round_3")
    assert [(one.number, one.missing) for one in left] == [(2, True), (3, False)]


def test_from_the_source_it_begins_as_the_first_run_began(place: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"corrected": place / "corrected", "start": "source"}
    out = tmp_path / "run"
    gc.finetune(previous=place / "round_0", out=out, settings={"training": {"learning_rate": 1e-12}}, **given)
    stored = yaml.safe_load((out / "run.yaml").read_text())
    assert stored["training"]["max_steps"] == 8
    assert "source: begins again as round_0 began, from scratch" in stored["plan"]["rounds.start"]
    assert not equal(weights(out), weights(place / "round_0"))
    assert gc.load_model(out).card.source is None


def test_a_licence_holds_for_what_is_continued(place: Path, tmp_path: Path) -> None:
    source = load_model(place / "round_0")
    terms = "non-commercial use only (a university)"
    card = source.card.model_copy(
        update={"name": "chest", "licence": terms, "source": "chest.pt", "task": "restoration"}
    )
    save_model(tmp_path / "chest", source.network, replace(source, card=card).card)
    gc.finetune(place / "labelled", tmp_path / "a", source=tmp_path / "chest", settings=QUICK, max_steps=1, folds=1)
    gc.finetune(previous=tmp_path / "a", corrected=place / "corrected", out=tmp_path / "b", max_steps=1)
    # What it goes on from holds all that is needed of the source.
    shutil.rmtree(tmp_path / "chest")
    gc.finetune(previous=tmp_path / "b", out=tmp_path / "c", max_steps=1)
    last = gc.load_model(tmp_path / "c").card
    assert last.source == "b, from a, from chest, from chest.pt"
    assert last.source_licence == terms
    with pytest.raises(GenesisError, match="no such folder"):
        gc.finetune(previous=tmp_path / "b", start="source", out=tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_corrected_cases_that_are_held_out_teach_nothing(place: Path, tmp_path: Path) -> None:
    held_out = set(cases_of(place / "round_0")["validation"])
    names = [f"secret_patient_{seed}" for seed in range(4)]
    seeds = [seed for seed, name in enumerate(names) if case_id(name) in held_out]
    corrected = tmp_path / "corrected"
    # The same voxels under another name; another scan of the same name, as of one subject; and one that may teach.
    write_case(corrected, "renamed", seeds[0])
    write_case(corrected, names[seeds[0]], 20)
    write_case(corrected, "fresh", 21)
    heard: list[dict[str, Any]] = []
    gc.finetune(previous=place / "round_0", corrected=corrected, out=tmp_path / "run", report=heard.append, max_steps=1)
    assert [name for name in cases_of(tmp_path / "run")["training"] if is_corrected(name)] == [
        f"corrected_{case_id('fresh').removeprefix('case_')}"
    ]
    told = messages(heard, "warning")
    assert "2 cases left out: their scan or subject is held out there" in told
    assert "corrected/renamed" in told
    # In folds, each is left out where it is held out, and trains elsewhere.
    heard.clear()
    gc.finetune(
        previous=place / "folds_0", corrected=corrected, out=tmp_path / "folds", report=heard.append, max_steps=1
    )
    counts = [sum(is_corrected(n) for n in cases_of(tmp_path / "folds" / "folds" / k)["training"]) for k in ("0", "1")]
    assert sorted(counts) == [1, 3]
    assert "left out of the training of fold" in messages(heard, "warning")


def test_a_case_of_the_same_name_is_another_case(place: Path, tmp_path: Path) -> None:
    training = cases_of(place / "round_0")["training"]
    name = next(f"secret_patient_{n}" for n in range(4) if case_id(f"secret_patient_{n}") in training)
    write_case(tmp_path / "corrected", name, 30)
    gc.finetune(previous=place / "round_0", corrected=tmp_path / "corrected", out=tmp_path / "run", max_steps=1)
    now = cases_of(tmp_path / "run")["training"]
    assert len(set(now)) == len(training) + 1


def test_structures_are_matched_by_name_and_may_be_drawn_in_part(place: Path, tmp_path: Path) -> None:
    # Other numbers, and nobody looked for the left lung.
    write_case(tmp_path / "corrected", "partly", 31, {"liver": 1, "lung_right": 7})
    heard: list[dict[str, Any]] = []
    out = tmp_path / "run"
    gc.finetune(previous=place / "round_0", corrected=tmp_path / "corrected", out=out, max_steps=2, report=heard.append)
    card = gc.load_model(out).card
    assert [(one.name, one.value) for one in card.structures] == [(n, v) for v, n in enumerate(STRUCTURES, 1)]
    assert card.activation == "softmax"
    plan = yaml.safe_load((out / "run.yaml").read_text())["plan"]
    assert "lung_left (drawn in 4 of 4 cases it was looked for in)" in plan["data.structures"]
    assert "liver (drawn in 5 of 5 cases it was looked for in)" in plan["data.structures"]


def test_an_unknown_structure_is_refused_by_name(place: Path, tmp_path: Path) -> None:
    write_case(tmp_path / "corrected", "odd", 32, {"liver": 1, "heart": 2})
    with pytest.raises(SettingsError, match="'heart' is no structure of the run, which knows lung_right, lung_left"):
        gc.finetune(previous=place / "round_0", corrected=tmp_path / "corrected", out=tmp_path / "run")


def test_no_name_of_a_scan_is_written_into_a_round(place: Path, tmp_path: Path) -> None:
    gc.finetune(previous=place / "round_0", corrected=place / "corrected", out=tmp_path / "run", max_steps=1)
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"secret_patient" not in data, path
            assert b"secret_visitor" not in data, path


def test_what_has_to_stay_is_refused(place: Path, tmp_path: Path) -> None:
    for settings, words in (
        ({"network": {"width": 4}}, "network.width"),
        ({"sampling": {"patch_size": [24, 16, 16]}}, "sampling.patch_size"),
        ({"data": {"structures": ["liver"]}}, "data.structures"),
        ({"folds": 5}, "folds"),
        ({"source": "elsewhere"}, "say --start source"),
        ({"twins": True}, "twins tell whether a source helped"),
    ):
        with pytest.raises(SettingsError, match=words):
            gc.finetune(previous=place / "round_0", out=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_continued_says_why(place: Path, tmp_path: Path) -> None:
    stopped = gc.finetune(place / "labelled", tmp_path / "early", settings=QUICK, folds=2, stop=after(1))
    assert stopped.status().state == "stopped"
    with pytest.raises(RunError, match="resume it first"):
        next_round(tmp_path / "early", out=None)
    gc.pretrain(
        place / "labelled" / "images",
        tmp_path / "pretrained",
        settings={**QUICK, "data": {}},
        max_steps=1,
    )
    with pytest.raises(RunError, match="only a fine-tuning can be continued"):
        next_round(tmp_path / "pretrained", out=None)
    with pytest.raises(RunError, match="no such run folder"):
        next_round(tmp_path / "nowhere", out=None)


def test_a_run_that_was_stopped_with_a_model_can_be_continued(place: Path, tmp_path: Path) -> None:
    stopped = gc.finetune(place / "labelled", tmp_path / "run", settings=QUICK, max_steps=100, folds=1, stop=after(20))
    assert stopped.status().state == "stopped"
    assert 0 < stopped.status().step < 100
    gc.finetune(previous=tmp_path / "run", corrected=place / "corrected", out=tmp_path / "next", max_steps=1)
    rounds = gc.rounds_of(tmp_path / "next")
    assert [one.state for one in rounds] == ["stopped", "finished"]
    assert rounds[0].dice == {}


def test_a_moved_or_thinned_labelled_folder_is_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / "labelled", tmp_path / "labelled")
    gc.finetune(tmp_path / "labelled", tmp_path / "first", settings=QUICK, max_steps=1, folds=1)
    (tmp_path / "labelled").rename(tmp_path / "moved")
    words = ["finetune", "--continue", str(tmp_path / "first"), "--max-steps", "1", "--out"]
    assert run([*words, str(tmp_path / "second")]) == 1
    assert "--set data.labelled=FOLDER" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()
    assert run([*words, str(tmp_path / "second"), "--set", f"data.labelled={tmp_path / 'moved'}"]) == 0
    shown = capsys.readouterr().out
    assert "round" in shown
    assert "second" in shown
    gone = cases_of(tmp_path / "first")["training"][0]
    name = next(f"secret_patient_{n}" for n in range(4) if case_id(f"secret_patient_{n}") == gone)
    for part in ("images", "labels"):
        (tmp_path / "moved" / part / f"{name}.nii.gz").unlink()
    assert run([*words, str(tmp_path / "third"), "--set", f"data.labelled={tmp_path / 'moved'}"]) == 1
    assert f"1 of the run's cases are not there or no longer usable ({gone})" in capsys.readouterr().err


def test_the_plan_of_a_round_is_shown_without_writing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", "--continue", str(place / "folds_0"), "--corrected", str(place / "corrected")]
    assert run([*words, "--start", "source", "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "rounds.start = source: begins again as folds_0 began" in shown
    assert "training.max_steps = 4: all of a whole training" in shown
    assert not (tmp_path / "run").exists()
    assert run(["finetune", "--corrected", str(place / "corrected"), "--out", str(tmp_path / "run")]) == 2
    assert "name it with --continue RUN" in capsys.readouterr().err


def test_a_queued_round_is_started_as_a_window_does(place: Path, tmp_path: Path) -> None:
    from genesis_core.training.run_settings import write_settings

    settings = next_round(place / "round_0", place / "corrected", out=tmp_path / "run", max_steps=1)
    write_settings(RunFolder.create(tmp_path / "run"), settings)
    done = gc.finetune(out=tmp_path / "run", resume=True)
    assert done.status().state == "finished"
    assert sum(is_corrected(name) for name in cases_of(tmp_path / "run")["training"]) == 2


def test_reading_a_chain_loads_no_torch(place: Path) -> None:
    code = (
        "import sys; from genesis_core.training.rounds import rounds_of, next_round; "
        f"assert rounds_of({str(place / 'folds_0')!r})[0].cases == 4; "
        f"next_round({str(place / 'folds_0')!r}, out=None); "
        "heavy = {'torch', 'SimpleITK', 'numba', 'scipy', 'blosc2'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
