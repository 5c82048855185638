"""`runs export`, `runs compare` and `runs list` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from genesis_core.cli.main import run
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import load_model, save_model
from genesis_core.networks import UNet3DSettings, create_network
from genesis_core.studies.run_comparison import NOT_SET, as_text, differences, flat_settings
from genesis_core.training.run_folder import RunFolder
from genesis_core.volumes.preprocessing import Preprocessing


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A pre-training with a model, and a fine-tuning that is scored."""
    for name, task in (("lung", "restoration"), ("liver", "segmentation")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        steps = [{"kind": "nonlinear", "probability": 0.9}, {"one_of": {"of": [{"kind": "inner_cutout", "weight": 1}]}}]
        settings = {"schema": 1, "task": task, "training": {"learning_rate": 0.001}, "recipe": {"steps": steps}}
        if task == "segmentation":
            settings |= {"source": "../lung", "cases": {"training": [f"case_{n:010}" for n in range(40)]}}
        (folder / "run.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        (folder / "status.json").write_text(json.dumps({"state": "finished", "step": 10, "total_steps": 10}))
        event = {"event": "validation", "step": 10, "loss": 0.02, "return_mean": 0.05}
        (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    (tmp_path / "runs" / "liver" / "held_out.json").write_text('{"means": {"mean_dice": 0.83}}')
    network = UNet3DSettings(width=2, depth=2)
    card = ModelCard(
        name="lung", task="restoration", network=network, activation="sigmoid", patch_size=(8, 8, 8),
        preprocessing=Preprocessing(modality="ct"),
    )  # fmt: skip
    save_model(tmp_path / "runs" / "lung" / "model", create_network(network, seed=0), card)
    return tmp_path / "runs"


def test_a_model_is_exported_and_what_was_written_is_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["runs", "export", str(runs / "lung"), "--out", str(tmp_path / "out")]) == 0
    assert "licence: not stated" in capsys.readouterr().out
    assert load_model(tmp_path / "out").card == load_model(runs / "lung").card
    assert run(["runs", "export", str(runs / "lung"), "--out", str(tmp_path / "out")]) == 2
    assert run(["runs", "export", str(runs / "liver"), "--out", str(tmp_path / "other")]) == 1
    assert "has not written a model yet" in capsys.readouterr().err


def test_a_scored_run_shows_the_dice_of_its_held_out_cases(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    means = {"dice_liver": 0.9, "dice_tumour": 0.76, "mean_dice": 0.83}
    (runs / "liver" / "held_out.json").write_text(json.dumps({"means": means}))
    assert run(["runs", "show", str(runs / "liver")]) == 0
    assert "held_out.json: mean 0.830, liver 0.900, tumour 0.760" in capsys.readouterr().out
    assert run(["runs", "show", str(runs / "liver"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["held_out"]["mean_dice"] == 0.83
    assert run(["runs", "show", str(runs / "lung")]) == 0
    assert "held" not in capsys.readouterr().out


def test_an_export_to_onnx_tells_programs_how_exact_it_is(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    assert run(["runs", "export", str(runs / "lung"), "--out", str(tmp_path / "out"), "--onnx", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[-1]["event"] == "exported"
    assert all(one["max_abs_difference"] < 1e-4 for one in records[-1]["parity"]["lung.onnx"])


def test_compared_runs_show_figures_and_only_what_differs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "compare", str(runs / "lung"), str(runs / "liver"), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    figures = {record["name"]: record["figure"] for record in records if record["event"] == "run"}
    assert figures == {"lung": {"name": "loss", "value": 0.02}, "liver": {"name": "Dice", "value": 0.83}}
    differing = {record["key"]: record["values"] for record in records if record["event"] == "differs"}
    assert differing["source"] == [NOT_SET, str((runs / "lung").absolute())]
    assert set(differing) == {"task", "source", "cases.training"}
    assert differing["cases.training"][1].startswith("40 of them")
    assert run(["runs", "compare", str(runs / "lung")]) == 2
    assert run(["runs", "compare", str(runs / "lung"), str(runs)]) == 1


def test_steps_of_recipes_are_told_apart_by_their_kind(runs: Path) -> None:
    settings = flat_settings(runs / "lung")
    assert settings["recipe.steps.nonlinear.probability"] == "0.9"
    assert settings["recipe.steps.one_of.of.inner_cutout.weight"] == "1"
    rows = differences([settings, {**settings, "recipe.steps.nonlinear.probability": "0.5"}])
    assert as_text(("a", "b"), rows) == "setting\ta\tb\nrecipe.steps.nonlinear.probability\t0.9\t0.5\n"


def test_the_list_names_the_best_figure_of_each_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "list", str(runs), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["name"]: (record["best_is"], record["best"]) for record in records} == {
        "lung": ("loss", 0.02),
        "liver": ("Dice", 0.83),
    }


def test_a_run_whose_twin_is_in_training_is_stopped_and_not_deleted(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = RunFolder.create(runs / "liver" / "twins" / "scratch")
    twin.settings_file.write_text((runs / "liver" / "run.yaml").read_text())
    twin.set_status("running", 3, 10)
    assert run(["runs", "delete", str(runs / "liver"), "--yes"]) == 1
    assert "stop it first" in capsys.readouterr().err
    assert twin.is_run
    assert run(["runs", "stop", str(runs / "liver"), "--wait", "0", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["state"] == "running"
    assert "asked the twin scratch of liver to stop" in told.err
    assert twin.stop_file.exists()
    twin.set_status("stopped", 3, 10)
    assert run(["runs", "stop", str(runs / "liver"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    assert run(["runs", "delete", str(runs / "liver"), "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"event": "deleted", "path": str(runs / "liver")}


def test_a_run_whose_settings_are_damaged_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "lung" / "run.yaml").write_text("{{{")
    assert run(["runs", "list", str(runs), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["name"]: record["state"] for record in records} == {"liver": "finished", "lung": "damaged"}
    assert run(["runs", "show", str(runs / "lung")]) == 0
    said = capsys.readouterr().out
    assert "lung: damaged, step 10 of 10" in said
    assert "run.yaml: not valid YAML" in said


def test_a_stopped_run_of_folds_shows_them_and_how_to_go_on(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liver = runs / "my liver"
    (runs / "liver").rename(liver)
    (liver / "held_out.json").unlink()
    (liver / "status.json").write_text(json.dumps({"state": "stopped", "step": 35, "total_steps": None}))
    for number, state, step in ((0, "finished", 25), (1, "stopped", 10)):
        fold = RunFolder.create(liver / "folds" / str(number))
        fold.settings_file.write_text("task: segmentation\n")
        fold.status_file.write_text(json.dumps({"state": state, "step": step, "total_steps": 25}))
    (liver / "folds" / "0" / "held_out.json").write_text('{"means": {"dice_liver": 0.9, "mean_dice": 0.9}}')
    assert run(["runs", "show", str(liver)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "my liver: stopped, step 35"
    assert "fold 1: finished, step 25 of 25; Dice of its held-out cases: mean 0.900, liver 0.900" in said
    assert "fold 2: stopped, step 10 of 25" in said
    assert said[-1] == f"go on with: napari-genesis runs resume '{liver}'"
    assert run(["runs", "show", str(liver), "--json"]) == 0
    assert [fold["step"] for fold in json.loads(capsys.readouterr().out)["folds"]] == [25, 10]


@pytest.mark.parametrize(
    ("status", "goes_on"),
    [
        ({"state": "running", "step": 5, "pid": 0}, True),
        ({"state": "failed", "step": 5}, True),
        ({"state": "failed", "step": 0}, False),
        ({"state": "finished", "step": 10}, False),
    ],
)
def test_how_to_go_on_is_said_where_there_is_something_to_go_on_with(
    runs: Path, capsys: pytest.CaptureFixture[str], status: dict[str, object], goes_on: bool
) -> None:
    (runs / "lung" / "status.json").write_text(json.dumps(status))
    assert run(["runs", "show", str(runs / "lung")]) == 0
    assert ("runs resume" in capsys.readouterr().out) == goes_on


def test_warnings_say_at_which_step_they_were(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lung = RunFolder(runs / "lung")
    for step, message in ((0, "no tensorboard"), (10, "it has collapsed"), (20, "it has collapsed")):
        lung.write_event("warning", step=step, message=message)
    lung.close()
    assert run(["runs", "show", str(lung.path)]) == 0
    assert capsys.readouterr().err.splitlines() == ["warning: no tensorboard", "warning: step 10: it has collapsed"]
