"""The learning rate as a pure function of the step, so that a resumed run has nothing to restore."""

from __future__ import annotations

import math

from genesis_core.training.settings import TrainingSettings


def learning_rate(settings: TrainingSettings, step: int, total: int) -> float:
    """Return the learning rate of optimiser step `step` (0-based) of `total`.

    Warm-up rises linearly over the first `settings.warmup` of the steps; "cosine" then falls to 0 at `total`
    (Loshchilov and Hutter 2017), "step" halves every `settings.halve_every` steps, "constant" stays.
    """
    peak = settings.learning_rate
    warmup = warmup_steps(settings, total)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if settings.schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    if settings.schedule == "step":
        return peak * 0.5 ** (step // settings.halve_every)
    return peak


def warmup_steps(settings: TrainingSettings, total: int) -> int:
    """Return over how many of `total` steps the learning rate rises."""
    return round(settings.warmup * total)
