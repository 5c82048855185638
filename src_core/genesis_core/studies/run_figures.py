"""The one figure a run is known by: of a fine-tuning the Dice of held-out cases, of a pre-training its validation loss.

Read from the run folder alone, whatever state it is in; a figure that is no result yet says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis_core.training.held_out import FILE

Event = dict[str, Any]


@dataclass(frozen=True)
class RunFigure:
    """value: a Dice, or a loss. baseline: of a restoration, what returning the mean scores. step: where it was reached.

    merit: for sorting, higher is better, 1 is perfect: the Dice, or by how much the loss is below the baseline.
    final: whether it is a result: a Dice of whole held-out cases, or a loss of held-out scans.
    """

    name: str
    value: float
    merit: float
    final: bool
    baseline: float | None = None
    step: int | None = None

    @property
    def text(self) -> str:
        """The figure in a word or two, such as "0.831", "~0.79" for one that is no result, or "0.012 (-64 %)"."""
        mark = "" if self.final else "~"
        if self.baseline is None:
            return f"{mark}{self.value:.3f}" if self.name == "Dice" else f"{mark}{self.value:.3g}"
        return f"{mark}{self.value:.3g} ({self.change})"

    @property
    def change(self) -> str:
        """By how much a loss differs from its baseline, such as "-64 %"; empty without one."""
        if self.baseline is None:
            return ""
        change = 100 * (self.value / self.baseline - 1)
        return f"{change:+.0f} %".replace("-", chr(0x2212))

    @property
    def words(self) -> str:
        """What the figure is, in a sentence."""
        at = "" if self.step is None else f", at step {self.step:,}"
        if self.name == "Dice":
            if self.final:
                return f"Mean Dice of whole held-out cases: {self.value:.3f}."
            return f"Mean Dice of a few sub-volumes while it trained{at}: {self.value:.3f}. No result yet."
        scans = "held-out scans" if self.final else "the scans it trains on (none are held out)"
        if self.baseline is None:
            return f"Lowest loss on {scans}{at}: {self.value:.4g}."
        share = 100 * abs(1 - self.value / self.baseline)
        side = "below" if self.value <= self.baseline else "ABOVE"
        return f"Lowest loss on {scans}{at}: {self.value:.4g}, {share:.0f} % {side} the mean's {self.baseline:.4g}."


def run_figure(validations: Iterable[Event], means: dict[str, float]) -> RunFigure | None:
    """Return the best figure of a run; None before anything was validated.

    validations: its events of that kind. means: of its held-out cases, as `held_out_means` reads them.
    """
    dice = means.get("mean_dice")
    if dice is not None:
        return RunFigure("Dice", dice, dice, True)
    best: RunFigure | None = None
    for event in validations:
        found = _figure_of(event)
        if found is not None and (best is None or found.merit > best.merit):
            best = found
    return best


def _figure_of(event: Event) -> RunFigure | None:
    step = event.get("step") if isinstance(event.get("step"), int) else None
    if step == 0:
        # What a network that has learnt nothing scores is no figure of the run.
        return None
    dice = _number(event.get("mean_dice"))
    if dice is not None:
        return RunFigure("Dice", dice, dice, False, step=step)
    final = "loss" in event
    loss, mean = _number(event.get("loss" if final else "train_loss")), _number(event.get("return_mean"))
    if loss is None:
        return None
    if mean is None or mean <= 0:
        return RunFigure("loss", loss, -loss, final, step=step)
    return RunFigure("loss", loss, 1 - loss / mean, final, mean, step)


def held_out_means(run: Path) -> dict[str, float]:
    """Return the mean Dice by structure and over them of a run's held-out cases; nothing if it has none, or damaged."""
    try:
        values = json.loads((run / FILE).read_text(encoding="utf-8"))
        found = {str(name): _number(value) for name, value in values["means"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
