"""The one training loop: whatever the task, it draws, steps, validates, checkpoints and stops the same way.

It knows a `Task` and nothing of what the task learns. Everything random is decided by (seed, step, index), so a run
that was stopped or killed and resumed ends with the weights of an unbroken one, bit for bit on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from genesis_core.errors import RunError, SamplingError
from genesis_core.sampling.fallback_rule import FallbackRule
from genesis_core.task import Batch, Task
from genesis_core.training.agreement import Agreement, agree
from genesis_core.training.averaging import averaged
from genesis_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from genesis_core.training.events import Event
from genesis_core.training.failures import named_failure
from genesis_core.training.prefetch import Prefetcher
from genesis_core.training.process_failures import cause_of, ended_with_the_others
from genesis_core.training.processes import ALONE, Processes, share_of
from genesis_core.training.run_folder import RunFolder
from genesis_core.training.schedule import warmup_steps
from genesis_core.training.settings import TrainingSettings
from genesis_core.training.stepping import Groups, NotANumberError, Step, Stepper
from genesis_core.training.stopping import StopRequest
from genesis_core.training.tensorboard import ScalarWriter
from genesis_core.training.validating import Validation

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
    optimiser's parameter groups (`parameter_groups`); None: all parameters alike. last_words: asked at the
    end of a finished run what the user should know about it. The network must be on `device` already. processes: those
    that train it together, each with the same arguments; the first one writes and reports, validates and saves.
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
        processes: Processes = ALONE,
    ) -> None:
        self.task = task
        self.network = network
        self.settings = settings
        self.run = run
        self.seed = seed
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is not None:
            # Events, streams and libraries' workspaces are made on the current GPU, whatever the tensors are on.
            torch.cuda.set_device(self.device)
        self._save_model = save_model
        self._report = report
        self._last_words = last_words
        self.processes = processes
        self.stepper = Stepper(task, network, settings, self.device, groups, processes)
        self._validation = Validation(task, run, processes, self.stepper.autocast, self.emit)
        self._averaged = averaged(network, settings.ema) if settings.ema is not None else None
        self._scalars: ScalarWriter | None = None

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept: the running average of the weights, or the one that is trained."""
        return self.network if self._averaged is None else self._averaged.module

    def emit(self, kind: str, **values: Any) -> None:
        """Write an event to the run folder and report it; for the first process alone."""
        if not self.processes.is_main:
            return
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
        return self.processes.share(self.stepper.seconds_per_step(self._draw, count))

    def train(self, total_steps: int, request: StopRequest, *, resume: bool) -> Outcome:
        """Train until `total_steps`, the time budget, early stopping or a request to stop; return how it ended.

        request: asked before each step whether to stop. resume: go on from the last checkpoint (from the start, where
        there is none). Raises TrainingError when the loss is no longer a number or memory runs out; the last good state
        is kept, and the run's status says what happened.
        """
        progress = Progress(total_steps)
        try:
            if resume:
                progress = self._last_progress(progress)
            self.run.set_status("running", progress.step, total_steps)
            is_main = self.processes.is_main
            with ScalarWriter(self.run.tensorboard, progress.step) if is_main else nullcontext() as scalars:
                self._scalars = scalars
                self.emit("started", step=progress.step, total_steps=total_steps, resumed=progress.step > 0)
                if scalars is not None and scalars.problem and progress.step == 0:
                    self.emit("warning", step=0, message=scalars.problem)
                self._say_remarks(progress)
                # Only a GPU keeps a process from noticing that another one is gone.
                with ended_with_the_others(self.processes, self.run) if self.device.type == "cuda" else nullcontext():
                    outcome = self._loop(progress, request)
            self._end(outcome)
            return outcome
        except BaseException as problem:
            raise self._fail(progress, problem) from problem
        finally:
            self._scalars = None
            self.run.close()

    def _last_progress(self, fresh: Progress) -> Progress:
        """Load the last checkpoint and return its progress; `fresh`, where there is none."""
        last = self.run.checkpoints / "last.pt"
        if not self.processes.share(last.exists()):
            return fresh
        progress = load_checkpoint(last, self.network, self.stepper.optimiser, self._averaged, self.stepper)
        steps = [int(row[0]) for row in self.processes.gather([progress.step])]
        if len(set(steps)) > 1:
            raise RunError(f"{last}: the processes read different checkpoints (steps {steps}): is the folder shared?")
        return progress

    def _loop(self, progress: Progress, request: StopRequest) -> Outcome:
        settings = self.settings
        began = time.perf_counter() - progress.seconds
        if progress.step == 0:
            self._validate(progress, wait_share=0.0)
        elif self._is_patient_no_more(progress):
            return self._finish(progress, _no_better(progress))
        prefetcher = Prefetcher(self.stepper.pin)
        measured_from, waited_for_data = time.perf_counter(), 0.0
        agreed = agree(self.processes, request.reason, progress.seconds)
        with closing(prefetcher.batches(self._draw, progress.step, progress.total_steps)) as batches:
            while progress.step < progress.total_steps:
                if agreed.stop:
                    return Outcome("stopped", f"asked to stop ({agreed.stop})", progress)
                if settings.max_hours is not None and progress.seconds >= settings.max_hours * 3600:
                    return self._finish(progress, f"the time budget of {settings.max_hours:g} h is used up")
                waited = prefetcher.waited
                parts = next(batches)
                self.stepper.clock.add("data", prefetcher.waited - waited)
                step_began = time.perf_counter()
                done = self._step(parts, progress)
                progress.step += 1
                own_wait, seconds = prefetcher.waited - waited, time.perf_counter() - began
                agreed = agree(self.processes, request.reason, seconds, own_wait, parts)
                progress.seconds = agreed.seconds
                waited_for_data += agreed.waited
                self.emit(
                    "step",
                    step=progress.step,
                    loss=done.loss,
                    learning_rate=done.learning_rate,
                    gradient_norm=done.gradient_norm,
                    seconds=round(time.perf_counter() - step_began, 4),
                    waited=round(agreed.waited, 4),
                    **({"skipped": True} if done.skipped else {}),
                )
                self._say_remarks(progress)
                self._count(agreed, progress)
                if progress.step % settings.validate_every == 0 and progress.step < progress.total_steps:
                    elapsed = time.perf_counter() - measured_from
                    self._validate(progress, wait_share=waited_for_data / elapsed)
                    measured_from, waited_for_data = time.perf_counter(), 0.0
                    if self._is_patient_no_more(progress):
                        return self._finish(progress, _no_better(progress))
                if progress.step % settings.checkpoint_every == 0:
                    self._checkpoint(progress)
                self.run.heartbeat(progress.step, progress.total_steps)
        return self._finish(progress, f"all {progress.total_steps} steps done")

    def _is_patient_no_more(self, progress: Progress) -> bool:
        """Whether the last validation, just now or before a resume, was one too many without a better figure."""
        patience = self.settings.patience
        return patience is not None and progress.stale >= patience and progress.validated_step == progress.step

    def _step(self, parts: Sequence[Batch], progress: Progress) -> Step:
        try:
            done = self.stepper.step(parts, progress.step, progress.total_steps)
        except NotANumberError:
            self._checkpoint(progress)
            raise
        if self._averaged is not None and not done.skipped:
            self._averaged.update_parameters(self.network)
        return done

    def _count(self, agreed: Agreement, progress: Progress) -> None:
        """Add what was drawn to the run's counts, which are checked: mostly last resorts are nothing to learn from."""
        rule = FallbackRule(progress.drawn, progress.fallbacks)
        try:
            rule.update(agreed.drawn, agreed.fallbacks)
        except SamplingError as problem:
            raise self.processes.agreed(problem) from None
        progress.drawn, progress.fallbacks = rule.drawn, rule.fallbacks

    def _draw(self, step: int) -> list[Batch]:
        size = self.settings.batch_size
        parts = (self.settings.processes or self.processes.count) * self.settings.accumulate
        return [
            self.task.sample(self.seed, step, range(part * size, (part + 1) * size))
            for part in share_of(parts, self.processes)
        ]

    def _say_remarks(self, progress: Progress) -> None:
        for remark in self.stepper.take_remarks():
            self.emit("warning", step=progress.step, **remark)

    def _validate(self, progress: Progress, wait_share: float) -> None:
        timing = self.stepper.clock.take()
        if timing:
            self.emit("timing", step=progress.step, **timing)
        network = self.result.eval()
        early = progress.step <= warmup_steps(self.settings, progress.total_steps)
        is_best = self._validation.measure(network, progress, wait_share, warming_up=early)
        if is_best and self.task.held_out:
            self._save(self.run.checkpoints / "best.pt", progress)
            if self.settings.keep == "best":
                self._keep(network, progress)
        if self.settings.keep == "last" and progress.step > 0:
            self._keep(network, progress)

    def _keep(self, network: nn.Module, progress: Progress) -> None:
        if self.processes.is_main:
            # The figures of a run that is stopped between two validations are the last one's.
            self._save_model(network, {**progress.figures, "step": progress.step})

    def _save(self, path: Path, progress: Progress) -> None:
        if self.processes.is_main:
            save_checkpoint(path, self.network, self.stepper.optimiser, progress, self._averaged, self.stepper)

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
            self._keep(self.result, progress)
        words = self._last_words() if self._last_words and outcome.state == "finished" else None
        if words:
            self.emit("warning", step=progress.step, message=words)
        skipped = {"skipped": self.stepper.skipped} if self.stepper.scaler.is_enabled() else {}
        self.emit(outcome.state, step=progress.step, reason=outcome.reason, **_rounded(progress), **skipped)
        self.run.set_status(outcome.state, progress.step, progress.total_steps, outcome.reason)

    def _fail(self, progress: Progress, problem: BaseException) -> BaseException:
        """Write down why the run ends, and return the error to raise."""
        error = named_failure(cause_of(problem, self.processes, self.run), self.settings)
        message = str(error) or "interrupted at once; the last checkpoint stands"
        try:
            self.emit("failed", step=progress.step, message=message)
            self.run.set_status("failed", progress.step, progress.total_steps, message)
        except OSError:
            # The disk that failed is the one the status lives on: the error itself still reaches the user.
            return error
        return error


def _no_better(progress: Progress) -> str:
    return f"no better validation in {progress.stale} validations"


def _rounded(progress: Progress) -> dict[str, Any]:
    return {
        "best": progress.best,
        "best_step": progress.best_step,
        "seconds": round(progress.seconds, 1),
        "drawn": progress.drawn,
        "fallbacks": progress.fallbacks,
    }
