"""Whole pre-training runs through the command line, on small scans: stop, kill, resume, repeat, refuse."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import genesis_core as gc
from genesis_core.cli.main import run as run_command
from genesis_core.randomness import stream, uniform, uniforms
from genesis_core.settings import validate
from genesis_core.training.events import last_of_each_step
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings, settings_to_resume

# Small enough that a run is quick, large enough that every part of it happens.
SMALL = [
    *("--patch-size", "8,16,16", "--width", "2", "--batch-size", "2", "--max-steps", "24"),
    *("--validate-every", "8", "--checkpoint-every", "5", "--set", "network.depth=3"),
    *("--set", "training.threads=1", "--set", "validation_samples=4"),
]


def write_scan(path: Path, seed: int, shape: tuple[int, int, int] = (20, 36, 40)) -> None:
    """Write a small CT-like scan: a bright ellipsoid with texture in air."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    body = (z**2 * 0.5 + y**2 * 1.5 + x**2 * 1.2) < 0.8 + 0.1 * seed
    noise = uniforms(stream(seed, "test scan"), body.size).reshape(shape)
    array = np.where(body, 40 + 300 * (noise - 0.5), -1000 + 20 * noise).astype(np.int16)
    gc.write_volume(gc.Volume.from_array(array, spacing=(1.5, 1.5, 2.0)), path)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four small scans, two of them in subfolders with telling names."""
    folder = tmp_path_factory.mktemp("data") / "scans"
    for index, name in enumerate(["a.nii.gz", "b.nrrd", "smith_john/c.nii.gz", "doe_jane/d.mha"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_scan(folder / name, index)
    return folder


def command(*arguments: object) -> int:
    """Run a command in this process; return its exit code."""
    return run_command([str(argument) for argument in arguments])


def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    words = [sys.executable, "-m", "genesis_core", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=280)


# A command that sends itself a signal at step 3, so that none ends before it can be sent one.
SIGNALLED = """
import os, signal, sys
from genesis_core.training.run_folder import RunFolder
real = RunFolder.write_event
def write(run, kind, **values):
    event = real(run, kind, **values)
    if kind == "step" and values["step"] == 3:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return event
RunFolder.write_event = write
from genesis_core.cli.main import run
sys.exit(run(sys.argv[2:]))
"""


def signalled(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that gets the signal `name` at step 3."""
    words = [sys.executable, "-c", SIGNALLED, name, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def finished(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was never interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    done = cli("pretrain", scans, "--out", out, *SMALL)
    assert done.returncode == 0, done.stderr
    return RunFolder(out)


def weights(run: RunFolder) -> tuple[bytes, bytes]:
    """The model's weights, and those of the last checkpoint, as bytes."""
    state = torch.load(run.checkpoints / "last.pt", weights_only=True)["network"]
    last = b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))
    return (run.model / "weights.safetensors").read_bytes(), last


def test_a_run_ends_with_a_model_that_restores(finished: RunFolder, scans: Path) -> None:
    status = finished.status()
    assert (status.state, status.step, status.total_steps) == ("finished", 24, 24)
    validations = last_of_each_step(finished.events(), "validation")
    assert [event["step"] for event in validations] == [0, 8, 16, 24]
    assert {"loss", "return_input", "return_mean", "spread", "data_wait"} <= validations[-1].keys()
    model = gc.load_model(finished.path)
    assert model.card.task == "restoration"
    restoration = gc.restore(model, gc.read_volume(scans / "a.nii.gz"))
    assert restoration.restored.shape == (20, 36, 40)
    assert np.load(finished.previews / "step_0000024.npz")["restored"].shape == (4, 8, 16, 16)


def test_run_files_hold_no_names_and_no_absolute_paths(finished: RunFolder, scans: Path) -> None:
    for path in [finished.settings_file, finished.events_file, finished.status_file, finished.model / "model.yaml"]:
        text = path.read_text(encoding="utf-8")
        for private in ("smith", "john", "doe", "a.nii", str(scans), str(finished.path)):
            assert private not in text, f"{path.name} tells '{private}'"


def test_run_yaml_run_again_gives_the_same_weights(finished: RunFolder, tmp_path: Path) -> None:
    assert command("pretrain", "--config", finished.settings_file, "--out", tmp_path / "again") == 0
    assert weights(RunFolder(tmp_path / "again")) == weights(finished)


