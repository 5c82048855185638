"""The middle of the chest: heart, aorta, great vessels, windpipe, gullet, and the fat between them.

`make_mediastinum` gives the shapes, which also bound the lungs; `paint_mediastinum` paints them once the lungs are in.
Positions are those of an average adult lying on the back, in mm (x left, y posterior, z superior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genesis_core.phantom.cage import level, spine_y
from genesis_core.phantom.canvas import Box, Canvas, Floats, Grid, ellipsoid, smooth_max, smooth_min
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.tubes import Tubes, distance, polyline

HILUM_RIGHT = (-42.0, 4.0, 38.0)
HILUM_LEFT = (42.0, 8.0, 42.0)
CARINA = (0.0, 14.0, 62.0)


@dataclass(frozen=True)
class Mediastinum:
    """Signed distances in mm inside `box`: heart, aorta, great vessels, gullet; outline: of all with their fat."""

    box: Box
    heart: Floats
    aorta: Floats
    vessels: Floats
    oesophagus: Floats
    outline: Floats


def airway_trunk() -> Tubes:
    """Return windpipe and main bronchi, outer radius in mm."""
    trunk = polyline([(-1, -4, 185), (0, 2, 130), (1, 9, 90), CARINA], [9.5, 9.5, 9.5, 9.8])
    right = polyline([CARINA, (-20, 14, 49), (-34, 11, 36), (-40, 9, 24)], [8.5, 7.6, 6.8, 5.8])
    left = polyline([CARINA, (22, 15, 46), (38, 14, 36), (46, 13, 27)], [8, 6.9, 6.4, 5.6])
    return trunk + right + left


def _aorta(s: float) -> Tubes:
    arch = [(8, -26, 8), (-4, -34, 38), (-7, -30, 62), (-1, -18, 79), (13, 4, 86), (23, 26, 78), (25, 38, 58)]
    down = [(25, 40, 20), (22, 38, -30), (15, 30, -85), (7, 22, -130), (4, 19, -190)]
    return polyline(arch + down, np.array([15, 16, 15, 13.5, 13, 12.5, 12, 11.5, 11, 10.5, 9.5, 9]) * s)


def _branches() -> Tubes:
    """The arch's three branches, and the left lung artery's and veins' pipes."""
    parts = [
        polyline([(-3, -20, 78), (-12, -20, 104), (-20, -14, 130), (-26, -10, 170)], [6.5, 6.2, 5, 4]),
        polyline([(6, -8, 84), (13, -8, 112), (19, -6, 170)], [4.5, 4.2, 4]),
        polyline([(15, 8, 86), (24, 10, 114), (38, 4, 142), (70, -6, 152)], [5.2, 5, 5, 4.5]),
        # Trunk of the lung arteries, right and left lung artery.
        polyline([(14, -46, 6), (22, -38, 30), (23, -24, 51)], [13.5, 13, 12]),
        polyline([(23, -26, 50), (2, -13, 47), (-22, -9, 42), HILUM_RIGHT], [11, 10, 9, 7.5]),
        polyline([(22, -24, 51), (34, -6, 57), HILUM_LEFT], [11, 9.5, 7.5]),
        # Superior vena cava with both arm veins, inferior vena cava.
        polyline([(-27, -26, 92), (-29, -23, 55), (-27, -18, 12)], [8, 9.5, 10.5]),
        polyline([(44, -38, 124), (18, -40, 103), (-10, -36, 94), (-27, -27, 88)], [6, 6.5, 6.5, 7]),
        polyline([(-52, -30, 136), (-38, -32, 116), (-27, -26, 90)], [6, 6.5, 7.5]),
        polyline([(-22, -4, -22), (-24, 6, -62), (-22, 12, -110), (-20, 14, -190)], [11, 12, 11.5, 11]),
        # Lung veins into the left atrium.
        polyline([(-14, 10, 8), (-34, 0, 18), (-44, -8, 24)], [7, 6, 4.5]),
        polyline([(-14, 14, 2), (-34, 18, -2), (-44, 22, -8)], [7, 6, 4.5]),
        polyline([(18, 10, 12), (36, -2, 22), (44, -8, 26)], [7, 6, 4.5]),
        polyline([(18, 14, 4), (34, 20, -2), (44, 24, -8)], [7, 6, 4.5]),
    ]
    return _join(parts)


def _join(parts: list[Tubes]) -> Tubes:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _gullet() -> Tubes:
    return polyline(
        [(2, 16, 190), (6, 20, 120), (5, 27, 60), (4, 27, 10), (8, 22, -40), (18, 10, -84), (34, 0, -100)], 6.5
    )


