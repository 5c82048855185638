"""The one training loop: whatever the task, it draws, steps, validates, checkpoints and stops the same way.

It knows a `Task` and nothing of what the task learns. Everything random is decided by (seed, step, index), so a run
that was stopped or killed and resumed ends with the weights of an unbroken one, bit for bit on the CPU.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from genesis_core.errors import TrainingError
from genesis_core.sampling.fallback_rule import FallbackRule
from genesis_core.task import Batch, Task
from genesis_core.training.averaging import averaged
from genesis_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from genesis_core.training.events import Event
from genesis_core.training.failures import named_failure
from genesis_core.training.optimiser import make_optimiser
from genesis_core.training.parameter_groups import apply_freezing
from genesis_core.training.prefetch import Prefetcher
from genesis_core.training.previews import write_preview
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.schedule import learning_rate
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stopping import StopRequest
from genesis_core.training.tensorboard import ScalarWriter

if TYPE_CHECKING:
    from torch import nn

Report = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """How a training ended. reason: a sentence for people."""

    state: Literal["finished", "stopped"]
    reason: str
    progress: Progress


class Training:
    """One training of `network` on `task`, living in `run`.

    save_model: called with the network and its figures: at each new best, or, with `keep` "last", at each validation;
    and at the end where nothing is held out. report: receives every event as it is written. groups: makes the
    optimiser's parameter groups of a network (`parameter_groups`); None: all parameters alike. last_words: asked at the
    end of a finished run what the user should know about it. The network must be on `device` already.
    """

    def __init__(
        self,
        task: Task,
        network: nn.Module,
        settings: TrainingSettings,
        run: RunFolder,
        *,
        seed: int,
        device: str,
        save_model: Callable[[nn.Module, dict[str, float]], None],
        report: Report | None = None,
        groups: Callable[[nn.Module], list[dict[str, Any]]] | None = None,
        last_words: Callable[[], str | None] | None = None,
    ) -> None:
        self.task = task
        self.network = network
        self.settings = settings
        self.run = run
        self.seed = seed
        self.device = torch.device(device)
        self._save_model = save_model
        self._report = report
        self._last_words = last_words
        self._format: torch.memory_format | None = None
        if settings.channels_last:
            dims = max(parameter.ndim for parameter in network.parameters()) - 2
            self._format = torch.channels_last_3d if dims == 3 else torch.channels_last
            network.to(memory_format=self._format)  # type: ignore[call-overload]
        self._groups = groups
        self.optimiser = self.make_optimiser(network)
        self._averaged = averaged(network, settings.ema) if settings.ema is not None else None
        self._scalars: ScalarWriter | None = None

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return a new optimiser of `network`, of this training's settings and groups."""
        return make_optimiser(network, self.settings, None if self._groups is None else self._groups(network))

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept: the running average of the weights, or the one that is trained."""
        return self.network if self._averaged is None else self._averaged.module

    def emit(self, kind: str, **values: Any) -> None:
        """Write an event to the run folder and report it."""
        event = self.run.write_event(kind, **values)
        if self._scalars is not None:
            self._scalars.write(event)
        if self._report is not None:
            self._report(event)

    def seconds_per_step(self, count: int = 5) -> float:
        """Return how long an optimiser step takes here; measured on copies, the training itself is untouched."""
        kept, network = self.optimiser, self.network
        self.network = copy.deepcopy(network)
        self.optimiser = self.make_optimiser(self.network)
        try:
            times = []
            for step in range(count):
                began = time.perf_counter()
                self._step(self._draw(step), step, count)
                times.append(time.perf_counter() - began)
        finally:
            self.optimiser, self.network = kept, network
        # The first steps pay for allocation and for choosing kernels.
        return float(np.median(times[min(2, count - 1) :]))

    def train(self, total_steps: int, request: StopRequest, *, resume: bool) -> Outcome:
        """Train until `total_steps`, the time budget, early stopping or a request to stop; return how it ended.

        request: asked before each step whether to stop. resume: go on from the last checkpoint (from the start, where
        there is none). Raises TrainingError when the loss is no longer a number or memory runs out; the last good state
        is kept, and the run's status says what happened.
        """
        progress = Progress(total_steps)
        last = self.run.checkpoints / "last.pt"
        if resume and last.exists():
            progress = load_checkpoint(last, self.network, self.optimiser, self._averaged)
        self.run.set_status("running", progress.step, total_steps)
        try:
            with ScalarWriter(self.run.tensorboard, progress.step) as scalars:
                self._scalars = scalars
                self.emit("started", step=progress.step, total_steps=total_steps, resumed=progress.step > 0)
                if scalars.problem and progress.step == 0:
                    self.emit("warning", step=0, message=scalars.problem)
                outcome = self._loop(progress, request)
            self._end(outcome)
            return outcome
        except BaseException as problem:
            raise self._fail(progress, problem) from problem
        finally:
            self._scalars = None
            self.run.close()

    def _loop(self, progress: Progress, request: StopRequest) -> Outcome:
        settings = self.settings
        began = time.perf_counter() - progress.seconds
        if progress.step == 0:
            self._validate(progress, wait_share=0.0)
        prefetcher = Prefetcher()
        measured_from, waited_from = time.perf_counter(), 0.0
        with closing(prefetcher.batches(self._draw, progress.step, progress.total_steps)) as batches:
            while progress.step < progress.total_steps:
                if request.reason:
                    return Outcome("stopped", f"asked to stop ({request.reason})", progress)
                if settings.max_hours is not None and progress.seconds >= settings.max_hours * 3600:
                    return self._finish(progress, f"the time budget of {settings.max_hours:g} h is used up")
                waited = prefetcher.waited
                parts = next(batches)
                step_began = time.perf_counter()
                loss, norm, rate = self._step(parts, progress.step, progress.total_steps, progress)
                progress.step += 1
                progress.seconds = time.perf_counter() - began
                self.emit(
                    "step",
                    step=progress.step,
                    loss=loss,
                    learning_rate=rate,
                    gradient_norm=norm,
                    seconds=round(time.perf_counter() - step_began, 4),
                    waited=round(prefetcher.waited - waited, 4),
                )
                self._count(parts, progress)
                if progress.step % settings.validate_every == 0 and progress.step < progress.total_steps:
                    elapsed = time.perf_counter() - measured_from
                    self._validate(progress, wait_share=(prefetcher.waited - waited_from) / elapsed)
                    measured_from, waited_from = time.perf_counter(), prefetcher.waited
                    if settings.patience is not None and progress.stale >= settings.patience:
                        return self._finish(progress, f"no better validation in {progress.stale} validations")
                if progress.step % settings.checkpoint_every == 0:
                    self._checkpoint(progress)
                self.run.heartbeat(progress.step, progress.total_steps)
        return self._finish(progress, f"all {progress.total_steps} steps done")

    def _count(self, parts: Sequence[Batch], progress: Progress) -> None:
        """Add what was drawn to the run's counts, which are checked: mostly last resorts are nothing to learn from."""
        rule = FallbackRule(progress.drawn, progress.fallbacks)
        rule.update(sum(part.drawn for part in parts), sum(part.fallbacks for part in parts))
        progress.drawn, progress.fallbacks = rule.drawn, rule.fallbacks

    def _draw(self, step: int) -> list[Batch]:
        size = self.settings.batch_size
        return [
            self.task.sample(self.seed, step, range(part * size, (part + 1) * size))
            for part in range(self.settings.accumulate)
        ]

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def _step(
        self, parts: Sequence[Batch], step: int, total: int, progress: Progress | None = None
    ) -> tuple[float, float, float]:
        """Do one optimiser step; return loss, gradient norm before clipping, and learning rate."""
        rate = learning_rate(self.settings, step, total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.network.train()
        if self._groups is not None:
            apply_freezing(self.network, self.optimiser.param_groups, step)
        self.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for part in parts:
            with self._autocast():
                value, _ = self.task.loss(self.network, part.to(self.device, self._format))
            (value / len(parts)).backward()  # type: ignore[no-untyped-call]
            loss += float(value.detach()) / len(parts)
        limit = self.settings.clip_norm if self.settings.clip_norm is not None else math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            if progress is not None:
                self._checkpoint(progress)
            raise TrainingError(self._not_a_number(parts, step, loss))
        self.optimiser.step()
        # Steps that are only timed must not reach the average.
        if self._averaged is not None and progress is not None:
            self._averaged.update_parameters(self.network)
        return loss, norm, rate

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
        with torch.no_grad(), self._autocast():
            for index, origin in enumerate(part.origins):
                one = part.only(index).to(self.device, self._format)
                if not bool(torch.isfinite(self.task.loss(self.network, one)[0])):
                    guilty.append(origin)
        return guilty

    def _validate(self, progress: Progress, wait_share: float) -> None:
        network = self.result.eval()
        with self._autocast():
            figures = self.task.validate(network)
            arrays = self.task.preview(network)
        progress.figures, progress.validated_step = figures, progress.step
        monitored = next(iter(figures.values()))
        # An untrained network is no result, however it scores.
        is_best = progress.step > 0 and (progress.best is None or monitored < progress.best)
        self.emit(
            "validation",
            step=progress.step,
            **figures,
            best=is_best and self.task.held_out,
            data_wait=round(wait_share, 4),
        )
        if arrays:
            file = write_preview(self.run, progress.step, arrays)
            self.emit("preview", step=progress.step, file=file)
        advice = self.task.advise(figures) if progress.step > 0 else None
        if advice:
            self.emit("warning", step=progress.step, message=advice)
        if is_best:
            progress.best, progress.best_step, progress.stale = monitored, progress.step, 0
            if self.task.held_out:
                self._save(self.run.checkpoints / "best.pt", progress)
                if self.settings.keep == "best":
                    self._save_model(network, {**figures, "step": progress.step})
        elif progress.step > 0:
            progress.stale += 1
        if self.settings.keep == "last" and progress.step > 0:
            self._save_model(network, {**figures, "step": progress.step})

    def _save(self, path: Path, progress: Progress) -> None:
        save_checkpoint(path, self.network, self.optimiser, progress, self._averaged)

    def _checkpoint(self, progress: Progress) -> None:
        self._save(self.run.checkpoints / "last.pt", progress)
        self.emit("checkpoint", step=progress.step, file="checkpoints/last.pt")

    def _finish(self, progress: Progress, reason: str) -> Outcome:
        if progress.validated_step != progress.step:
            self._validate(progress, wait_share=0.0)
        return Outcome("finished", reason, progress)

    def _end(self, outcome: Outcome) -> None:
        progress = outcome.progress
        self._checkpoint(progress)
        # Without held-out scans there is no best: the last state is the model. A run stopped early shall be usable too.
        stale = self.settings.keep == "last" and progress.validated_step != progress.step
        if not self.task.held_out or progress.best_step is None or stale:
            self._save_model(self.result, {**progress.figures, "step": progress.step})
        words = self._last_words() if self._last_words and outcome.state == "finished" else None
        if words:
            self.emit("warning", step=progress.step, message=words)
        self.emit(outcome.state, step=progress.step, reason=outcome.reason, **_rounded(progress))
        self.run.set_status(outcome.state, progress.step, progress.total_steps, outcome.reason)

    def _fail(self, progress: Progress, problem: BaseException) -> BaseException:
        """Write down why the run ends, and return the error to raise."""
        error = named_failure(problem, self.settings)
        message = str(error) or "interrupted at once; the last checkpoint stands"
        try:
            self.emit("failed", step=progress.step, message=message)
            self.run.set_status("failed", progress.step, progress.total_steps, message)
        except OSError:
            # The disk that failed is the one the status lives on: the error itself still reaches the user.
            return error
        return error


def _rounded(progress: Progress) -> dict[str, Any]:
    return {
        "best": progress.best,
        "best_step": progress.best_step,
        "seconds": round(progress.seconds, 1),
        "drawn": progress.drawn,
        "fallbacks": progress.fallbacks,
    }
