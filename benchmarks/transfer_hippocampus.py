"""Does pre-training help on hippocampi? Five arms at equal budget, scored on whole crops of heads nobody trained on.

Numbers 2k-1 and 2k of `hippocampus_mr` (Medical Segmentation Decathlon, Task04) are the two sides of one head. Of the
heads in rising order, counted from 0, those at 1, 4, 7, ... are the test: 11 heads with 15 crops. The others are the
pool: pre-training sees the images of all of them, fine-tuning the labels of 4 (others for each seed) or of all 22. The
last state is kept, so nothing is chosen by the test heads. `--diagnose` compares variants on pool heads alone: every
third one is held out, from pre-training as well.

    python benchmarks/transfer_hippocampus.py shared/data/labelled/hippocampus_mr --diagnose
    python benchmarks/transfer_hippocampus.py shared/data/labelled/hippocampus_mr
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

from transfer_common import case_means, held_out_scores, seed_means, with_interval

import genesis_core as gc
from genesis_core.networks import registry
from genesis_core.networks.initialisation import initialise
from genesis_core.randomness import stream

# Equal in every arm. The patch is nearly a whole crop (about 35x51x35).
STEPS, WIDTH, BATCH, PATCH = 250, 8, 4, (32, 48, 32)
PRETRAINING_STEPS = 600
# Whether it starts from the source, the probability of the recipe as augmentation, and what else differs.
ARMS: dict[str, tuple[bool, float, dict[str, Any]]] = {
    "from scratch": (False, 0.0, {}),
    "from scratch, recipe as augmentation": (False, 0.5, {}),
    "pre-trained": (True, 0.0, {}),
    "pre-trained, recipe as augmentation": (True, 0.5, {}),
    "pre-trained, encoder alone": (True, 0.0, {"transfer": "encoder"}),
}


def heads_of(source: Path) -> dict[int, list[str]]:
    """Return the names of the crops of each head, in rising order."""
    found: dict[int, list[str]] = {}
    for file in sorted((source / "images").glob("*.nii.gz")):
        name = file.name.removesuffix(".nii.gz")
        found.setdefault((int(re.sub(r"\D", "", name)) + 1) // 2, []).append(name)
    return dict(sorted(found.items()))


class Study:
    """The set, who is on which side, and one function to run an arm; finished runs are not run again."""

    def __init__(self, source: Path, out: Path, steps: int) -> None:
        self.source, self.out, self.steps = source, out, steps
        self.heads = heads_of(source)
        self.test = list(self.heads)[1::3]
        self.pool = [head for head in self.heads if head not in self.test]
        out.mkdir(parents=True, exist_ok=True)
        self.subjects = out / "subjects.csv"
        with self.subjects.open("w", newline="", encoding="utf-8") as file:
            rows = [(name, f"head_{head}") for head, names in self.heads.items() for name in names]
            csv.writer(file).writerows([("name", "subject"), *rows])
        self.ids = {case.name: case.id for case in gc.find_labelled(source).cases}

    def crops(self, heads: Sequence[int]) -> list[str]:
        """Return the pseudonyms of these heads' crops."""
        return [self.ids[name] for head in heads for name in self.heads[head]]

    def few(self, seed: int, count: int = 4, among: Sequence[int] = ()) -> list[int]:
        """Return `count` heads of the pool, others for each seed."""
        return sorted(sorted(among or self.pool, key=lambda head: stream(seed, "few heads", head))[:count])

    def pretrain(self, name: str, heads: Sequence[int], settings: Mapping[str, Any] | None = None) -> Path:
        """Pre-train on the images of these heads and return the run."""
        run = self.out / f"{name}_{PRETRAINING_STEPS}_steps"
        if (run / "model" / "model.yaml").is_file() and '"finished"' in (run / "status.json").read_text():
            return run
        images = self.out / f"{name}_images"
        images.mkdir(exist_ok=True)
        for case in (case for head in heads for case in self.heads[head]):
            link = images / f"{case}.nii.gz"
            if not link.is_symlink():
                link.symlink_to((self.source / "images" / link.name).resolve())
        values = {"training.threads": 1, "data.cache": self.out / "cache", "training.validate_every": 200}
        began = time.perf_counter()
        gc.pretrain(
            images,
            run,
            settings=_nested({**values, **(settings or {})}),
            max_steps=PRETRAINING_STEPS,
            width=WIDTH,
            batch_size=BATCH,
            patch_size=PATCH,
            report=_quiet("validation"),
        )
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        return run

    def finetune(
        self,
        name: str,
        training: Sequence[int],
        held_out: Sequence[int],
        seed: int,
        source: Path | None,
        recipe: float,
        settings: Mapping[str, Any] | None = None,
    ) -> Path:
        """Fine-tune on some heads and score whole crops of others; return the run."""
        run = self.out / "runs" / f"{name}_{self.steps}_steps"
        if (run / "held_out.json").is_file():
            return run
        run.parent.mkdir(exist_ok=True)
        values = {
            "data.subjects": self.subjects,
            "data.cache": self.out / "cache",
            "data.spacing": "as scanned",
            "cases.training": self.crops(training),
            "cases.validation": self.crops(held_out),
            "network.norm": "batch",
            "augmentation.recipe_probability": recipe,
            "training.keep": "last",
            "training.threads": 1,
            "training.validate_every": self.steps,
            "validation_samples": 8,
            **(settings or {}),
        }
        if source is not None:
            values.pop("network.norm")
        began = time.perf_counter()
        gc.finetune(
            self.source,
            run,
            source=source,
            settings=_nested(values),
            seed=seed,
            max_steps=self.steps,
            batch_size=BATCH,
            patch_size=PATCH,
            width=WIDTH,
        )
        scores, _ = held_out_scores(run)
        print(f"{name}: {fmean(case_means(scores).values()):.3f} in {time.perf_counter() - began:.0f} s", flush=True)
        return run


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        group = result
        *path, last = key.split(".")
        for part in path:
            group = group.setdefault(part, {})
        group[last] = value
    return result


