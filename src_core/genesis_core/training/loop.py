"""The one training loop: whatever the task, it draws, steps, validates, checkpoints and stops the same way.

It knows a `Task` and nothing of what the task learns. Everything random is decided by (seed, step, index), so a run
that was stopped or killed and resumed ends with the weights of an unbroken one, bit for bit on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from genesis_core.sampling.fallback_rule import FallbackRule
from genesis_core.task import Batch, Task
from genesis_core.training.averaging import averaged
from genesis_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from genesis_core.training.events import Event
from genesis_core.training.failures import named_failure
from genesis_core.training.prefetch import Prefetcher
from genesis_core.training.previews import write_preview
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Groups, NotANumberError, Step, Stepper
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
        groups: Groups | None = None,
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
        self.stepper = Stepper(task, network, settings, self.device, groups)
        self._averaged = averaged(network, settings.ema) if settings.ema is not None else None
        self._scalars: ScalarWriter | None = None

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

    def plan(self, settings: TrainingSettings) -> None:
        """Use `settings`, whose steps were decided by timing; for a training that has not begun."""
        self.settings = self.stepper.settings = settings
        self.stepper.optimiser = self.stepper.make_optimiser(self.network)

    def seconds_per_step(self, count: int = 5) -> float:
        """Return how long an optimiser step takes here; measured on copies, the training itself is untouched."""
        return self.stepper.seconds_per_step(self._draw, count)

    def train(self, total_steps: int, request: StopRequest, *, resume: bool) -> Outcome:
        """Train until `total_steps`, the time budget, early stopping or a request to stop; return how it ended.

        request: asked before each step whether to stop. resume: go on from the last checkpoint (from the start, where
        there is none). Raises TrainingError when the loss is no longer a number or memory runs out; the last good state
        is kept, and the run's status says what happened.
        """
        progress = Progress(total_steps)
        last = self.run.checkpoints / "last.pt"
        if resume and last.exists():
            progress = load_checkpoint(last, self.network, self.stepper.optimiser, self._averaged)
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
                done = self._step(parts, progress)
                progress.step += 1
                progress.seconds = time.perf_counter() - began
                self.emit(
                    "step",
                    step=progress.step,
                    loss=done.loss,
                    learning_rate=done.learning_rate,
                    gradient_norm=done.gradient_norm,
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

    def _step(self, parts: Sequence[Batch], progress: Progress) -> Step:
        try:
            done = self.stepper.step(parts, progress.step, progress.total_steps)
        except NotANumberError:
            self._checkpoint(progress)
            raise
        if self._averaged is not None:
            self._averaged.update_parameters(self.network)
        return done

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

    def _validate(self, progress: Progress, wait_share: float) -> None:
        network = self.result.eval()
        with self.stepper.autocast():
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
        save_checkpoint(path, self.network, self.stepper.optimiser, progress, self._averaged)

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
