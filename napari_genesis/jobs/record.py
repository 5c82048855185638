"""What the events of a run amount to, event by event: curves, validations, warnings that hold, pace. No Qt.

Values of kinds that no event of ours has are passed over: the file may be damaged, or another version's.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from genesis_core.training.events import Event
from napari_genesis.jobs.view import Curve, Pace, RunFacts

# Steps that the pace is taken from: enough to even out validations, few enough to follow a change.
_PACE_STEPS = 100
# Nothing is said of the pace before so many steps; the first ones pay for memory and for the choice of kernels.
_FIRST_STEPS = 4
_WARNINGS = 50
# Whole numbers that a float holds exactly; no training has more steps.
_LARGEST = 2**53
W = TypeVar("W", int, None, int | None)


class _Column:
    """Numbers that grow at their end; what was handed out never changes."""

    def __init__(self) -> None:
        self._room = np.empty(1024)
        self._count = 0

    @property
    def values(self) -> Curve:
        return self._room[: self._count]

    def append(self, value: float) -> None:
        if self._count == len(self._room):
            self._room = np.concatenate((self._room, np.empty(self._count)))
        self._room[self._count] = value
        self._count += 1

    def cut(self, count: int) -> None:
        """Forget all but the first `count`."""
        if count < self._count:
            self._room = np.concatenate((self._room[:count], np.empty(max(1024, count))))
            self._count = count


class RunRecord:
    """What the events so far amount to; after a resume the later record of a step counts."""

    def __init__(self) -> None:
        self.steps, self.losses, self._times, self._seconds, self._waits = (_Column() for _ in range(5))
        self.total: int | None = None
        self._warnings: dict[str, int] = {}
        self.prepared = ""
        self.preparing: tuple[int, int] | None = None
        self.begun = False
        self._validations: dict[int, Event] = {}
        self._notes: dict[str, None] = {}
        self.held_out: dict[str, dict[str, float | None]] = {}
        self.scores: dict[str, float] = {}
        self.trained = False
        self.of_folds = 1
        self._began: tuple[float, int] | None = None
        self._spent = 0.0
        self._last_time = 0.0

    @property
    def step(self) -> int:
        steps = self.steps.values
        return int(steps[-1]) if len(steps) else 0

    def warnings(self) -> tuple[str, ...]:
        """Return what was said before the first step, and what the latest validation or the end had to say."""
        latest = max(self._validations, default=0)
        return tuple(message for message, step in self._warnings.items() if step == 0 or step >= latest)

    def notes(self) -> tuple[str, ...]:
        """Return what was said of the source; of the data, `prepared` tells."""
        return tuple(self._notes)

    def validations(self) -> tuple[Event, ...]:
        return tuple(self._validations[step] for step in sorted(self._validations))

    def add(self, event: Event) -> None:
        kind, step = event["event"], whole(event.get("step"), None)
        self._last_time = _number(event.get("time"), self._last_time)
        if kind == "step" and step is not None:
            self._add_step(step, event)
        elif kind == "validation" and step is not None:
            self._validations[step] = event
        elif kind == "warning" and isinstance(event.get("message"), str):
            self._warnings[event["message"]] = step or 0
            if len(self._warnings) > _WARNINGS:
                del self._warnings[next(iter(self._warnings))]
        elif kind == "started":
            self._start(event, step or 0)
        elif kind == "prepared":
            self.prepared, self.preparing = str(event.get("message", "")), None
        elif kind == "preparing":
            self.preparing = (whole(event.get("done"), 0), whole(event.get("total"), 0))
        elif kind in ("stopped", "finished"):
            self.trained = kind == "finished"
            self._spent = _number(event.get("seconds"), self._spent)
        elif kind == "transfer" and isinstance(event.get("message"), str):
            self._notes[event["message"]] = None
        elif kind in ("fold", "folds_finished"):
            self.of_folds = max(whole(event.get("folds"), 1), 1)
            self.scores = _dice(event) or self.scores
        elif kind == "scores":
            self.scores = _dice(event)
        elif kind == "held_out" and isinstance(event.get("dice"), dict):
            dice = event["dice"].items()
            self.held_out[str(event.get("case"))] = {
                str(name): float(value) if isinstance(value, int | float) else None for name, value in dice
            }

    def _start(self, event: Event, step: int) -> None:
        self.begun, self.trained, self.preparing = True, False, None
        self.total = whole(event.get("total_steps"), self.total)
        self._began = (self._last_time, step)
        self._cut(step)
        self._validations = {at: one for at, one in self._validations.items() if at <= step}

    def _add_step(self, step: int, event: Event) -> None:
        if step <= self.step:
            self._cut(step - 1)
        self.steps.append(step)
        self.losses.append(_number(event.get("loss"), np.nan))
        self._times.append(self._last_time)
        self._seconds.append(_number(event.get("seconds"), 0.0))
        self._waits.append(_number(event.get("waited"), 0.0))

    def _cut(self, step: int) -> None:
        count = int(np.searchsorted(self.steps.values, step, side="right"))
        for column in (self.steps, self.losses, self._times, self._seconds, self._waits):
            column.cut(count)

    def pace(self, facts: RunFacts | None) -> Pace | None:
        if self._began is None:
            return None
        steps, times = self.steps.values, self._times.values
        first = int(np.searchsorted(steps, self._began[1], side="right"))
        count = len(steps) - first
        if count < _FIRST_STEPS:
            return None
        # The later half: however slow the first ones were, they are soon forgotten.
        first = max(first + count // 2 - 1, len(steps) - _PACE_STEPS - 1)
        each = float((times[-1] - times[first]) / max(steps[-1] - steps[first], 1))
        busy = self._seconds.values[first:] + self._waits.values[first:]
        waited = float(self._waits.values[first:].sum() / max(busy.sum(), 1e-9))
        batch = facts.batch if facts else 0
        left = None if self.total is None else max(self.total - self.step, 0) * each
        if facts is not None and facts.max_hours is not None:
            spent = self._spent + self._last_time - self._began[0]
            budget = max(facts.max_hours * 3600 - spent, 0.0)
            left = budget if left is None else min(left, budget)
        return Pace(each, batch / max(float(np.mean(busy)), 1e-9), waited, left)


def _dice(event: Event) -> dict[str, float]:
    """Return the Dice of an event: `dice_<name>` of structures and `mean_dice`."""
    return {
        key: float(value)
        for key, value in event.items()
        if (key.startswith("dice_") or key == "mean_dice") and isinstance(value, int | float)
    }


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, float) or whole(value, None) is not None else otherwise


def whole(value: Any, otherwise: W) -> int | W:
    """Return a count as a file has it; `otherwise` for anything that is none."""
    return value if isinstance(value, int) and 0 <= value < _LARGEST else otherwise
