"""A training that a window started: it stops, with a checkpoint, when the window is gone; or goes on, if told so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import genesis_core as gc
from genesis_core.randomness import stream, uniforms
from genesis_core.training.run_folder import RunFolder

SETTINGS = {
    "training": {"batch_size": 1, "threads": 1, "validate_every": 1000, "checkpoint_every": 1000},
    "network": {"width": 2, "depth": 3},
    "sampling": {"patch_size": [8, 16, 16]},
    "validation_samples": 2,
}
# More than any test waits for.
_MANY = 100_000


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(2):
        noise = uniforms(stream(seed, "scan"), 20 * 36 * 40).reshape(20, 36, 40)
        array = (300 * noise - 100).astype(np.int16)
        gc.write_volume(gc.Volume.from_array(array, spacing=(1.5, 1.5, 2.0)), folder / f"{seed}.nii.gz")
    return folder


def start(scans: Path, out: Path, steps: int = _MANY) -> subprocess.Popen[bytes]:
    options = ["--out", out, "--max-steps", steps, "--json", "--stop-with-parent"]
    groups = [f"{key}={json.dumps(value)}" for key, value in SETTINGS.items()]
    sets = [word for group in groups for word in ("--set", group)]
    command = [sys.executable, "-m", "genesis_core", "pretrain", scans, *options, *sets]
    return subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def steps_of(run: RunFolder) -> int:
    return max((event["step"] for event in run.events() if event["event"] == "step"), default=0)


def test_the_end_of_stdin_stops_it_with_a_checkpoint(scans: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    process = start(scans, run.path)
    wait_for(lambda: steps_of(run) >= 2, process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 130
    status = run.status()
    assert (status.state, status.step < _MANY) == ("stopped", True)
    assert "window that started it is gone" in status.message
    assert (run.checkpoints / "last.pt").is_file()


@pytest.mark.slow
def test_told_to_go_on_it_survives_the_end_of_stdin(scans: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    process = start(scans, run.path)
    assert process.stdin is not None
    # The last word counts.
    process.stdin.write(b"go on\nstop with me\nnonsense\ngo on\n")
    process.stdin.close()
    wait_for(lambda: steps_of(run) >= 5, process)
    run.ask_to_stop()
    assert process.wait(60) == 130
    assert "stop file" in run.status().message


def test_a_line_on_stdin_stops_it_however_early_it_comes(scans: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    process = start(scans, run.path)
    assert process.stdin is not None
    process.stdin.write(b"stop\n")
    process.stdin.flush()
    assert process.wait(60) == 130
    assert run.status().state == "stopped"
    assert "asked by the window" in run.status().message


@pytest.mark.slow
def test_a_run_that_finishes_first_ends_well_with_its_parent_alive(scans: Path, tmp_path: Path) -> None:
    process = start(scans, tmp_path / "run", steps=2)
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(60) == 0, errors
    assert RunFolder(tmp_path / "run").status().state == "finished"


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_people_do_not_see_the_option(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "genesis_core", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "stop-with-parent" not in done.stdout
