"""Preparing a run's losses for a plot: smoothed, and no more points than a dock has pixels. No Qt."""

from __future__ import annotations

import numpy as np

from napari_genesis.jobs.view import Curve

# A dock is 360 pixels wide; two points a pixel are enough.
POINTS = 720


def smoothed(values: Curve, window: int) -> Curve:
    """Return the mean of each value and those before it, `window` of them at most. What is no number is left out."""
    if window <= 1 or len(values) < 2:
        return values
    good = np.isfinite(values)
    sums = np.concatenate(([0.0], np.cumsum(np.where(good, values, 0.0))))
    counts = np.concatenate(([0], np.cumsum(good)))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Curve = (sums[ends] - sums[begins]) / (counts[ends] - counts[begins])
    return result


def thinned(steps: Curve, values: Curve, points: int = POINTS) -> tuple[Curve, Curve]:
    """Return at most `points` of the points, evenly spread, the last one among them."""
    if len(steps) <= points:
        return steps, values
    chosen = np.unique(np.linspace(0, len(steps) - 1, points).astype(int))
    return steps[chosen], values[chosen]


def drawable(values: Curve, *, log: bool) -> Curve:
    """Return the values with a gap for each that cannot be drawn: on a logarithmic axis, also zero and below."""
    result = np.array(values, dtype=float)
    result[~np.isfinite(result)] = np.nan
    if log:
        result[result <= 0] = np.nan
    return result
