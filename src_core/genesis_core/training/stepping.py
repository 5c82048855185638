"""One optimiser step: the batch travels to the device, forward, loss, backward, clipping, update.

It knows nothing of runs, validations or checkpoints, so that a step can also be timed on copies. A loss that is not a
number ends the step before the weights are touched, and names the sub-volume. What the device cannot do (compile the
network, hold a whole batch) is done otherwise, and said.
"""

from __future__ import annotations

import copy
import gc
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genesis_core.errors import GenesisError, TrainingError
from genesis_core.task import Batch, Task
from genesis_core.training.arithmetic import autocast, lower_scale, make_scaler
from genesis_core.training.compiling import compiled, not_compiled
from genesis_core.training.failures import is_out_of_memory
from genesis_core.training.fitting import halved, out_of_memory, pieces
from genesis_core.training.hardware import native_float16, resolve_compile
from genesis_core.training.optimiser import make_optimiser
from genesis_core.training.parameter_groups import apply_freezing
from genesis_core.training.processes import ALONE, Processes
from genesis_core.training.recomputing import recompute_activations
from genesis_core.training.schedule import learning_rate
from genesis_core.training.sending import on_device, pinned
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.step_clock import StepClock

if TYPE_CHECKING:
    from torch import nn

Groups = Callable[["nn.Module"], list[dict[str, Any]]]


class NotANumberError(TrainingError):
    """The loss or the gradient is not a number; the weights are those before the step."""


@dataclass(frozen=True)
class Step:
    """What a step was. gradient_norm: Euclidean, before clipping. skipped: float16 overflowed, the weights stayed."""

    loss: float
    gradient_norm: float
    learning_rate: float
    skipped: bool = False


