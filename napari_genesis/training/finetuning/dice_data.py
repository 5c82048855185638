"""The Dice of a run over its steps, structure by structure, from its validations. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from napari_genesis.jobs.view import Curve, NamedColour, RunView

MEAN = "mean_dice"
_PREFIX = "dice_"


@dataclass(frozen=True, eq=False)
class DiceLine:
    """The Dice of one structure. steps, values: one for each validation that has one."""

    name: str
    colour: tuple[int, int, int]
    steps: Curve
    values: Curve

    @property
    def latest(self) -> float | None:
        """The last value; None before the first."""
        return float(self.values[-1]) if len(self.values) else None


def structures_of(view: RunView) -> tuple[NamedColour, ...]:
    """Return the structures of a run, in their colours: as its previews have them, else in the order of the figures."""
    from genesis_core.volumes.structure_colours import default_colours

    preview = view.preview or view.training_now.preview
    if preview is not None and preview.structures:
        return preview.structures
    names = dict.fromkeys(
        key.removeprefix(_PREFIX)
        for figures in (*view.validations, *view.training_now.validations, view.scores)
        for key in figures
        if key.startswith(_PREFIX)
    )
    return tuple(NamedColour(name, colour) for name, colour in zip(names, default_colours(len(names)), strict=True))


def dice_lines(view: RunView, structures: Sequence[NamedColour]) -> list[DiceLine]:
    """Return one line for each structure."""
    return [DiceLine(one.name, one.colour, *_points(view, _PREFIX + one.name)) for one in structures]


def mean_line(view: RunView) -> DiceLine:
    """Return the mean over the structures; its colour is that of text, and left open."""
    return DiceLine("mean", (0, 0, 0), *_points(view, MEAN))


def mean_of(dice: Mapping[str, float | None]) -> float | None:
    """Return the mean over the structures that a case has a Dice of; None if it has none."""
    known = [value for value in dice.values() if value is not None]
    return fmean(known) if known else None


def _points(view: RunView, key: str) -> tuple[Curve, Curve]:
    found = [(event["step"], value) for event in view.validations if isinstance(value := event.get(key), int | float)]
    pairs = np.array(found, dtype=float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
