"""How a training shows itself: a progress bar on a terminal, sentences elsewhere, JSON lines with --json."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import click

from genesis_core.cli.output import Output
from genesis_core.durations import duration

# Without a terminal, steps are said at most this often; everything else is said always.
_SECONDS_BETWEEN_STEPS = 10.0
# Where the time of a step goes, as the `timing` event names it: waiting for data, sending it to the device and
# corrupting it there, forward and backward pass, clipping and optimiser.
_STAGES = ("data", "corruption", "network", "update")


class TrainingReport:
    """Receives the events of a run and shows them; use it as a context."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bar: Any = None
        self._task: Any = None
        self._total = 0
        self._first_step = 0
        self._began = time.monotonic()
        self._last_said = 0.0

    def __enter__(self) -> TrainingReport:
        self._output.outlives_readers = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._output.to_a_reader():
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, event: dict[str, Any]) -> None:
        with self._output.to_a_reader():
            self._show(event)

    def _show(self, event: dict[str, Any]) -> None:
        said = event.get("said")
        self._output.record({key: value for key, value in event.items() if key != "said"})
        # What names a file is for the person alone; with --json that is stderr.
        if said and event["event"] != "held_out":
            self._output.warn(said)
            return
        if self._output.as_json and not said:
            return
        show = getattr(self, f"_on_{event['event']}", None)
        if show is not None:
            show(event)

    def _on_started(self, event: dict[str, Any]) -> None:
        self._total, self._first_step, self._began = event["total_steps"], event["step"], time.monotonic()
        begun = f"resumed at step {event['step']}" if event["resumed"] else "started"
        self._say(f"{begun}; {event['total_steps']} steps in all")
        if self._output.is_terminal:
            # Another fold of the run has had one.
            self._end_bar()
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("loss {task.fields[loss]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=self._total, completed=event["step"], loss="-")
            self._bar.start()

    def _on_step(self, event: dict[str, Any]) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=event["step"], loss=f"{event['loss']:.4f}")
            return
        now = time.monotonic()
        if now - self._last_said < _SECONDS_BETWEEN_STEPS:
            return
        self._last_said = now
        done = event["step"] - self._first_step
        left = (now - self._began) / done * (self._total - event["step"])
        self._say(f"step {event['step']} of {self._total}: loss {event['loss']:.5f}, {duration(left)} left")

    def _on_validation(self, event: dict[str, Any]) -> None:
        held_out = "loss" in event
        loss = event["loss"] if held_out else event["train_loss"]
        name = "validation" if held_out else "check on training scans (none are held out)"
        best = ", best so far" if event["best"] else ""
        self._say(f"step {event['step']}: {name} loss {_number(loss)}{_details(event)}{best}")

    def _on_timing(self, event: dict[str, Any]) -> None:
        shares = ", ".join(f"{stage} {_percent(event[stage])}" for stage in _STAGES)
        self._say(f"{event['steps']} steps, {event['seconds'] / event['steps']:.2g} s each: {shares}")

    def _on_plan(self, event: dict[str, Any]) -> None:
        for key, reason in event["reasons"].items():
            self._say(f"  {key} = {reason}")

    def _on_corrupting(self, event: dict[str, Any]) -> None:
        self._say(event["message"])

    def _on_processes(self, event: dict[str, Any]) -> None:
        self._say(event["message"])

    def _on_transfer(self, event: dict[str, Any]) -> None:
        self._say(event["message"])

    def _on_twin(self, event: dict[str, Any]) -> None:
        self._say(event["message"])

    def _on_fold(self, event: dict[str, Any]) -> None:
        self._say(f"fold {event['fold']} of {event['folds']}")

    def _on_held_out(self, event: dict[str, Any]) -> None:
        self._say(f"held-out {event.get('said', event['case'])}: {_dice(event['dice'])}")

    def _on_scores(self, event: dict[str, Any]) -> None:
        means = {key.removeprefix("dice_"): value for key, value in event.items() if key.startswith("dice_")}
        self._say(f"mean Dice of {event['cases']} held-out cases, segmented whole: {_dice(means)}")

    def _on_folds_finished(self, event: dict[str, Any]) -> None:
        means = {key.removeprefix("dice_"): value for key, value in event.items() if key.startswith("dice_")}
        self._say(f"{event['reason']}; mean Dice of every case, by the model that never saw it: {_dice(means)}")

    def _on_preparing(self, event: dict[str, Any]) -> None:
        if self._output.is_terminal:
            last = event["done"] == event["total"]
            click.echo(f"\rpreparing scans: {event['done']} of {event['total']}", nl=last, err=True)

    def _on_warning(self, event: dict[str, Any]) -> None:
        self._output.warn((f"step {event['step']}: " if event.get("step") else "") + event["message"])

    def _on_prepared(self, event: dict[str, Any]) -> None:
        self._say(event["message"])

    def _on_planned(self, event: dict[str, Any]) -> None:
        fits = f"{event['steps']} steps fit the time budget, at {event['seconds_per_step']:.2f} s a step"
        self._say(event.get("message", fits))

    def _on_stopped(self, event: dict[str, Any]) -> None:
        self._say(f"stopped at step {event['step']}: {event['reason']}; checkpoint written")

    def _on_finished(self, event: dict[str, Any]) -> None:
        best = "" if event["best"] is None else f"; best loss {event['best']:.5f} at step {event['best_step']}"
        over = f"; {event['skipped']} steps overflowed in float16 and changed nothing" if event.get("skipped") else ""
        self._say(f"finished at step {event['step']}: {event['reason']}, {duration(event['seconds'])}{best}{over}")

    def _on_already_finished(self, event: dict[str, Any]) -> None:
        self._say(f"this run is finished already, at step {event['step']} ({event['message']}); nothing to do")

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            self._output.say(text)


def _percent(share: float) -> str:
    """Return a share in whole percent; what is not quite nothing stays visible."""
    return "under 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def _number(value: float | None, digits: int = 5) -> str:
    """Return a figure of an event, in which None stands for what is not a number."""
    return "not a number" if value is None else f"{value:.{digits}f}"


def _details(event: dict[str, Any]) -> str:
    """What a task's validation tells beside its loss."""
    if "return_mean" in event:
        return (
            f" (return input {_number(event['return_input'])}, return mean {_number(event['return_mean'])}), "
            f"spread {_number(event['spread'], 2)}"
        )
    dice = {key.removeprefix("dice_"): value for key, value in event.items() if key.startswith("dice_")}
    return f", Dice {_dice(dice)}" if dice else ""


def _dice(values: dict[str, float | None]) -> str:
    shown = [f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in values.items()]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
