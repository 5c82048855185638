"""The demo's second half: the pre-trained network learns to segment from four labelled scans, and is put to the test.

The scans it is tested on were held out of the pre-training as well as of the fine-tuning.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis_core.phantom.labels import COLOURS, LABELS
from genesis_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from genesis_core.studies.evaluation.results import Evaluation
    from genesis_core.volumes.label_volume import LabelVolume
    from genesis_core.volumes.volume import Volume

# What is learnt: organs of quite different size and contrast.
STRUCTURES = ("lung_right", "lung_left", "heart", "liver")
TRAINING_SCANS, TEST_SCANS = 4, 2
# Coarse enough for a patch to hold a whole chest, and for a hundred steps in a minute.
_SPACING, _PATCH = (7.0, 7.0, 7.0), (48, 56, 56)


@dataclass(frozen=True)
class Transfer:
    """What the second half made. shown: a test scan; reference, prediction: what is drawn on it."""

    run: RunFolder
    evaluation: Evaluation
    training: int
    shown: Volume
    reference: LabelVolume
    prediction: LabelVolume


def make_labelled_set(folder: Path, scans: Path, seed: int, training: list[str], test: list[str]) -> None:
    """Write images/ and labels/ of some of the demo's phantoms, by the names of their scans."""
    from genesis_core.phantom.thorax import make_phantom
    from genesis_core.volumes.label_volume import LabelVolume, Structure
    from genesis_core.volumes.label_writing import write_labels

    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    structures = tuple(
        Structure(name, number, COLOURS[LABELS[name]]) for number, name in enumerate(STRUCTURES, start=1)
    )
    table = np.zeros(max(LABELS.values()) + 1, np.uint8)
    for structure in structures:
        table[LABELS[structure.name]] = structure.value
    # Vessels and airways inside a lung belong to it only where they touch one side; they are left to the background.
    for name in (*training, *test):
        shutil.copyfile(scans / name, folder / "images" / name)
        phantom = make_phantom(seed + int(name.removeprefix("thorax_").removesuffix(".nii.gz")))
        labels = LabelVolume((table[phantom.labels.array],), phantom.labels.geometry, structures)
        write_labels(labels, folder / "labels" / name)


def learn_and_test(
    labelled: Path,
    out: Path,
    source: RunFolder,
    *,
    training: list[str],
    test: list[str],
    minutes: float,
    batch_size: int,
    learning_rate: float,
    seed: int,
    report: Callable[[dict[str, Any]], None],
) -> Transfer:
    """Fine-tune on the training scans, segment the test scans, and evaluate them.

    labelled: as `make_labelled_set` makes it. out: folder of the demo, for segmenter/, segmented/ and evaluation/.
    Raises KeyboardInterrupt if the training was asked to stop.
    """
    from genesis_core.inference.segment import segment
    from genesis_core.model.folder import load_model
    from genesis_core.studies.evaluation.evaluate import evaluate
    from genesis_core.training.finetune import finetune
    from genesis_core.training.hardware import native_bfloat16
    from genesis_core.volumes.label_reading import read_labels
    from genesis_core.volumes.label_writing import write_labels
    from genesis_core.volumes.labelled.finding import find_labelled
    from genesis_core.volumes.reading import read_volume

    ids = {case.images[0].path.name: case.id for case in find_labelled(labelled).cases}
    run = finetune(
        labelled,
        out / "segmenter",
        source=source.path,
        settings={
            "cases": {"training": [ids[name] for name in training], "validation": [ids[name] for name in test]},
            "training": {"validate_every": 25, "checkpoint_every": 100, "keep": "last", "learning_rate": learning_rate},
            "validation_samples": 4,
            "data": {"spacing": _SPACING},
            "sampling": {"patch_size": _PATCH},
            # A hundred steps are too few to learn from variations as well.
            "augmentation": {"enabled": False},
        },
        max_hours=minutes / 60,
        batch_size=batch_size,
        seed=seed,
        report=report,
    )
    if run.status().state == "stopped":
        raise KeyboardInterrupt
    model = load_model(run.path)
    segmented = out / "segmented"
    segmented.mkdir(exist_ok=True)
    first = None
    for name in test:
        scan = read_volume(labelled / "images" / name)
        result = segment(model, scan, precision="bfloat16" if native_bfloat16("cpu") else "float32")
        write_labels(result.labels, segmented / name)
        first = first or (scan, result.labels, read_labels(labelled / "labels" / name))
    evaluation = evaluate(
        segmented, labelled / "labels", out / "evaluation", images=labelled / "images", subset=True, seed=seed
    )
    assert first is not None
    shown, prediction, reference = first
    return Transfer(run, evaluation, len(training), shown, reference, prediction)