def test_ctrl_c_writes_a_checkpoint_and_resume_ends_with_the_same_weights(
    finished: RunFolder, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = signalled("SIGINT", "pretrain", scans, "--out", out, *SMALL)
    assert done.returncode == 130, done.stderr
    assert RunFolder(out).status().state == "stopped"
    # The step that was on its way is done.
    assert RunFolder(out).status().step == 4
    assert command("runs", "resume", out) == 0
    assert weights(RunFolder(out)) == weights(finished)


def test_a_stop_while_scans_are_prepared_is_heeded_and_the_run_can_go_on(
    finished: RunFolder, scans: Path, tmp_path: Path
) -> None:
    settings = yaml.safe_load(finished.settings_file.read_text())
    settings = {key: settings[key] for key in ("training", "network", "sampling", "validation_samples")}
    run = gc.pretrain(scans, tmp_path / "run", settings=settings, stop=lambda: True)
    assert run.status().state == "stopped"
    assert "prepared" in run.status().message
    assert gc.pretrain(out=run.path, resume=True).status().state == "finished"
    assert weights(run) == weights(finished)


def start(scans: Path, out: Path, *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "genesis_core", "pretrain", scans, "--out", out, *SMALL, "--resume", "auto", *more]
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(out: Path, reached: Callable[[list[dict[str, Any]]], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if reached(list(RunFolder(out).events())):
            return
        time.sleep(0.005)


def kill_somewhere(scans: Path, out: Path, number: int) -> bool:
    """Start or resume the run and SIGKILL it at a random event or moment; return whether it was killed in time."""
    process = start(scans, out)
    key = stream(number, "kill point")
    if uniform(key, 0) < 0.25:
        time.sleep(6 * uniform(key, 1))
    else:
        lines = len(list(RunFolder(out).events())) + int(40 * uniform(key, 1))
        wait_for(out, lambda events: len(events) > lines, process)
        time.sleep(0.02 * uniform(key, 2))
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def check_killed_runs(finished: RunFolder, scans: Path, folder: Path, numbers: range) -> None:
    killed = 0
    for number in numbers:
        out = folder / f"run_{number}"
        killed += kill_somewhere(scans, out, number)
        assert command("pretrain", scans, "--out", out, *SMALL, "--resume", "auto") == 0, f"kill point {number}"
        assert weights(RunFolder(out)) == weights(finished), f"kill point {number}"
        assert not [path for path in out.rglob("*.tmp.*") if path.stat().st_size > 10**8]
    assert killed >= len(numbers) // 2


def test_a_run_killed_at_random_points_ends_bit_identical(finished: RunFolder, scans: Path, tmp_path: Path) -> None:
    check_killed_runs(finished, scans, tmp_path, range(4))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_a_hundred_random_points_ends_bit_identical(
    finished: RunFolder, scans: Path, tmp_path: Path
) -> None:
    check_killed_runs(finished, scans, tmp_path, range(100, 200))


def test_resuming_a_finished_run_says_so(finished: RunFolder, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["pretrain", "--resume", "--out", str(finished.path)]) == 0
    assert "finished already" in capfd.readouterr().out


def test_what_is_computed_cannot_be_changed_by_resuming(finished: RunFolder, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["pretrain", "--resume", "--out", str(finished.path), "--width", "9"]) == 1
    assert "network" in capfd.readouterr().err


def test_what_a_configuration_leaves_open_stays_as_the_run_decided_it(finished: RunFolder) -> None:
    open_ones = {"training": {"precision": "auto", "threads": None}, "data": {"modality": "auto"}, "cases": None}
    given = validate(PretrainSettings, {**open_ones, "out": finished.path, "resume": "yes"}, where="test")
    resumed = settings_to_resume(finished, given)
    assert resumed.cases is not None
    assert resumed.training == read_settings(finished).training


def test_a_run_reached_through_a_link_finds_its_scans(finished: RunFolder, scans: Path, tmp_path: Path) -> None:
    link = tmp_path / "far" / "away" / "runs"
    link.parent.mkdir(parents=True)
    link.symlink_to(finished.path.parent)
    settings = read_settings(RunFolder(link / finished.path.name))
    assert isinstance(settings, PretrainSettings)
    assert settings.data.scans is not None
    assert settings.data.scans.samefile(scans)


def test_an_existing_folder_is_not_overwritten(finished: RunFolder, scans: Path) -> None:
    before = finished.settings_file.read_bytes()
    assert run_command(["pretrain", str(scans), "--out", str(finished.path)]) == 2
    assert finished.settings_file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "run"], 1, "scans"),
        (["nowhere", "--out", "run"], 1, "nowhere"),
        (["{scans}", "--out", "run", "--patch-size", "8,15,16"], 1, "patch_size"),
        (["{scans}", "--out", "run", "--batch-size", "0"], 2, "batch_size"),
        (["{scans}", "--out", "run", "--set", "training.bach=1"], 2, "training.bach"),
        (["{scans}", "--out", "run", "--recipe", "nothing"], 2, "nothing"),
        (["{scans}", "--out", "run", "--device", "cuda:77"], 1, "cuda:77"),
        (["--resume", "--out", "nowhere"], 1, "nowhere"),
    ],
)
def test_wrong_use_is_refused_in_one_clear_sentence(
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["pretrain", *(argument.format(scans=scans) for argument in arguments)]) == code
    errors = capfd.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_a_bad_scan_and_a_label_map_are_named_and_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for index, name in enumerate(["a.nii.gz", "b.nii.gz"]):
        write_scan(folder / name, index)
    whole = (folder / "a.nii.gz").read_bytes()
    (folder / "broken.nii.gz").write_bytes(whole[: len(whole) // 2])
    labels = (gc.read_volume(folder / "a.nii.gz").array > -500).astype(np.uint8)
    gc.write_volume(gc.Volume.from_array(labels), folder / "organs.nii.gz")
    assert command("pretrain", folder, "--out", tmp_path / "run", *SMALL, "--max-steps", 2) == 0
    errors = capfd.readouterr().err
    assert "broken.nii.gz" in errors
    assert re.search(r"organs\.nii\.gz .* is left out: .*label map", errors)
    assert "broken" not in (tmp_path / "run" / "events.jsonl").read_text()
    cases = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["cases"]
    assert len(cases["training"]) == len(cases["validation"]) == 1


def test_one_scan_trains_without_validation_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_scan(tmp_path / "only.nii.gz", 0)
    assert command("pretrain", tmp_path / "only.nii.gz", "--out", tmp_path / "run", *SMALL, "--max-steps", 9) == 0
    assert "validation" in capfd.readouterr().err
    validations = last_of_each_step(RunFolder(tmp_path / "run").events(), "validation")
    assert "train_loss" in validations[-1]
    assert gc.load_model(tmp_path / "run").card.data["validation_scans"] == 0


def test_json_lines_are_the_events_of_the_run_folder(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("pretrain", scans, "--out", tmp_path / "run", *SMALL, "--max-steps", 3, "--json") == 0
    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert printed == list(RunFolder(tmp_path / "run").events())


def test_a_time_budget_plans_its_own_steps(scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [value for value in SMALL if value not in ("--max-steps", "24")]
    assert command("pretrain", scans, "--out", tmp_path / "run", *arguments, "--max-hours", 3 / 3600) == 0
    settings = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert settings["training"]["max_steps"] >= 1
    assert "fit the time budget" in capfd.readouterr().out


def test_a_run_cannot_be_trained_twice_at_once(scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    process = start(scans, out, "--max-steps", 10**6)
    wait_for(out, lambda events: any(event["event"] == "started" for event in events), process)
    code = command("pretrain", "--resume", "--out", out)
    process.kill()
    process.communicate()
    assert code == 1
    assert "is being trained" in capfd.readouterr().err


def test_runs_are_listed_shown_and_deleted(scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("pretrain", scans, "--out", tmp_path / "runs" / "one", *SMALL, "--max-steps", 2) == 0
    capfd.readouterr()
    assert run_command(["runs", "list", str(tmp_path / "runs"), "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert (listed["name"], listed["state"], listed["step"]) == ("one", "finished", 2)
    assert run_command(["runs", "show", str(tmp_path / "runs" / "one")]) == 0
    assert "finished, step 2 of 2" in capfd.readouterr().out
    assert run_command(["runs", "stop", str(tmp_path / "runs" / "one")]) == 0
    assert "not running" in capfd.readouterr().out
    assert run_command(["runs", "delete", str(tmp_path / "runs" / "one")]) == 1
    assert (tmp_path / "runs" / "one").exists()
    assert run_command(["runs", "delete", str(tmp_path / "runs" / "one"), "--yes"]) == 0
    assert not (tmp_path / "runs" / "one").exists()
