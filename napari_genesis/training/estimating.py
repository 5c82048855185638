"""How long a run will take, and what it needs: from a few steps that are timed on this machine, and remembered."""

from __future__ import annotations

import threading

from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.durations import duration
from genesis_core.errors import GenesisError
from napari_genesis.jobs.step_time import StepTime, TimedSettings, known_step_time, measure_step_time
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.wording import clock

# Settings that are still being changed are not worth timing, in milliseconds.
_REST = 1200
_GB = 2**30
# Validations, checkpoints and preparing take their part of a budget; the core plans as much of it for steps.
_SHARE_FOR_STEPS = 0.8


class StepTimes(QObject):
    """found(settings, StepTime or the reason why there is none): asked for with `ask`, sooner or later."""

    found = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = LatestOnly("genesis-step-time", self)
        self.lane.finished.connect(self._take)
        # What is being measured, or will be after a rest; and what was found last.
        self._settings: TimedSettings | None = None
        self._latest: tuple[TimedSettings | None, StepTime | str] = (None, "")
        self._given_up = threading.Event()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.timeout.connect(self._measure)

    def ask(self, settings: TimedSettings, *, may_measure: bool) -> StepTime | str | None:
        """Return what is known at once; else measure it after a rest, unless `may_measure` is False."""
        known = self._latest[1] if self._latest[0] == settings else known_step_time(settings)
        if known is not None or not may_measure:
            self.stop()
        elif settings != self._settings:
            self.stop()
            self._settings = settings
            self._timer.start()
        return known

    def stop(self) -> None:
        """Measure no more, at once: something else wants the cores, and each would wait for the other."""
        self._timer.stop()
        self.give_up()
        self._settings = None
        self.lane.discard()

    def give_up(self) -> None:
        """End what measures now; also when the window is gone."""
        self._given_up.set()

    def _measure(self) -> None:
        settings = self._settings
        if settings is None:
            return
        self._given_up = given_up = threading.Event()

        def work() -> tuple[TimedSettings, StepTime | str]:
            try:
                return settings, measure_step_time(settings, given_up=given_up.is_set)
            except GenesisError as problem:
                return settings, str(problem)

        self.lane.submit(work)

    def _take(self, result: tuple[TimedSettings, StepTime | str]) -> None:
        self._settings, self._latest = None, result
        self.found.emit(*result)


def estimate(
    settings: TimedSettings, step: StepTime | None, free: int | None, now: float, *, measuring: bool, trainings: int = 1
) -> str:
    """Return how long a run takes, when it ends and how much memory it needs, in sentences.

    step: None where it is not known. free: bytes of memory free on the device. now: seconds since the epoch.
    trainings: as many are done, one after the other, within the budget of time, or with so many steps each.
    """
    each = f" in each of {trainings} trainings" if trainings > 1 else ""
    hours, steps = settings.training.max_hours, settings.training.max_steps
    sentences = []
    if hours is not None:
        text = f"Ends {clock(now + hours * 3600, now)}"
        if step is not None:
            count = max(1, int(hours * 3600 * _SHARE_FOR_STEPS / step.seconds / trainings))
            text += f", after about {count:,} steps of {_seconds(step.seconds)}{each}"
        sentences.append(f"{text}.")
    elif steps is not None and step is not None:
        takes = trainings * steps * step.seconds / _SHARE_FOR_STEPS
        what = f"{_seconds(step.seconds)} a step"
        if trainings > 1:
            what = f"{trainings} trainings of {steps:,} steps, {what}"
        sentences.append(f"Takes about {duration(takes)}, ends {clock(now + takes, now)}: {what}.")
    if step is not None and step.crowded:
        sentences.append("Timed while other programs had the processor: alone it is faster.")
    if step is None:
        sentences.append("Timing a few steps…" if measuring else "Steps are timed when the run begins.")
    else:
        need = f"Needs about {step.memory / _GB:.1f} GB of memory"
        if free is not None and step.memory > free:
            need += f", but only {free / _GB:.1f} are free: lower batch size, patch size or width"
        sentences.append(f"{need}.")
    return " ".join(sentences)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
