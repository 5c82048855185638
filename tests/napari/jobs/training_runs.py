"""Tiny real trainings on synthetic thorax scans, and ways to wait for them, shared by the tests of jobs and docks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import genesis_core as gc
from genesis_core.phantom.thorax import make_phantom
from genesis_core.settings import validate
from genesis_core.training.pretrain_settings import PretrainSettings
from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.job import Job
from napari_genesis.jobs.preparing import prepare_run

# More steps than any test waits for.
ENDLESS = 100_000
TINY: dict[str, Any] = {
    "training": {"batch_size": 1, "threads": 1, "validate_every": 5, "checkpoint_every": 5},
    "network": {"width": 2, "depth": 3},
    "sampling": {"patch_size": [16, 16, 16]},
    "validation_samples": 2,
}


def make_scans(folder: Path, count: int = 2) -> Path:
    """Write small synthetic thorax scans into a new folder."""
    folder.mkdir(parents=True)
    for seed in range(count):
        gc.write_volume(make_phantom(seed, shape=(24, 48, 48)).volume, folder / f"thorax_{seed}.nii.gz")
    return folder


def tiny(scans: Path, out: Path, steps: int = ENDLESS, **training: Any) -> PretrainSettings:
    """The settings of a training that takes some milliseconds a step."""
    values = {**TINY, "training": {**TINY["training"], "max_steps": steps, **training}}
    return validate(PretrainSettings, {**values, "data": {"scans": scans}, "out": out, "device": "cpu"})


def prepared(scans: Path, out: Path, steps: int = ENDLESS, **training: Any) -> RunFolder:
    """A run folder ready to be started."""
    return prepare_run(tiny(scans, out, steps, **training))


def wait_for_step(qtbot: Any, job: Job, step: int) -> None:
    """Wait until a job has done so many steps."""
    qtbot.waitUntil(lambda: job.view.step >= step or not (job.is_alive or job.state == "reading"), timeout=60_000)
    assert job.view.step >= step, (job.state, job.view.status, job.view.words)


def wait_for_state(qtbot: Any, job: Job, state: str) -> None:
    """Wait until a job is in a state."""
    qtbot.waitUntil(lambda: job.state == state, timeout=60_000)
