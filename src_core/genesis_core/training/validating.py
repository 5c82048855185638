"""A validation: figures measured by the first process and the same on all, told, shown, and compared with the best."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from genesis_core.task import Task
from genesis_core.training.checkpoint import Progress
from genesis_core.training.previews import write_preview
from genesis_core.training.processes import Processes
from genesis_core.training.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import nn


class Validation:
    """Validates networks on `task`. autocast: the context they compute in. emit: takes an event's kind and values."""

    def __init__(
        self,
        task: Task,
        run: RunFolder,
        processes: Processes,
        autocast: Callable[[], AbstractContextManager[None]],
        emit: Callable[..., None],
    ) -> None:
        self._task = task
        self._run = run
        self._processes = processes
        self._autocast = autocast
        self._emit = emit

    def measure(self, network: nn.Module, progress: Progress, wait_share: float, *, warming_up: bool = False) -> bool:
        """Validate `network`, which is in evaluation mode; return whether it is the best so far.

        progress: takes the figures, and the best. wait_share: of the time since the last validation, what the step
        waited for data, in [0, 1]. warming_up: whether it is too early for advice.
        """
        figures = self._processes.on_main(lambda: self._figures(network))
        progress.figures, progress.validated_step = figures, progress.step
        monitored = next(iter(figures.values()))
        # An untrained network is no result, however it scores.
        is_best = (
            progress.step > 0 and math.isfinite(monitored) and (progress.best is None or monitored < progress.best)
        )
        self._emit(
            "validation",
            step=progress.step,
            **figures,
            best=is_best and self._task.held_out,
            data_wait=round(wait_share, 4),
        )
        self._show_preview(network, progress.step)
        if not math.isfinite(monitored):
            message = (
                "this validation is not a number, and counts as no better: the network's values overflow. Where they "
                "go on to, try training.precision=float32 or a lower training.learning_rate"
            )
            self._emit("warning", step=progress.step, message=message)
        advice = None if warming_up or progress.step == 0 else self._task.advise(figures)
        if advice:
            self._emit("warning", step=progress.step, message=advice)
        if is_best:
            progress.best, progress.best_step, progress.stale = monitored, progress.step, 0
        elif progress.step > 0:
            progress.stale += 1
        return is_best

    def _figures(self, network: nn.Module) -> dict[str, float]:
        with self._autocast():
            return self._task.validate(network)

    def _show_preview(self, network: nn.Module, step: int) -> None:
        if not self._processes.is_main:
            return
        with self._autocast():
            arrays = self._task.preview(network)
        if arrays:
            self._emit("preview", step=step, file=write_preview(self._run, step, arrays))