def _quiet(kind: str) -> Callable[[Mapping[str, Any]], None]:
    def report(event: Mapping[str, Any]) -> None:
        if event["event"] == kind:
            print({key: value for key, value in event.items() if key not in ("v", "time", "event")}, flush=True)

    return report


def compare(study: Study, sizes: Mapping[str, Sequence[int]]) -> None:
    """Run every arm on 4 heads and on the whole pool, and print the table: test heads, mean over seeds, interval.

    sizes: the seeds of each.
    """
    source = study.pretrain("pretrained", study.pool)
    print(f"test heads {study.test}: {len(study.crops(study.test))} crops; pool {len(study.pool)} heads")
    for size, seeds in sizes.items():
        per_arm: dict[str, list[dict[str, dict[str, float | None]]]] = {arm: [] for arm in ARMS}
        for seed in seeds:
            training = study.few(seed) if size == "4 heads" else study.pool
            for number, (arm, (pretrained, recipe, more)) in enumerate(ARMS.items()):
                name = f"{size.split()[0]}_heads_arm{number}_seed{seed}"
                run = study.finetune(name, training, study.test, seed, source if pretrained else None, recipe, more)
                scores, subjects = held_out_scores(run)
                per_arm[arm].append(scores)
        plain = seed_means([case_means(scores) for scores in per_arm["from scratch"]])
        print(
            f"\n{size}, seeds {list(seeds)}\n| arm | mean | of each seed | 1, anterior | 2, posterior | less scratch |"
        )
        for arm, runs in per_arm.items():
            mean = seed_means([case_means(scores) for scores in runs])
            each = ", ".join(f"{fmean(case_means(scores).values()):.3f}" for scores in runs)
            parts = [
                with_interval(seed_means([case_means(scores, name) for scores in runs]), subjects)
                for name in sorted(next(iter(runs[0].values())))
            ]
            difference = with_interval({case: mean[case] - plain[case] for case in mean}, subjects, sign=True)
            print(f"| {arm} | {with_interval(mean, subjects)} | {each} | {' | '.join(parts)} | {difference} |")


# What is compared on pool heads: its name, the source, what differs from the study's arms, seeds, and how many times
# the steps. The first one of each length is what the others of that length are compared with.
_ENCODER, _BOTH = {"transfer": "encoder"}, (1, 2)
VARIANTS: tuple[tuple[str, str | None, dict[str, Any], Sequence[int], int], ...] = (
    ("scratch", None, {}, _BOTH, 1),
    ("pretrained", "pretrained", {}, _BOTH, 1),
    ("encoder_only", "pretrained", _ENCODER, _BOTH, 1),
    ("pretrained_slow", "pretrained", {"training.learning_rate": 4e-4}, (1,), 1),
    ("scratch_torch", None, {"initialisation": "torch"}, (1,), 1),
    ("pretrained_msra", "pretrained_msra", {}, _BOTH, 1),
    ("scratch", None, {}, (1,), 3),
    ("pretrained", "pretrained", {}, (1,), 3),
    ("encoder_only", "pretrained", _ENCODER, (1,), 3),
)


def diagnose(study: Study) -> None:
    """Compare variants on pool heads: every third one of the pool is held out, 4 of the others are trained on."""
    held_out = study.pool[1::3]
    among = [head for head in study.pool if head not in held_out]
    sources: dict[str | None, Path | None] = {None: None, "pretrained": study.pretrain("diagnosing", among)}
    with from_msra():
        sources["pretrained_msra"] = study.pretrain("diagnosing_msra", among)
    print(f"held out: {len(held_out)} heads of the pool\n| variant | steps | seeds | mean Dice | less scratch |")
    steps, scratch = study.steps, {}
    for name, start, settings, seeds, times in VARIANTS:
        study.steps = times * steps
        found = []
        for seed in seeds:
            training = study.few(seed, among=among)
            run = study.finetune(f"pool_{name}_seed{seed}", training, held_out, seed, sources[start], 0.0, settings)
            scores, subjects = held_out_scores(run)
            found.append(case_means(scores))
            scratch.setdefault((seed, times), found[-1])
        each = ", ".join(f"{fmean(figures.values()):.3f}" for figures in found)
        mean, base_mean = seed_means(found), seed_means([scratch[seed, times] for seed in seeds])
        difference = with_interval({case: mean[case] - base_mean[case] for case in mean}, subjects, sign=True)
        print(f"| {name} | {study.steps} | {list(seeds)} | {each} | {difference} |", flush=True)


@contextmanager
def from_msra() -> Iterator[None]:
    """Let pre-training begin with the weights that fine-tuning from scratch begins with; it has no setting for that."""
    create = registry.create_network

    def with_msra(settings: Any, seed: int | None = None) -> Any:
        network = create(settings, seed)
        initialise(network, "msra", seed or 0)
        return network

    registry.create_network = with_msra
    try:
        yield
    finally:
        registry.create_network = create


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/transfer/hippocampus"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds-4", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--seeds-22", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--diagnose", action="store_true")
    given = parser.parse_args()
    study = Study(given.source, given.out, given.steps)
    if given.diagnose:
        diagnose(study)
    else:
        sizes = {"4 heads": given.seeds_4, "22 heads": given.seeds_22}
        compare(study, {size: seeds for size, seeds in sizes.items() if seeds})


if __name__ == "__main__":
    main()
