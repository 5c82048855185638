"""What short-lived processes tell of this machine, so that the window need not load torch."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from training_runs import tiny

from napari_genesis.jobs import step_time
from napari_genesis.jobs.asking import NoAnswerError, ask
from napari_genesis.jobs.devices import Device, find_devices
from napari_genesis.jobs.step_time import known_step_time, measure_step_time
from napari_genesis.training.estimating import estimate


def test_the_devices_are_told_with_their_free_memory() -> None:
    devices = find_devices()
    assert devices[-1].key == "cpu"
    assert all(0 < one.free <= one.total for one in devices)
    assert Device("cuda:0", "NVIDIA H100", 5 << 30, 80 << 30).in_words() == "H100, 5.0 GB free"


def test_no_answer_is_a_reason_in_words() -> None:
    with pytest.raises(NoAnswerError, match="No module named"):
        ask("napari_genesis.no_such_module")


def test_an_answer_that_nobody_wants_any_more_is_given_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "never_answers.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match="given up"):
        ask("never_answers", given_up=lambda: time.monotonic() > began + 0.3)
    with pytest.raises(NoAnswerError, match="no answer in time"):
        ask("never_answers", seconds=0.3)
    assert time.monotonic() - began < 30


def test_a_step_that_others_held_up_is_told_and_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny(tmp_path, tmp_path / "run")
    answer = {"seconds": 7.0, "memory": 1 << 30, "crowded": True}
    monkeypatch.setattr(step_time, "ask", lambda *_, **__: answer)
    crowded = measure_step_time(settings, tmp_path)
    assert known_step_time(settings, tmp_path) is None
    assert "alone it is faster" in estimate(settings, crowded, None, 0.0, measuring=False)
    answer["crowded"] = False
    assert measure_step_time(settings, tmp_path) == known_step_time(settings, tmp_path)


@pytest.mark.slow
def test_the_time_of_a_step_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever else this machine is doing.
    monkeypatch.setattr(step_time, "ask", lambda *told, **how: {**ask(*told, **how), "crowded": False})
    settings = tiny(tmp_path, tmp_path / "run")
    assert known_step_time(settings, tmp_path) is None
    measured = measure_step_time(settings, tmp_path)
    assert 0 < measured.seconds < 60
    assert measured.memory > 50_000_000
    assert known_step_time(settings, tmp_path) == measured
    assert known_step_time(settings.model_copy(update={"device": "cuda"}), tmp_path) is None
    with pytest.raises(NoAnswerError, match="cuda"):
        measure_step_time(settings.model_copy(update={"device": "cuda:77"}), tmp_path)
    (tmp_path / "step_times.json").write_text("[")
    assert known_step_time(settings, tmp_path) is None


def test_jobs_and_the_dock_load_no_torch() -> None:
    code = (
        "import sys, napari_genesis.jobs.queues, napari_genesis.jobs.scan_check, napari_genesis.jobs.step_time\n"
        "import napari_genesis.training.pretrain_dock\n"
        "print(*(name for name in ('torch', 'numba', 'SimpleITK', 'monai') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("changed", [{"activation_checkpointing": True}, {"compile": "always"}])
def test_a_step_that_computes_otherwise_is_timed_anew(tmp_path: Path, changed: dict[str, Any]) -> None:
    before, after = tiny(tmp_path, tmp_path / "run"), tiny(tmp_path, tmp_path / "run", **changed)
    assert step_time.question(before) != step_time.question(after)
