"""From few labels to segmentations, from Python: label two synthetic scans, learn, segment a third, measure.

    python examples/finetune_and_segment.py OUTPUT_FOLDER [STEPS]

With your own scans, leave out `make_labelled` and name your labelled folder, in any of the known layouts; with a
pre-trained run, add source="runs/..." to `finetune`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import genesis_core as gc
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels

STRUCTURES = (Structure("lung_right", 1, (86, 140, 200)), Structure("liver", 2, (160, 82, 45)))


def make_labelled(folder: Path, count: int) -> None:
    """Write images/ and labels/ of synthetic thorax CTs."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        phantom = make_phantom(seed, (48, 64, 64))
        array = np.zeros(phantom.labels.shape, np.uint8)
        for structure in STRUCTURES:
            array[phantom.labels.array == LABELS[structure.name]] = structure.value
        gc.write_volume(phantom.volume, folder / "images" / f"case_{seed}.nii.gz")
        write_labels(
            LabelVolume((array,), phantom.labels.geometry, STRUCTURES), folder / "labels" / f"case_{seed}.nii.gz"
        )


def main(out: Path, steps: int) -> None:
    """Write a labelled set, a run, a segmentation and its scores into `out`."""
    make_labelled(out / "labelled", count=3)
    run = gc.finetune(out / "labelled", out=out / "run", max_steps=steps, width=4, folds=1)

    model = gc.load_model(run.path)
    scan = gc.read_volume(out / "labelled" / "images" / "case_2.nii.gz")
    segmentation = gc.segment(model, scan, largest_component=["liver"])
    (out / "segmented").mkdir()
    write_labels(segmentation.labels, out / "segmented" / "case_2.nii.gz")
    print({name: f"{ml:.0f} ml" for name, ml in segmentation.volumes_ml.items()})

    scores = gc.evaluate(out / "segmented", out / "labelled" / "labels", out / "scores", subset=True)
    for one in scores.summary:
        dice = one.metrics["dice"]
        print(f"{one.structure}: Dice {dice.mean:.3f}" if dice else f"{one.structure}: no Dice")


if __name__ == "__main__":
    if (Path(sys.argv[1]) / "labelled").exists():
        sys.exit(f"{sys.argv[1]}: holds the output of an earlier call; give another folder")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
