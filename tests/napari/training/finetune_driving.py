"""Tiny labelled sets and fine-tunings, and ways to drive a Fine-tune dock as a user does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from dock_driving import press

from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.writing import write_volume
from napari_genesis.jobs.job import Job
from napari_genesis.training.finetuning.finetune_dock import FinetuneDock
from napari_genesis.training.finetuning.finetune_draft import FinetuneDraft

STRUCTURES = {"lung_right": (210, 60, 60), "lung_left": (60, 120, 220), "liver": (90, 180, 90)}
# Settings by which a step takes some milliseconds.
TINY: dict[str, Any] = {
    "network.width": 2,
    "network.depth": 2,
    "training.batch_size": 1,
    "training.threads": 1,
    "training.validate_every": 5,
    "training.checkpoint_every": 5,
    "sampling.patch_size": (16, 24, 24),
    "data.spacing": "as scanned",
    "validation_samples": 2,
    "folds": 1,
}
ENDLESS = 100_000


def make_labelled(folder: Path, count: int = 3) -> Path:
    """Write small phantoms with three structures, named and coloured, as a folder of images and one of labels."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        phantom = make_phantom(number, (28, 40, 40))
        array = np.zeros(phantom.labels.array.shape, np.uint8)
        for value, name in enumerate(STRUCTURES, start=1):
            array[phantom.labels.array == LABELS[name]] = value
        structures = tuple(Structure(name, value, colour) for value, (name, colour) in enumerate(STRUCTURES.items(), 1))
        write_volume(phantom.volume, folder / "images" / f"patient_{number}.nii.gz")
        labels = LabelVolume((array,), phantom.labels.geometry, structures)
        write_labels(labels, folder / "labels" / f"patient_{number}.nii.gz")
    return folder


def without_names(labelled: Path, folder: Path) -> Path:
    """Return a copy of a labelled folder whose labels are numbers alone."""
    shutil.copytree(labelled, folder, ignore=shutil.ignore_patterns("*.json"))
    return folder


def tiny_draft(labelled: Path, steps: int = ENDLESS, **changed: Any) -> FinetuneDraft:
    """A draft whose training takes some milliseconds a step. changed: settings by dotted keys, dots as `__`."""
    more = {key.replace("__", "."): value for key, value in changed.items()}
    return FinetuneDraft(labelled=labelled, budget="steps", steps=steps, device="cpu", changed={**TINY, **more})


def set_up(qtbot: Any, dock: FinetuneDock, labelled: Path, steps: int = ENDLESS, **changed: Any) -> None:
    """Choose a tiny training, and wait for the check of its folder."""
    dock.setup.load(tiny_draft(labelled, steps, **changed))
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=60_000)


def wait_for_plan(qtbot: Any, dock: FinetuneDock) -> None:
    """Wait until the folder is checked and the plan for it is there."""
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=60_000)
    qtbot.waitUntil(lambda: dock.setup.plan.plan is not None and not dock.setup.planning.busy, timeout=60_000)


def start(qtbot: Any, dock: FinetuneDock, labelled: Path, steps: int = ENDLESS, **changed: Any) -> Job:
    """Set a tiny training up and start it by its button."""
    set_up(qtbot, dock, labelled, steps, **changed)
    press(qtbot, dock.controls.start_button)
    assert dock.job is not None
    return dock.job
