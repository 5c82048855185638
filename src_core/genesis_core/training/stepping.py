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
from genesis_core.training.failures import OutOfMemoryError, is_out_of_memory
from genesis_core.training.fitting import halved, out_of_memory, pieces, shares
from genesis_core.training.guilty import guilty_samples, not_a_number
from genesis_core.training.hardware import native_float16, resolve_compile
from genesis_core.training.optimiser import make_optimiser
from genesis_core.training.parameter_groups import apply_freezing
from genesis_core.training.processes import ALONE, Processes
from genesis_core.training.recomputing import recompute_activations
from genesis_core.training.schedule import learning_rate
from genesis_core.training.sending import on_device, pinned
from genesis_core.training.settings import DEFAULT_STEPS, TrainingSettings
from genesis_core.training.step_clock import StepClock

if TYPE_CHECKING:
    from torch import nn

# Makes the optimiser's parameter groups of a network that is trained for so many steps.
Groups = Callable[["nn.Module", int], list[dict[str, Any]]]


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

    groups: makes the optimiser's parameter groups (`parameter_groups`); None: all parameters alike.
    forward: what the task's loss is computed with, the network itself or what computes the same as it.
    processes: those that train together; their gradients become one, and their losses. What one of them cannot do is
    found out before gradients are exchanged, and then none does it.
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
        may_change = self._compiles or self.settings.on_out_of_memory == "halve"
        # The second time the optimiser's own numbers take their room, too.
        self._to_prove = 2 if may_change and self.processes.count > 1 else 0

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
        steps = self.settings.max_steps or DEFAULT_STEPS
        return make_optimiser(network, self.settings, None if self._groups is None else self._groups(network, steps))

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
        statistics = [buffer.clone() for buffer in self.network.buffers()]
        if self._to_prove:
            self._prove(parts, statistics)
        loss = self._gradients(parts, statistics)
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
                message = self._not_a_number(parts, step, loss)
                self._restore(statistics)
                raise self.processes.agreed(NotANumberError(message))
            self.scaler.step(self.optimiser)
            self.scaler.update()
        self.clock.end()
        return Step(loss, norm, rate, skipped)

    def _gradients(self, parts: Sequence[Batch], statistics: Sequence[torch.Tensor]) -> float:
        """Leave the gradients of `parts` in the network, and return their loss; done again where there is a way out.

        statistics: the network's buffers before the step.
        """
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                return self._forward_backward(parts)
            except Exception as problem:
                # Of several processes none goes another way than the others: they are exchanging gradients already.
                if not self._find_way_out(problem, parts, may_change=self.processes.count == 1):
                    raise
            self._undo(statistics)

    def _prove(self, parts: Sequence[Batch], statistics: Sequence[torch.Tensor]) -> None:
        """Let each process compute the gradients of `parts` for itself, until all of them go a way that all can go.

        Raises OutOfMemoryError as `_find_way_out`; any other problem is left for the step itself to show.
        """
        self._to_prove -= 1
        while True:
            words = None
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
                try:
                    self._forward_backward(parts, exchange=False)
                except Exception as problem:
                    words = "out of memory" if is_out_of_memory(problem) else f"{type(problem).__name__}: {problem}"
            self._undo(statistics)
            said = [one for one in self.processes.collect(words) if one is not None]
            # Too little memory comes first: it is certain, and what else there is shows again.
            said.sort(key=lambda one: one != "out of memory")
            try:
                if not said or not self._find_way_out(RuntimeError(said[0]), parts, may_change=True):
                    return
            except OutOfMemoryError as problem:
                raise self.processes.agreed(problem) from None

    def _undo(self, statistics: Sequence[torch.Tensor]) -> None:
        """Forget a pass through the network, and with it the activations that a problem's traceback held."""
        gc.collect()
        self.clock.drop()
        self.optimiser.zero_grad(set_to_none=True)
        self._restore(statistics)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _restore(self, statistics: Sequence[torch.Tensor]) -> None:
        # Running statistics take in what passes through, also what is not a number.
        for buffer, before in zip(self.network.buffers(), statistics, strict=True):
            buffer.data.copy_(before)

    def _forward_backward(self, parts: Sequence[Batch], *, exchange: bool = True) -> float:
        samples = sum(len(part.origins) for part in parts)
        values: list[tuple[torch.Tensor, float | torch.Tensor]] = []
        for number, part in enumerate(parts, 1):
            self.clock.enter("corruption")
            part = on_device(part, self.device, self._format)
            self.clock.enter("network")
            cut = list(pieces(part, self.most_samples))
            for piece in cut:
                share = shares(part, piece, samples)
                # Gradients are exchanged once, when the last are added.
                is_last = number == len(parts) and piece is cut[-1]
                with nullcontext() if is_last and exchange else self.processes.alone(self.forward):
                    with self.autocast():
                        value, _ = self.task.loss(self.forward, piece)
                    self.scaler.scale(value / share).backward()  # type: ignore[no-untyped-call]
                values.append((value.detach(), share))
        return sum(float(value) / float(share) for value, share in values)

    def _find_way_out(self, problem: Exception, parts: Sequence[Batch], *, may_change: bool) -> bool:
        """Change how gradients are computed so that `problem` may not come again; return whether there is such a way.

        Raises OutOfMemoryError with advice if there is too little memory and nothing is to be tried.
        """
        if isinstance(problem, GenesisError):
            return False
        if is_out_of_memory(problem):
            samples = min(max(len(part.origins) for part in parts), self.most_samples or self.settings.batch_size)
            if self.settings.on_out_of_memory == "stop" or samples == 1 or not may_change:
                raise out_of_memory(self.network, self.settings, parts, samples, str(self.device)) from problem
            self.most_samples, words = halved(self.network, self.settings, samples)
            self._remark(words, most_samples=self.most_samples)
            return True
        if not self._compiles or not may_change:
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
        there = [on_device(part, self.device, self._format) for part in parts]
        guilty = self._of_all(guilty_samples(self.task, self.network, there, self.autocast()))
        names = guilty or self._of_all([origin for part in parts for origin in part.origins])
        return not_a_number(step, names, is_loss=not math.isfinite(loss), are_guilty=bool(guilty))

    def _of_all(self, names: list[str]) -> list[str]:
        return [name for one in self.processes.collect(names) for name in one]
