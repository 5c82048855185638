"""Scans in which different structures were looked for, learnt together: the list, the plan, and an overfit check.

`labels_common` of three scans (two CT, one MR; TotalSegmentator's output, not manual truth) is taken apart into one
mask per structure, and some masks are held back; they are compared afterwards. Dice is that of the training scans: it
says whether the set is learnt as it was stated, and nothing about other scans.

    python benchmarks/transfer_totalseg.py shared/data/labelled/totalseg_multiorgan --out build/transfer/totalseg
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
from transfer_common import genesis

from genesis_core.sampling.labelled_sampler import LabelledSampler
from genesis_core.targets.losses import segmentation_loss
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.prepared_set import prepare_set, starting_point
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels

NAMES = (
    "liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancreas", "aorta", "inferior_vena_cava", "spine",
    "autochthon", "lung",
)  # fmt: skip
# In which case somebody is said to have looked for what; every structure is there in at least one.
ANNOTATED = {
    "ct_a": ("liver", "spleen", "kidney_right", "kidney_left", "stomach", "pancreas", "lung"),
    "ct_b": ("liver", "aorta", "inferior_vena_cava", "spine", "autochthon"),
    "mr_a": ("liver", "spleen", "kidney_right", "kidney_left", "aorta", "spine"),
}


def write_sets(source: Path, out: Path) -> None:
    """Write references with names, and a table of the masks to learn from, where an empty cell is "nobody looked"."""
    (out / "set").mkdir(parents=True)
    (out / "reference").mkdir()
    rows = []
    for case, annotated in ANNOTATED.items():
        labels = read_labels(source / "labels_common" / f"{case}.nii.gz")
        structures = tuple(Structure(name, value) for value, name in enumerate(NAMES, 1))
        whole = LabelVolume(labels.layers, labels.geometry, structures)
        write_labels(whole, out / "reference" / f"{case}.nii.gz")
        row = {"name": case, "image": os.path.relpath(source / "images" / f"{case}.nii.gz", out / "set")}
        for structure in structures:
            row[f"mask_{structure.name}"] = ""
            if structure.name in annotated:
                mask = whole.mask(structure).astype(np.uint8)
                file = f"{case}_{structure.name}.nii.gz"
                one = LabelVolume((mask,), labels.geometry, (Structure(structure.name, 1),))
                write_labels(one, out / "set" / file)
                row[f"mask_{structure.name}"] = file
        rows.append(row)
    with (out / "set" / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print((out / "set" / "cases.csv").read_text(encoding="utf-8"))


def tell(evaluation: Path) -> None:
    """Print the Dice of every structure, apart for cases it was learnt from and cases it was held back in."""
    with (evaluation / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    print("| structure | " + " | ".join(ANNOTATED) + " |")
    learnt, kept_back = [], []
    for name in NAMES:
        cells = []
        for case, annotated in ANNOTATED.items():
            row = next(row for row in rows if row["case"] == case and row["structure"] == name)
            text = row["dice"]
            drawn = float(row["reference_ml"] or 0) > 0
            if not text or not drawn:
                cells.append("not there" if not drawn else "-")
                continue
            (learnt if name in annotated else kept_back).append(float(text))
            cells.append(f"{float(text):.2f}" if name in annotated else f"({float(text):.2f})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"learnt from: {fmean(learnt):.3f} ({len(learnt)}); held back: {fmean(kept_back):.3f} ({len(kept_back)})")


def tell_gradients(out: Path) -> None:
    """Print, for one sub-volume of each scan, which structures' outputs get no gradient at all."""
    import torch

    settings = read_settings(RunFolder(out / "run"))
    assert isinstance(settings, FinetuneSettings)
    with TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run")
        prepared = prepare_set(run, settings, starting_point(settings), None, lambda: False)
    assert prepared is not None
    names = [output.name for output in prepared.target.outputs]
    for case, cached in prepared.cached.items():
        sampler = LabelledSampler([cached], settings.sampling, settings.seed)
        found = sampler.read(sampler.place("train", 0, 0))
        targets = torch.from_numpy(prepared.target.encode(found.layers, found.annotated))[None]
        logits = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
        segmentation_loss(logits, targets, prepared.target.activation).backward()
        assert logits.grad is not None
        silent = [name for number, name in enumerate(names) if not logits.grad[0, number].any()]
        print(f"{prepared.cases[case].name}: no gradient for {', '.join(silent)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/transfer/totalseg"))
    parser.add_argument("--steps", type=int, default=800)
    given = parser.parse_args()
    out: Path = given.out
    if not (out / "set").is_dir():
        write_sets(given.source, out)
    what = [out / "set", "--modality", "mr", "--folds", "1", "--width", "8", "--set", "data.validation_fraction=0"]
    what += ["--max-steps", str(given.steps), "--set", "augmentation.enabled=false", "--cache", out / "cache"]
    genesis("inspect", out / "set", "--labelled")
    genesis("finetune", *what, "--out", out / "run", "--dry-run")
    if not (out / "scores" / "scores.csv").is_file():
        genesis("finetune", *what, "--out", out / "run")
        genesis("segment", given.source / "images", "--model", out / "run", "--out", out / "segmented")
        images = ["--images", given.source / "images"]
        genesis("evaluate", out / "segmented", out / "reference", *images, "--out", out / "scores")
    tell(out / "scores")
    tell_gradients(out)


if __name__ == "__main__":
    main()