class Stepper:
    """Does the optimiser steps of `network` on `task`; the network is on `device` already.

    groups: makes the optimiser's parameter groups of a network (`parameter_groups`); None: all parameters alike.
    forward: what the task's loss is computed with, the network itself or what computes the same as it.
    processes: those that train together; their gradients become one, and their losses.
    most_samples: that pass through the network at a time; None: whole batches. skipped: steps left out so far, because
    float16 overflowed. clock: where the time of the steps went.
    """

    def __init__(
        self,
        task: Task,
        network: nn.Module,
        settings: TrainingSettings,
        device: torch.device,
        groups: Groups | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.task = task
        self.network = network
        self.settings = settings
        self.device = device
        self.most_samples: int | None = None
        self.skipped = 0
        self.clock = StepClock(device)
        self.processes = processes
        self._groups = groups
        self._remarks: list[dict[str, Any]] = []
        self._format: torch.memory_format | None = None
        if settings.channels_last:
            dims = max(parameter.ndim for parameter in network.parameters()) - 2
            self._format = torch.channels_last_3d if dims == 3 else torch.channels_last
            network.to(memory_format=self._format)  # type: ignore[call-overload]
        if settings.activation_checkpointing:
            recompute_activations(network)
        if settings.precision == "float16" and not native_float16(str(device)):
            self._remark(f"{device} emulates float16, which can be a hundred times slower than float32")
        self._compiles = resolve_compile(settings.compile, str(device))
        self._use(network)

    def _use(self, network: nn.Module) -> None:
        """Train `network` from here on, with an optimiser and a scale of the loss of its own."""
        self.network = network
        self.forward = self._way_forward(network)
        self.optimiser = self.make_optimiser(network)
        self.scaler = make_scaler(self.settings.precision, self.device)

    def _way_forward(self, network: nn.Module) -> nn.Module:
        """Return what the loss is computed with: the network, compiled if it shall be and can, for all processes."""
        forward = network
        if self._compiles:
            try:
                forward = compiled(network)
            except RuntimeError as problem:
                self._compiles = False
                self._remark(not_compiled(problem), compiled=False)
        return self.processes.wrap(forward, freezes=self._groups is not None)

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return a new optimiser of `network`, of these settings and groups."""
        return make_optimiser(network, self.settings, None if self._groups is None else self._groups(network))

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network computes in the precision of the settings."""
        return autocast(self.settings.precision, self.device)

    def pin(self, parts: Sequence[Batch]) -> Sequence[Batch]:
        """Return the batches where a GPU fetches them by itself; on other devices as they are."""
        return [pinned(part) for part in parts] if self.device.type == "cuda" else parts

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run goes on with, beside weights and optimiser."""
        return {"scaler": self.scaler.state_dict(), "most_samples": self.most_samples, "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.scaler.load_state_dict(state["scaler"])
        self.most_samples, self.skipped = state["most_samples"], state["skipped"]

    def take_remarks(self) -> list[dict[str, Any]]:
        """Return what the user should know since the last call: a `message`, and its figures by name."""
        remarks, self._remarks = self._remarks, []
        return remarks

    def step(self, parts: Sequence[Batch], step: int, total: int) -> Step:
        """Do optimiser step `step` of `total` on the batches `parts`, whose gradients are added.

        Raises NotANumberError before anything is changed, OutOfMemoryError where not even one sub-volume fits (or
        nothing is to be tried).
        """
        rate = learning_rate(self.settings, step, total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.network.train()
        if self._groups is not None:
            apply_freezing(self.network, self.optimiser.param_groups, step)
        loss = self._gradients(parts)
        self.processes.average_buffers(self.network)
        losses = [row[0] for row in self.processes.gather([loss])]
        loss = sum(losses) / len(losses)
        self.clock.enter("update")
        self.scaler.unscale_(self.optimiser)
        limit = self.settings.clip_norm if self.settings.clip_norm is not None else math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        skipped = not math.isfinite(norm) and math.isfinite(loss) and self._overflowed(step)
        if not skipped:
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self.processes.agreed(NotANumberError(self._not_a_number(parts, step, loss)))
            self.scaler.step(self.optimiser)
            self.scaler.update()
        self.clock.end()
        return Step(loss, norm, rate, skipped)

    def _gradients(self, parts: Sequence[Batch]) -> float:
        """Leave the gradients of `parts` in the network, and return their loss; done again where there is a way out."""
        may_be_redone = self._compiles or self.settings.on_out_of_memory == "halve"
        kept = [buffer.clone() for buffer in self.network.buffers()] if may_be_redone else []
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                return self._forward_backward(parts)
            except Exception as problem:
                if not self._find_way_out(problem, parts):
                    raise
            # Here the problem is gone, and with it the activations that its traceback held.
            gc.collect()
            self.clock.drop()
            for buffer, before in zip(self.network.buffers(), kept, strict=True):
                buffer.data.copy_(before)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _forward_backward(self, parts: Sequence[Batch]) -> float:
        samples = sum(len(part.origins) for part in parts)
        values = []
        for number, part in enumerate(parts, 1):
            self.clock.enter("corruption")
            part = on_device(part, self.device, self._format)
            self.clock.enter("network")
            cut = list(pieces(part, self.most_samples))
            for piece in cut:
                # How many such pieces there are in all.
                share = samples / len(piece.origins)
                # Gradients are exchanged once, when the last are added.
                is_last = number == len(parts) and piece is cut[-1]
                with nullcontext() if is_last else self.processes.alone(self.forward):
                    with self.autocast():
                        value, _ = self.task.loss(self.forward, piece)
                    self.scaler.scale(value / share).backward()  # type: ignore[no-untyped-call]
                values.append((value.detach(), share))
        return sum(float(value) / share for value, share in values)

    def _find_way_out(self, problem: Exception, parts: Sequence[Batch]) -> bool:
        """Change how gradients are computed so that `problem` may not come again; return whether there is such a way.

        Raises OutOfMemoryError with advice if there is too little memory and nothing is to be tried. Of several
        processes none goes another way than the others: they may be exchanging gradients already.
        """
        if isinstance(problem, GenesisError):
            return False
        alone = self.processes.count == 1
        if is_out_of_memory(problem):
            samples = min(max(len(part.origins) for part in parts), self.most_samples or self.settings.batch_size)
            if self.settings.on_out_of_memory == "stop" or samples == 1 or not alone:
                raise out_of_memory(self.network, self.settings, parts, samples, str(self.device)) from problem
            self.most_samples, words = halved(self.network, self.settings, samples)
            self._remark(words, most_samples=self.most_samples)
            return True
        if not self._compiles or not alone:
            return False
        self._compiles = False
        self.forward = self._way_forward(self.network)
        self._remark(not_compiled(problem), compiled=False)
        return True

    def _remark(self, message: str, **figures: Any) -> None:
        self._remarks.append({"message": message, **figures})

    def _overflowed(self, step: int) -> bool:
        """Whether gradients overflowed in float16 only because of the scale of the loss, which then falls."""
        scale = lower_scale(self.scaler)
        if scale is None:
            return False
        self.skipped += 1
        if self.skipped == 1:
            self._remark(
                f"step {step + 1} overflowed in float16 and changed nothing; the loss is scaled by {scale:g} now. Some "
                "such steps are normal, above all at the start; the end says how many there were",
                scale=scale,
            )
        return True

    def seconds_per_step(self, draw: Callable[[int], Sequence[Batch]], count: int) -> float:
        """Return how long a step takes here, drawing included; measured on copies, the training is untouched.

        What it learns of the device stays known: how many sub-volumes fit, that nothing can be compiled.
        """
        kept = self.network, self.forward, self.optimiser, self.scaler, self.clock, self.skipped
        self.clock = StepClock(self.device)
        self._use(copy.deepcopy(self.network))
        try:
            times = []
            for step in range(count):
                began = time.perf_counter()
                self.step(self.pin(draw(step)), step, count)
                times.append(time.perf_counter() - began)
        finally:
            self.network, self.forward, self.optimiser, self.scaler, self.clock, self.skipped = kept
            if not self._compiles:
                self.forward = self._way_forward(self.network)
        # The first steps pay for allocation and for choosing kernels.
        return float(np.median(times[min(2, count - 1) :]))

    def _not_a_number(self, parts: Sequence[Batch], step: int, loss: float) -> str:
        guilty = self._of_all([origin for part in parts for origin in self._guilty(part)])
        names = guilty or self._of_all([origin for part in parts for origin in part.origins])
        what = "the loss" if not math.isfinite(loss) else "the gradient"
        return (
            f"{what} is not a number at step {step + 1}, on {'' if guilty else 'one of '}{', '.join(names)}. The state "
            "before this step is kept in checkpoints/last.pt. Look at that sub-volume; if it is sound, start again "
            "with a lower training.learning_rate, or with training.precision=float32"
        )

    def _of_all(self, names: list[str]) -> list[str]:
        return [name for one in self.processes.collect(names) for name in one]

    def _guilty(self, part: Batch) -> list[str]:
        """Return the origins whose loss alone is not finite; none, if only the whole batch or its gradient is bad."""
        guilty = []
        with torch.no_grad(), self.autocast():
            for index, origin in enumerate(part.origins):
                one = part.only(index).to(self.device, self._format)
                if not bool(torch.isfinite(self.task.loss(self.network, one)[0])):
                    guilty.append(origin)
        return guilty
