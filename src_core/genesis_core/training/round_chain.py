"""The chain of runs that continue one another, and what each wrote of its round; read from the run folders alone.

No weights, no scans, no torch: a window shows it while it does other things.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genesis_core.atomic import write_text
from genesis_core.errors import GenesisError, RunError
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.held_out import FILE, means, read_scores
from genesis_core.training.pretrain_settings import Cases
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.run_settings import read_settings

ROUND = "round.json"
# What the pseudonym of a corrected case begins with; no pseudonym of a labelled folder does.
CORRECTED = "corrected_"


@dataclass(frozen=True)
class Round:
    """One run of a chain. number: 0 for the first. state: as people call it. start: None for the first.

    cases: that train, in any fold; corrected: of them, the corrected ones. dice: means over the held-out cases by
    structure, and "mean_dice" over the structures; empty until all are scored. missing: an earlier run is gone.
    """

    number: int
    run: Path
    state: str
    cases: int
    corrected: int
    dice: dict[str, float]
    start: Literal["previous", "source"] | None
    missing: bool = False


def is_corrected(pseudonym: str) -> bool:
    """Whether a case is a corrected one, by its pseudonym."""
    return pseudonym.startswith(CORRECTED)


def rounds_of(run: str | os.PathLike[str]) -> list[Round]:
    """Return the chain of runs that led to `run`, round 0 first and `run` last; read from the run folders alone.

    A run before that is gone or damaged ends the chain, and the oldest one left says so (`missing`).
    Raises RunError if `run` itself is no fine-tuning.
    """
    chain = list(chain_of(Path(run)))
    oldest, settings = chain[-1]
    missing = settings.rounds is not None
    first = max(_number(oldest) or 1, 1) if missing else 0
    return [
        _round(first + position, folder, own, missing=missing and position == 0)
        for position, (folder, own) in enumerate(reversed(chain))
    ]


def write_round(run: RunFolder, settings: FinetuneSettings, splits: tuple[Cases, ...]) -> tuple[Cases, ...]:
    """Write who trains and who is held out in every fold, and return it: a resumed run has the very same ones."""
    number = 0 if settings.rounds is None else rounds_of(settings.rounds.previous)[-1].number + 1
    values = {"v": 1, "number": number, "splits": [split.model_dump(mode="json") for split in splits]}
    write_text(run.path / ROUND, json.dumps(values, indent=1) + "\n")
    return splits


def read_round(run: RunFolder) -> tuple[Cases, ...] | None:
    """Return what `write_round` wrote, None if nothing is there. Raises RunError if it is damaged."""
    path = run.path / ROUND
    if not path.is_file():
        return None
    try:
        return tuple(Cases.model_validate(split) for split in json.loads(path.read_text(encoding="utf-8"))["splits"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise RunError(f"{path}: damaged ({type(problem).__name__}); start this round anew") from None


def _number(run: RunFolder) -> int | None:
    try:
        return int(json.loads((run.path / ROUND).read_text(encoding="utf-8"))["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def chain_of(run: Path) -> Iterator[tuple[RunFolder, FinetuneSettings]]:
    """Yield a run and those before it, newest first, as far as they are there. Raises RunError for the first alone."""
    folder = RunFolder.open(run)
    settings = finetuning_of(folder)
    seen = {folder.path.resolve()}
    yield folder, settings
    while settings.rounds is not None:
        folder = RunFolder(settings.rounds.previous)
        if folder.path.resolve() in seen:
            return
        seen.add(folder.path.resolve())
        try:
            settings = finetuning_of(folder)
        except GenesisError:
            return
        yield folder, settings


def _round(number: int, run: RunFolder, settings: FinetuneSettings, *, missing: bool) -> Round:
    try:
        splits = read_round(run) or frozen_cases(run, settings)
    except RunError:
        splits = ()
    training = {name for split in splits for name in split.training}
    try:
        state = run.status().word
    except RunError:
        state = "damaged"
    scores = read_scores(run.path / FILE)
    figures = {} if scores is None else means(scores.scores)
    return Round(
        number,
        run.path,
        state,
        len(training),
        sum(is_corrected(name) for name in training),
        {name.removeprefix("dice_"): value for name, value in figures.items()},
        None if settings.rounds is None else settings.rounds.start,
        missing,
    )


def finetuning_of(run: RunFolder) -> FinetuneSettings:
    """Return the settings of a fine-tuning. Raises RunError if it is none, or damaged."""
    settings = read_settings(RunFolder.open(run.path))
    if not isinstance(settings, FinetuneSettings):
        raise RunError(
            f"{run.path} is a run of {settings.task}: only a fine-tuning can be continued with corrected cases"
        )
    return settings


def frozen_cases(run: RunFolder, settings: FinetuneSettings) -> tuple[Cases, ...]:
    """Return who trained and who was held out in every fold, as the run stored it. Raises RunError if it did not."""
    if settings.cases is not None:
        return (settings.cases,)
    found = []
    for number in range(settings.folds or 0):
        fold = RunFolder(run.path / "folds" / str(number))
        cases = finetuning_of(fold).cases if fold.is_run else None
        if cases is None:
            break
        found.append(cases)
    if not found or len(found) < (settings.folds or 0):
        raise RunError(f"{run.path}: who is held out in each of its folds is not known yet; resume it first")
    return tuple(found)
