"""Tiny real fine-tunings on synthetic thorax scans to review, and scans nobody has labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import genesis_core as gc
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels

STRUCTURES = (Structure("lung", 1, (86, 180, 233)), Structure("liver", 2, (230, 159, 0)))
SHAPE = (28, 40, 40)
QUICK: dict[str, Any] = {
    "network": {"width": 4, "depth": 3},
    "training": {"validate_every": 20, "checkpoint_every": 20, "batch_size": 2, "precision": "float32", "threads": 1},
    "validation_samples": 2,
    "sampling": {"patch_size": [16, 24, 24]},
    "data": {"spacing": "as scanned"},
    "device": "cpu",
}


def labels_of(seed: int) -> LabelVolume:
    """The lungs and the liver of a phantom."""
    phantom = make_phantom(seed, SHAPE)
    drawn = phantom.labels.array
    array = np.zeros(drawn.shape, np.uint8)
    array[(drawn == LABELS["lung_right"]) | (drawn == LABELS["lung_left"])] = 1
    array[drawn == LABELS["liver"]] = 2
    return LabelVolume((array,), phantom.labels.geometry, STRUCTURES)


def make_labelled(folder: Path, count: int = 4) -> Path:
    """A labelled folder of small phantoms."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for seed in range(count):
        gc.write_volume(make_phantom(seed, SHAPE).volume, folder / "images" / f"case_{seed}.nii.gz")
        write_labels(labels_of(seed), folder / "labels" / f"case_{seed}.nii.gz")
    return folder


def make_unlabelled(folder: Path, count: int = 3) -> Path:
    """A folder of other phantoms, without labels."""
    folder.mkdir(parents=True)
    for seed in range(count):
        gc.write_volume(make_phantom(100 + seed, SHAPE).volume, folder / f"new_{seed}.nii.gz")
    return folder


def make_run(workspace: Path, steps: int = 60) -> Path:
    """A finished fine-tuning of some steps, in a workspace."""
    labelled = make_labelled(workspace / "labelled")
    return gc.finetune(labelled, workspace / "runs" / "first", settings=QUICK, max_steps=steps, folds=1).path
