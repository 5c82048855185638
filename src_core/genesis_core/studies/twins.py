"""Did pre-training help? The same fine-tuning again without it, at equal budget, and the difference with an interval.

Twins differ from the run in one thing alone: they start from scratch; the second one also does without the recipe as
augmentation. Same cases, splits, seeds, network, patch and steps; compared case by case on held-out scans.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.errors import RunError
from genesis_core.studies.evaluation.intervals import FEWEST, Interval, mean_interval
from genesis_core.training.events import Event
from genesis_core.training.finetune import run_finetuning
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.held_out import FILE, HeldOut, read_scores
from genesis_core.training.round_chain import ROUND
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings, write_settings

REPORT = "twins.json"
# Name of a twin, and what sets it apart in words.
TWINS = {
    "scratch": "from scratch, with the recipe as augmentation",
    "scratch_plain": "from scratch, without the recipe as augmentation",
}


@dataclass(frozen=True)
class TwinAnswer:
    """How the run compares with one twin: mean difference of the cases' mean Dice, run less twin.

    interval: 95 % by bootstrap over subjects; None for fewer than six of them.
    """

    twin: str
    difference: float
    interval: Interval | None
    cases: int
    subjects: int

    @property
    def verdict(self) -> str:
        """Return "helps", "hurts", "no difference shown" or "too few subjects to tell"."""
        if self.interval is None:
            return "too few subjects to tell"
        return "helps" if self.interval.low > 0 else "hurts" if self.interval.high < 0 else "no difference shown"

    def sentence(self) -> str:
        """Say it in a sentence."""
        counts = f"{self.cases} held-out cases of {self.subjects} subjects"
        if self.interval is None:
            return (
                f"against {TWINS[self.twin]}: {self.difference:+.3f} mean Dice over {counts}, fewer than {FEWEST} "
                "subjects: nothing can be said"
            )
        return (
            f"against {TWINS[self.twin]}: {self.verdict} ({self.difference:+.3f} mean Dice, 95 % interval "
            f"{self.interval.low:+.3f} to {self.interval.high:+.3f}, {counts}; one seed is a first look)"
        )


def train_twins(
    run: RunFolder, *, report: Callable[[Event], None] | None = None, stop: Callable[[], bool] | None = None
) -> tuple[TwinAnswer, ...] | None:
    """Train the twins of a finished fine-tuning in its folder twins/, and compare; resumes what was begun.

    Returns None if it was stopped; then the same call goes on. Raises RunError if the run is not a finished
    fine-tuning from a source with held-out cases.
    """
    settings = read_settings(run)
    own = read_scores(run.path / FILE)
    if not isinstance(settings, FinetuneSettings) or settings.source is None:
        raise RunError(f"{run.path}: only a fine-tuning from a source (--source) has twins without it")
    if own is None:
        raise RunError(f"{run.path}: has no scores of held-out cases; finish it first, with cases held out")
    answers = []
    for name in TWINS:
        twin = RunFolder(run.path / "twins" / name)
        if not twin.is_run and report:
            report({"event": "twin", "twin": name, "message": f"twin {TWINS[name]}"})
        _begin(twin, run, name)
        done = run_finetuning(FinetuneSettings(out=twin.path, resume="yes"), report=report, stop=stop)
        scores = read_scores(done.path / FILE)
        if done.status().state != "finished" or scores is None:
            return None
        answers.append(compare_twins(name, own, scores))
    written = {
        one.twin: {
            "verdict": one.verdict,
            "difference": round(one.difference, 5),
            "interval": None if one.interval is None else [round(one.interval.low, 5), round(one.interval.high, 5)],
            "cases": one.cases,
            "subjects": one.subjects,
            "sentence": one.sentence(),
        }
        for one in answers
    }
    write_text(run.path / REPORT, json.dumps(written, indent=1) + "\n")
    return tuple(answers)


def compare_twins(name: str, own: HeldOut, twin: HeldOut) -> TwinAnswer:
    """Compare two sets of scores case by case; cases that only one of them has do not count."""
    pairs = [
        (own.subjects[case], mine - theirs)
        for case in sorted(own.scores.keys() & twin.scores.keys())
        if (mine := _mean(own.scores[case])) is not None and (theirs := _mean(twin.scores[case])) is not None
    ]
    differences = [difference for _, difference in pairs]
    subjects = [subject for subject, _ in pairs]
    return TwinAnswer(
        name,
        fmean(differences) if differences else 0.0,
        mean_interval(differences, subjects),
        len(pairs),
        len(set(subjects)),
    )


def _mean(dice: dict[str, float | None]) -> float | None:
    values = [value for value in dice.values() if value is not None]
    return fmean(values) if values else None


def _begin(twin: RunFolder, run: RunFolder, name: str) -> None:
    """Write the settings of a twin and of its folds, as far as they are not there yet; it then goes on with them.

    A fold takes the steps that the run's own took: under a time budget it would else time itself anew.
    """
    folds = sorted(fold.relative_to(run.path) for fold in run.path.glob("folds/*") if RunFolder(fold).is_run)
    for part in (Path(), *folds):
        made = RunFolder(twin.path / part)
        if not made.is_run:
            settings = read_settings(RunFolder(run.path / part))
            assert isinstance(settings, FinetuneSettings)
            RunFolder.create(made.path)
            write_settings(made, _twin_settings(settings, name))
    if (run.path / ROUND).is_file() and not (twin.path / ROUND).exists():
        # Who is held out where: cases may have come into the folder since.
        write_text(twin.path / ROUND, (run.path / ROUND).read_text(encoding="utf-8"))


def _twin_settings(settings: FinetuneSettings, name: str) -> FinetuneSettings:
    update: dict[str, Any] = {"source": None, "twins": False}
    if name == "scratch_plain":
        update["augmentation"] = settings.augmentation.model_copy(update={"recipe_probability": 0.0})
    return settings.model_copy(update=update)
