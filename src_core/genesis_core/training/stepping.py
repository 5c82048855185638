"""One optimiser step: the batch travels to the device, forward, loss, backward, clipping, update.

It knows nothing of runs, validations or checkpoints, so that a step can also be timed on copies. A loss that is not a
number ends the step before the weights are touched, and names the sub-volume.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genesis_core.errors import TrainingError
from genesis_core.task import Batch, Task
from genesis_core.training.optimiser import make_optimiser
from genesis_core.training.parameter_groups import apply_freezing
from genesis_core.training.schedule import learning_rate
from genesis_core.training.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import nn

Groups = Callable[["nn.Module"], list[dict[str, Any]]]


class NotANumberError(TrainingError):
    """The loss or the gradient is not a number; the weights are those before the step."""


@dataclass(frozen=True)
class Step:
    """What a step was. gradient_norm: Euclidean, before clipping."""

    loss: float
    gradient_norm: float
    learning_rate: float


class Stepper:
    """Does the optimiser steps of `network` on `task`; the network is on `device` already.

    groups: makes the optimiser's parameter groups of a network (`parameter_groups`); None: all parameters alike.
    """

    def __init__(
        self,
        task: Task,
        network: nn.Module,
        settings: TrainingSettings,
        device: torch.device,
        groups: Groups | None = None,
    ) -> None:
        self.task = task
        self.network = network
        self.settings = settings
        self.device = device
        self._groups = groups
        self._format: torch.memory_format | None = None
        if settings.channels_last:
            dims = max(parameter.ndim for parameter in network.parameters()) - 2
            self._format = torch.channels_last_3d if dims == 3 else torch.channels_last
            network.to(memory_format=self._format)  # type: ignore[call-overload]
        self.optimiser = self.make_optimiser(network)

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return a new optimiser of `network`, of these settings and groups."""
        return make_optimiser(network, self.settings, None if self._groups is None else self._groups(network))

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network computes in the precision of the settings."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def step(self, parts: Sequence[Batch], step: int, total: int) -> Step:
        """Do optimiser step `step` of `total` on the batches `parts`, whose gradients are added.

        Raises NotANumberError before anything is changed.
        """
        rate = learning_rate(self.settings, step, total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.network.train()
        if self._groups is not None:
            apply_freezing(self.network, self.optimiser.param_groups, step)
        self.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for part in parts:
            with self.autocast():
                value, _ = self.task.loss(self.network, part.to(self.device, self._format))
            (value / len(parts)).backward()  # type: ignore[no-untyped-call]
            loss += float(value.detach()) / len(parts)
        limit = self.settings.clip_norm if self.settings.clip_norm is not None else math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotANumberError(self._not_a_number(parts, step, loss))
        self.optimiser.step()
        return Step(loss, norm, rate)

    def seconds_per_step(self, draw: Callable[[int], Sequence[Batch]], count: int) -> float:
        """Return how long a step takes here, drawing included; measured on copies, the training is untouched."""
        kept, network = self.optimiser, self.network
        self.network = copy.deepcopy(network)
        self.optimiser = self.make_optimiser(self.network)
        try:
            times = []
            for step in range(count):
                began = time.perf_counter()
                self.step(draw(step), step, count)
                times.append(time.perf_counter() - began)
        finally:
            self.optimiser, self.network = kept, network
        # The first steps pay for allocation and for choosing kernels.
        return float(np.median(times[min(2, count - 1) :]))

    def _not_a_number(self, parts: Sequence[Batch], step: int, loss: float) -> str:
        guilty = [origin for part in parts for origin in self._guilty(part)]
        names = guilty or [origin for part in parts for origin in part.origins]
        what = "the loss" if not math.isfinite(loss) else "the gradient"
        return (
            f"{what} is not a number at step {step + 1}, on {'' if guilty else 'one of '}{', '.join(names)}. The state "
            "before this step is kept in checkpoints/last.pt. Look at that sub-volume; if it is sound, start again "
            "with a lower training.learning_rate, or with training.precision=float32"
        )

    def _guilty(self, part: Batch) -> list[str]:
        """Return the origins whose loss alone is not finite; none, if only the whole batch or its gradient is bad."""
        guilty = []
        with torch.no_grad(), self.autocast():
            for index, origin in enumerate(part.origins):
                one = part.only(index).to(self.device, self._format)
                if not bool(torch.isfinite(self.task.loss(self.network, one)[0])):
                    guilty.append(origin)
        return guilty
