"""The curves of selected runs: losses of every step and all validations; of folds, one curve each. No Qt."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genesis_core.training.events import Event
from napari_genesis.jobs.record import RunRecord
from napari_genesis.jobs.tailing import EventTail
from napari_genesis.jobs.view import Curve
from napari_genesis.runs.listing import RunSummary

# Runs whose curves are remembered; those of a hundred thousand steps take some megabytes.
_REMEMBERED = 16
_FOLDS = 20


@dataclass(frozen=True, eq=False)
class RunCurve:
    """Curves of one training. fold: from 1; 0 for one without folds. steps, losses: of every training step."""

    path: Path
    name: str
    task: str
    fold: int
    steps: Curve
    losses: Curve
    validations: tuple[Event, ...]

    def validated(self, key: str) -> tuple[Curve, Curve]:
        """Return steps and values of one figure of the validations, such as "loss" or "mean_dice"."""
        pairs = [
            (event["step"], value)
            for event in self.validations
            if isinstance(value := event.get(key), int | float) and not isinstance(value, bool)
        ]
        found = np.array(pairs, dtype=float).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    @property
    def loss_key(self) -> str:
        """The name of the loss in its validations: of held-out scans, or else of those it trains on."""
        return "loss" if any("loss" in event for event in self.validations) else "train_loss"


class CurveReader:
    """Reads curves and goes on where it stopped. For one thread at a time."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, tuple[EventTail, RunRecord]] = OrderedDict()

    def read(self, runs: tuple[RunSummary, ...]) -> tuple[RunCurve, ...]:
        """Return the curves of runs, in their order."""
        curves: list[RunCurve] = []
        for run in runs:
            count = min(run.folds[0], _FOLDS)
            places = [(number + 1, run.path / "folds" / str(number)) for number in range(count)] or [(0, run.path)]
            curves += [self._read(run, fold, place) for fold, place in places]
        return tuple(curves)

    def _read(self, run: RunSummary, fold: int, place: Path) -> RunCurve:
        if place not in self._known:
            self._known[place] = (EventTail(place / "events.jsonl"), RunRecord())
        tail, record = self._known.pop(place)
        while True:
            events, anew = tail.read()
            if anew:
                record = RunRecord()
            for event in events:
                record.add(event)
            if tail.at_end or not events:
                break
            # The window's thread comes first.
            time.sleep(0)
        self._known[place] = (tail, record)
        while len(self._known) > _REMEMBERED + _FOLDS:
            self._known.popitem(last=False)
        return RunCurve(
            run.path, run.name, run.task, fold, record.steps.values, record.losses.values, record.validations()
        )


def quantities(curves: tuple[RunCurve, ...]) -> list[tuple[str, str]]:
    """Return what can be drawn of these runs, (key, name): each is there for one run at least.

    A loss is drawn for runs of one task alone: those of different tasks are on no common scale.
    """
    found: list[tuple[str, str]] = []
    if any(_has(curve, "mean_dice") for curve in curves):
        found.append(("mean_dice", "Dice while training"))
    one_task = len({curve.task for curve in curves}) == 1
    if one_task:
        if any(_has(curve, "loss") or _has(curve, "train_loss") for curve in curves):
            found.insert(0, ("validation", "validation loss"))
        if any(len(curve.steps) for curve in curves):
            found.append(("training", "training loss"))
    elif any(_has(curve, "return_mean") for curve in curves):
        found.append(("share", "loss / the mean's"))
    return found


def _has(curve: RunCurve, key: str) -> bool:
    return any(isinstance(event.get(key), int | float) for event in curve.validations)


def drawn(curve: RunCurve, quantity: str) -> tuple[Curve, Curve]:
    """Return steps and values of one quantity, as `quantities` names them."""
    if quantity == "training":
        return curve.steps, curve.losses
    if quantity == "mean_dice":
        return curve.validated("mean_dice")
    at, loss = curve.validated(curve.loss_key)
    if quantity != "share":
        return at, loss
    means: dict[Any, Any] = dict(zip(*map(np.ndarray.tolist, curve.validated("return_mean")), strict=True))
    pairs = [(step, value / means[step]) for step, value in zip(at, loss, strict=True) if means.get(step)]
    found = np.array(pairs, dtype=float).reshape(-1, 2)
    return found[:, 0], found[:, 1]
