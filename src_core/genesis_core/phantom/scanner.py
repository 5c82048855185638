"""The scanner: its table, the blur of its kernel, and its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genesis_core.phantom.cage import Cage
from genesis_core.phantom.canvas import Canvas, Floats
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.texture import blur3, white_noise


def paint_table(canvas: Canvas, cage: Cage) -> None:
    """Paint the table under the patient: a thin curved shell filled with foam."""
    y, x = canvas.grid.y[:, None], canvas.grid.x[None, :]
    # Most of the back touches the table; what lies lower presses into the cushion.
    back = (cage.skin * np.cos(np.radians(cage.turn)))[:, cage.turn < 40].max(axis=1)
    lowest = float(np.percentile(back, 70))
    top = lowest - 0.00055 * x * x
    bottom = lowest + 30 - 0.0017 * x * x
    wide = np.abs(x) - 190
    inside = np.maximum(np.maximum(top - y, y - bottom), wide)
    shell = canvas.cover(np.abs(inside + 1) - 0.9)
    foam = canvas.cover(inside + 2)
    hu = np.maximum(-1000 + 760 * shell, -1000 + 55 * foam)
    for k in range(canvas.grid.shape[0]):
        air = canvas.labels[k] == 0
        plane = canvas.hu[k]
        plane[air] = np.maximum(plane, hu)[air]


def scan(canvas: Canvas, subject: Subject, spacing: tuple[float, float, float]) -> NDArray[np.int16]:
    """Return what the scanner makes of the canvas: blurred, with correlated noise, int16 HU in -1024..3071.

    spacing: (x, y, z) in mm. The noise is strongest in the middle of the body, where most rays are lost, weaker in air.
    """
    across = min(subject.blur * (2.2 / spacing[0]), 0.25)
    along = min(0.6 * subject.blur * (2.5 / spacing[2]), 0.25)
    image = blur3(canvas.hu, (along, across, across))
    image += _noise(canvas, subject)
    np.rint(image, out=image)
    np.clip(image, -1024, 3071, out=image)
    return image.astype(np.int16)


def _noise(canvas: Canvas, subject: Subject) -> Floats:
    grid = canvas.grid
    noise = blur3(white_noise(subject.draws.key("noise"), grid.shape), (0.06, 0.22, 0.22))
    # Three taps of share s leave (1-2s)^2 + 2s^2 of the variance per axis.
    left = np.prod([(1 - 2 * s) ** 2 + 2 * s * s for s in (0.06, 0.22, 0.22)])
    strength = subject.noise / np.sqrt(left)
    radius = np.hypot(grid.y[:, None] / 120, grid.x[None, :] / 165)
    profile = (strength * (1.15 - 0.45 * np.minimum(radius, 1) ** 2)).astype(np.float32)
    for k in range(grid.shape[0]):
        air = canvas.hu[k] < -600
        noise[k] *= np.where(air, profile * np.float32(0.72), profile)
    return noise
