"""What lies under the diaphragm: its two domes, liver, spleen, stomach with its bubble of gas, and fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genesis_core.phantom.cage import Cage
from genesis_core.phantom.canvas import Box, Canvas, Floats, Grid, ellipsoid, smooth_max
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.subject import Subject

# Thickness of the diaphragm in mm.
_DIAPHRAGM = 3.0
# The stomach lies aslant: its long axis goes down, forward and to the right.
_STOMACH_AXES = np.array([[0.80, 0.42, 0.43], [-0.46, 0.89, 0.0], [-0.38, -0.20, 0.90]])
# The recess between diaphragm and ribs ends here, mm.
RECESS = -146.0


@dataclass(frozen=True)
class Diaphragm:
    """height: top of the diaphragm in mm by (y, x); tilt: cosine of its slope, which turns heights into distances."""

    height: Floats
    tilt: Floats


def make_diaphragm(grid: Grid, subject: Subject, cage: Cage) -> Diaphragm:
    """Return the two domes: steep at the ribs, deepest behind, the right one higher."""
    y, x = grid.y[:, None], grid.x[None, :]
    middle = int(np.abs(grid.z + 70).argmin())
    width = float(cage.inner[middle, np.abs(cage.turn - 90).argmin()])
    domes = []
    for side, top in ((-1, subject.dome_right), (1, subject.dome_right + subject.dome_left)):
        out = (x * side - 58) / np.where(x * side > 58, width - 58, 76)
        depth = (y + 4) / np.where(y > -4, 92, 86)
        q = np.clip(np.hypot(out, depth), 0, 1)
        drop = 98 + 30 * np.clip(depth, 0, 1) - 42 * np.clip(-depth, 0, 1) - 74 * np.clip(-out, 0, 1)
        domes.append(top - drop * (1 - np.sqrt(1 - q**1.5)))
    surface = smooth_max(domes[0].astype(np.float32), domes[1].astype(np.float32), 10)
    # A slight wave, so that no dome is a mathematical one.
    surface += np.float32(2.5) * np.sin(x / 19 + 2 * np.cos(y / 31) + subject.rib_slope * 9).astype(np.float32)
    slopes = (
        np.gradient(surface, grid.steps[1], grid.steps[2]) if min(surface.shape) > 1 else [np.zeros_like(surface)] * 2
    )
    return Diaphragm(surface, (1 / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)).astype(np.float32))


def paint_abdomen(canvas: Canvas, cage: Cage, diaphragm: Diaphragm, subject: Subject, texture: Floats) -> None:
    """Paint everything under the diaphragm. texture: smooth field of mean 0, deviation 1 on the grid."""
    grid = canvas.grid
    top = float(diaphragm.height.max()) + 4
    box = grid.box((-150, -120, -999), (150, 120, top))
    if 0 in canvas.hu[box].shape:
        return
    at = grid.at(box)
    plane = box[1:]
    under = (at[0] - diaphragm.height[plane][None]) * diaphragm.tilt[plane][None]
    wall = cage.rho[plane][None] - np.stack(
        [cage.inner[k][cage.angle[plane]] for k in range(box[0].start, box[0].stop)]
    )
    cavity = np.maximum(under, wall)
    local = texture[box]
    canvas.paint(box, canvas.cover(cavity), subject.muscle_hu - 6, LABELS["diaphragm"])
    inside = smooth_max(under, wall, 4) + np.float32(_DIAPHRAGM)
    canvas.paint(box, canvas.cover(inside), subject.fat_hu + 10 + 8 * local, LABELS["abdomen"])
    _paint_liver(canvas, box, at, inside, subject, local)
    _paint_spleen_and_stomach(canvas, box, at, inside, subject, local)


def _paint_liver(
    canvas: Canvas, box: Box, at: tuple[Floats, Floats, Floats], inside: Floats, subject: Subject, texture: Floats
) -> None:
    z, y, x = at
    # The left lobe is thin, lies in front and tapers toward the left; below, the lobe gives way to fat and bowel.
    left_edge = (x - (30 - 0.42 * (y + 20) + 0.30 * np.minimum(z + 95, 15))) * 0.85
    lower = -(z + 175 + 0.3 * x + 0.15 * y) * 0.9
    liver = smooth_max(smooth_max(inside + 0.5, left_edge, 24), lower, 18)
    spine = ellipsoid(at, (0, 54, -120), (34, 34, 400))
    liver = smooth_max(liver, -spine, 10)
    canvas.paint(box, canvas.cover(liver), subject.liver_hu + 3 * texture, LABELS["liver"])
    # Veins of the liver: thin dark (or, with contrast medium, bright) bands of the smooth field's zero line.
    veins = np.exp(-((texture / 0.13) ** 2)) * (liver < -9)
    canvas.paint(
        box,
        (0.7 * veins).astype(np.float32),
        subject.blood_hu if subject.blood_hu > 100 else subject.liver_hu - 16,
        None,
    )


def _paint_spleen_and_stomach(
    canvas: Canvas, box: Box, at: tuple[Floats, Floats, Floats], inside: Floats, subject: Subject, texture: Floats
) -> None:
    y = at[1]
    draws = subject.draws
    stomach_at = (54 + draws.between(-6, 6, "stomach x"), -22.0, subject.dome_right + subject.dome_left - 42)
    stomach_size = draws.between(30, 42, "stomach")
    stomach = smooth_max(
        ellipsoid(at, stomach_at, (stomach_size + 9, stomach_size - 2, stomach_size + 2), _STOMACH_AXES)
        - 1.8 * texture,
        inside + 2,
        6,
    )
    spleen = smooth_max(
        ellipsoid(at, (86, 36, subject.dome_right + subject.dome_left - 40), (36, 46, 44)), inside + 0.8, 5
    )
    spleen = smooth_max(spleen, -ellipsoid(at, (52, 10, -120), (44, 44, 80)), 8)
    canvas.paint(box, canvas.cover(spleen), subject.liver_hu - 6 + 3 * texture, LABELS["spleen"])
    canvas.paint(box, canvas.cover(stomach), subject.muscle_hu - 8, LABELS["stomach"])
    content = stomach + 4.5
    canvas.paint(box, canvas.cover(content), 14 + 9 * texture, None)
    # Lying on the back, gas rises to the front and the fluid keeps level.
    surface = stomach_at[1] + draws.between(-18, 10, "stomach gas")
    gas = smooth_max(content, (y - surface) + 0 * content, 1)
    canvas.paint(box, canvas.cover(gas), -960, None)
