"""All that a widget shows of a run, as one unchanging value: made in a thread, read in the window. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.training.events import Event
from genesis_core.training.run_folder import RunStatus

Curve = NDArray[np.float64]
_NONE: Curve = np.empty(0)


@dataclass(frozen=True)
class RunFacts:
    """What stands in run.yaml. batch: sub-volumes per step. spacing: mm (x, y, z) if scans are resampled.

    seed, patch (z, y, x), width, recipe: as set; batch is 0, patch empty and width None while they are to be planned.
    max_hours: of the budget, if there is one. held_out: how many cases are held out. source: what a fine-tuning starts
    from. plan: why what was planned is as it is, by the dotted key.
    """

    task: str
    device: str
    batch: int
    patch: tuple[int, ...]
    width: int | None
    recipe: str
    seed: int
    max_hours: float | None
    spacing: tuple[float, ...] | None
    scans: Path | None
    validate_every: int
    held_out: int = 0
    source: Path | None = None
    plan: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedColour:
    """A structure as a preview names and colours it."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class PreviewArrays:
    """The latest preview: name -> (sample, z, y, x); images in [0, 1], maps of structures as uint8.

    case: pseudonym of the case that case_image, case_reference and case_prediction show. spacing: theirs, mm (x, y, z).
    structures: number k + 1 in a map is the k-th.
    """

    step: int
    arrays: Mapping[str, NDArray[Any]]
    case: str = ""
    spacing: tuple[float, ...] | None = None
    structures: tuple[NamedColour, ...] = ()


@dataclass(frozen=True)
class Pace:
    """How fast a run goes. seconds_per_step: with validations and checkpoints. seconds_left: to its end, if known.

    volumes_per_second: sub-volumes trained on. waited: part of the time the steps waited for data.
    """

    seconds_per_step: float
    volumes_per_second: float
    waited: float
    seconds_left: float | None


@dataclass(frozen=True, eq=False)
class RunView:
    """A run at one moment.

    word: the state as the folder has it; empty before it was read. steps, losses: of every training step, the last
    record of a step alone. validations: likewise, in order. preparing: scans done and in all, before the first step.
    warnings: those that hold now. words: why its process ended, if it died. gone: the folder is not there any more.
    notes: what was said of the data and the source. held_out: Dice by structure of each held-out case that is scored.
    scores: their means, once all are. trained: all steps are done; held-out cases may still be scored. of_folds: how
    many trainings it is made of, 1 for most; folds: those that have begun, each a view of its own.
    """

    path: Path
    status: RunStatus = field(default_factory=lambda: RunStatus("queued"))
    word: str = ""
    facts: RunFacts | None = None
    step: int = 0
    total_steps: int | None = None
    steps: Curve = field(default_factory=lambda: _NONE)
    losses: Curve = field(default_factory=lambda: _NONE)
    validations: tuple[Event, ...] = ()
    warnings: tuple[str, ...] = ()
    prepared: str = ""
    preparing: tuple[int, int] | None = None
    preview: PreviewArrays | None = None
    pace: Pace | None = None
    words: tuple[str, ...] = ()
    gone: bool = False
    begun: bool = False
    notes: tuple[str, ...] = ()
    held_out: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    trained: bool = False
    of_folds: int = 1
    folds: tuple[RunView, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def training_now(self) -> RunView:
        """The view of what trains now: of several folds the latest, else the run itself."""
        return self.folds[-1] if self.folds else self

    @property
    def figures(self) -> Mapping[str, Any]:
        """The latest validation; empty before the first."""
        return self.validations[-1] if self.validations else {}
