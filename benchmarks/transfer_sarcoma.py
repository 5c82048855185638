"""Soft-tissue sarcoma in CT, split by patient: from a source pre-trained on the training patients, and from scratch.

Each split (one per seed) holds out two of the ten patients. The source of a split sees the images of its eight training
patients and nobody else's; fine-tuning warns if it had seen a held-out scan. All arms share split, seed, network,
patch, steps and sampling, and keep the last state. Dice is that of whole scans.

    python benchmarks/transfer_sarcoma.py shared/data/labelled/sarcoma_ct --splits 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transfer_common import case_means, genesis, held_out_scores, with_interval

import genesis_core as gc
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings

ARMS = ("from scratch", "pre-trained", "pre-trained encoder")


def link_training_scans(labelled: Path, run: Path, folder: Path) -> None:
    """Make a folder of the scans that a run was trained on."""
    folder.mkdir(exist_ok=True)
    cases = read_settings(RunFolder(run)).cases
    assert cases is not None
    for case in gc.find_labelled(labelled, labels="labels").cases:
        path = case.images[0].path
        if case.id in cases.training and not (folder / path.name).is_symlink():
            (folder / path.name).symlink_to(path.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/transfer/sarcoma"))
    parser.add_argument("--splits", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--source-steps", type=int, default=300)
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {arm: {} for arm in ARMS}
    whose: dict[str, str] = {}
    for seed in given.splits:
        out: Path = given.out / f"split_{seed}"
        out.mkdir(parents=True, exist_ok=True)
        both = ["--width", "8", "--batch-size", "2", "--seed", str(seed), "--cache", given.out / "cache"]
        both += ["--set", "network.norm=batch", "--set", "training.threads=1"]
        what = ["--labels", "labels", "--folds", "1", "--max-steps", str(given.steps)]
        what += ["--set", "augmentation.recipe_probability=0", "--set", "training.keep=last"]
        what += ["--set", "validation_samples=8", "--set", f"training.validate_every={given.steps}"]
        source = out / "source"
        for arm in ARMS:
            run = out / arm.replace(" ", "_")
            more: list[str | Path] = []
            if arm != "from scratch":
                more = ["--source", source, *(["--transfer", "encoder"] if arm.endswith("encoder") else [])]
                if not (source / "model" / "model.yaml").is_file():
                    link_training_scans(given.labelled, out / "from_scratch", out / "scans")
                    steps = ["--learning-rate", "0.003", "--max-steps", str(given.source_steps)]
                    genesis("pretrain", out / "scans", *both, *steps, "--out", source)
            if not (run / "held_out.json").is_file():
                genesis("finetune", given.labelled, *both, *what, *more, "--out", run)
            scores, subjects = held_out_scores(run)
            whose |= subjects
            found[arm] |= {f"{seed} {case}": value for case, value in case_means(scores).items()}
    whose = {key: whose[key.split()[1]] for key in found["from scratch"]}
    print("\n| split, patient | " + " | ".join(ARMS) + " |")
    for key in found["from scratch"]:
        print(f"| {key} | " + " | ".join(f"{found[arm][key]:.3f}" for arm in ARMS) + " |")
    for arm in ARMS:
        print(f"{arm}: {with_interval(found[arm], whose)}")
        differences = {key: found[arm][key] - value for key, value in found["from scratch"].items()}
        print(f"{arm} less scratch: {with_interval(differences, whose, sign=True)}")


if __name__ == "__main__":
    main()