def heart_axes(subject: Subject) -> np.ndarray:
    """Return the heart's unit axes (long axis toward the apex first) as rows (x, y, z)."""
    long = np.array([0.70, -0.47 + 0.5 * subject.heart_turn, -0.50 + subject.heart_turn])
    long /= np.linalg.norm(long)
    across = np.cross(long, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    return np.stack([long, across, np.cross(long, across)])


def make_mediastinum(grid: Grid, subject: Subject) -> Mediastinum:
    """Return the shapes of `subject` on `grid`."""
    box = (slice(None), *grid.box((-90, -110, -999), (110, 110, 999))[1:])
    at = grid.at(box)
    size = subject.heart
    axes = heart_axes(subject)
    ventricles = ellipsoid(at, (24, -32, -31), (67 * size, 43 * size, 44 * size), axes)
    atria = ellipsoid(at, (-4, -8, -2), (43 * size, 33 * size, 36))
    heart = smooth_min(ventricles, atria, 14)

    aorta = distance(grid, _aorta(subject.aorta), 24)[box]
    vessels = distance(grid, _branches(), 20)[box]
    gullet = distance(grid, _gullet(), 10)[box]
    airways = distance(grid, airway_trunk(), 12)[box]

    around = smooth_min(
        heart - (3 + 0.16 * np.float32(subject.fat)), np.minimum(aorta, np.minimum(vessels, airways)) - 3, 16
    )
    outline = smooth_min(smooth_min(around, gullet - 3, 14), _septum(grid, box), 16)
    return Mediastinum(box, heart, aorta, vessels, gullet, outline)


def _septum(grid: Grid, box: Box) -> Floats:
    """Return the distance to the sheet of fat between the lungs, which wraps the spine behind."""
    y = grid.y[box[1]][None, :]
    z = grid.z[:, None]
    u = level(z)
    back = spine_y(grid.z)[:, None]
    thin = (
        6
        + 9 * np.exp(-(((y - 18) / 26) ** 2))
        + 6 * np.exp(-(((y + 50) / 26) ** 2) - ((u - 0.5) / 0.25) ** 2)
        + 9 * np.clip((u - 0.55) * 2.5, 0, 1)
        + 9 * np.clip((u - 0.86) * 6, 0, 1)
    )
    # In front the lungs nearly touch behind the breastbone, and part again below for the heart.
    thin = thin + 14 * np.clip(-u, 0, 1)
    body = 20 * np.sqrt(np.clip(1 - ((y - back) / 19) ** 2, 0, 1))
    behind = np.where(y > back, 20 + 0.28 * (y - back), 0)
    half = np.maximum(thin, np.maximum(body, behind)).astype(np.float32)
    middle = (4 * np.exp(-(((y + 55) / 30) ** 2)) * np.clip(1 - u, 0, 1)).astype(np.float32)
    result: Floats = np.abs(grid.x[box[2]][None, None, :] - middle[:, :, None]) - half[:, :, None]
    return result


def paint_mediastinum(canvas: Canvas, shape: Mediastinum, subject: Subject, texture: Floats) -> None:
    """Paint heart, vessels and gullet over fat and lungs. texture: smooth field of mean 0, deviation 1 on the grid."""
    box = shape.box
    at = canvas.grid.at(box)
    local = texture[box]
    blood = subject.blood_hu + 3 * local
    canvas.paint(box, canvas.cover(shape.oesophagus), subject.muscle_hu - 12, LABELS["oesophagus"])
    canvas.paint(box, canvas.cover(shape.oesophagus + 4.6) * (local > 0.4), -500, None)
    # The sac is a thin line around a film of fat.
    sac = canvas.cover(np.abs(shape.heart - 2.2) - 0.7)
    canvas.paint(box, 0.6 * sac * (shape.outline < -2), 20, None)
    canvas.paint(box, canvas.cover(shape.heart), subject.muscle_hu + 12 + 4 * local, LABELS["heart"])
    _paint_chambers(canvas, box, at, shape.heart, subject, blood)
    canvas.paint(box, canvas.cover(smooth_max(shape.vessels, -shape.heart - 6, 2)), blood, LABELS["great_vessels"])
    canvas.paint(box, canvas.cover(shape.aorta), blood, LABELS["aorta"])
    # A bright rim of calcium in some aortas.
    if subject.draws.chance(0.4, "calcium"):
        spots = np.clip(local - 1.25, 0, 0.6)
        canvas.paint(box, canvas.cover(np.abs(shape.aorta + 0.5) - 1) * spots, 500, None)


def _paint_chambers(
    canvas: Canvas, box: Box, at: tuple[Floats, Floats, Floats], heart: Floats, subject: Subject, blood: Floats
) -> None:
    axes = heart_axes(subject)
    size = subject.heart
    base = np.array([24.0, -32.0, -31.0])
    left = base + axes[0] * 6 + np.array([9, 9, 2])
    right = base + axes[0] * 2 + np.array([-8, -16, -2])
    chambers = (
        (left, np.array([38, 21, 22]) * size, axes, 1.0),
        (right, np.array([44, 15, 26]) * size, axes, 0.85),
        (np.array([2.0, 8, 4]), np.array([28, 14, 19]) * size, None, 1.0),
        (np.array([-27.0, -14, -6]), np.array([16, 19, 25]) * size, None, 0.85),
    )
    for centre, radii, own, share in chambers:
        inside = smooth_max(ellipsoid(at, tuple(centre), tuple(radii), own), heart + 3, 4)
        canvas.paint(box, canvas.cover(inside), subject.muscle_hu + (blood - subject.muscle_hu) * share, None)
    # Fat in the grooves between the chambers.
    groove = np.abs(ellipsoid(at, (-4, -8, -2), (43 * size, 33 * size, 36)) - 1) - 1.6
    canvas.paint(
        box, canvas.cover(smooth_max(groove, -(heart + 9), 3)) * (heart < 1) * np.float32(0.75), subject.fat_hu, None
    )
