"""Bones that do not hang on the cage: vertebrae with discs and canal, breastbone, collar bones, upper arms."""

from __future__ import annotations

import numpy as np

from genesis_core.phantom.cage import Cage, height, level, spine_y, vertebrae
from genesis_core.phantom.canvas import Box, Canvas, Floats, ellipsoid, smooth_max, smooth_min
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.tubes import distance, polyline

_SHELL = 700.0
_CORE = 250.0


def paint_spine(canvas: Canvas, subject: Subject, texture: Floats) -> None:
    """Paint vertebral bodies, discs, canal and cord, arches and processes. texture: smooth field on the grid."""
    grid = canvas.grid
    box = (slice(None), *grid.box((-48, 0, -999), (48, 125, 999))[1:])
    if 0 in canvas.hu[box].shape:
        return
    _, y, x = grid.at(box)
    centres, heights = vertebrae()
    nearest = np.abs(grid.z[:, None] - centres).argmin(axis=1)
    up = (grid.z - centres[nearest]).astype(np.float32)[:, None, None]
    tall = heights[nearest].astype(np.float32)[:, None, None]
    # Bodies grow from 13 to 22 mm half width down the spine.
    wide = np.interp(grid.z, [-180, -60, 60, 150], [22, 18.5, 16, 14.5]).astype(np.float32)[:, None, None]
    deep = wide * np.float32(0.82)
    behind = y - spine_y(grid.z)[:, None, None]
    local = texture[box]

    # The body is waisted between its end plates and flattened behind.
    waist = 1 - 0.09 * (1 - (2 * up / tall) ** 2)
    radial = np.sqrt((x / wide) ** 2 + (behind / deep) ** 2) / waist
    column = smooth_max((radial - 1) * deep, behind - 0.78 * deep, 4)
    body = smooth_max(column, np.abs(up) - (tall / 2 - 2.6), 2.5)
    disc = smooth_max(column + 1.5, np.abs(up) - tall, 1) + 0 * body

    back = behind - deep
    canal = np.hypot(x / np.float32(1.15), back - 7.5) - 8.5
    ring = np.hypot(x / np.float32(1.25), back - 7.5) - 12.5
    arch = smooth_max(smooth_max(ring, np.abs(up - 1) - tall * 0.40, 3), -(behind - 0.4 * deep), 3)
    lean = up + 0.75 * np.maximum(back - 14, 0)
    spinous = np.maximum(np.maximum(np.abs(x) - 2.6, np.abs(lean) - 7.5), np.maximum(15 - back, back - 40))
    side = np.abs(x)
    bar = back - 5 - 0.35 * (side - 14)
    transverse = np.maximum(np.hypot(bar, up - 2) - 5.0, np.maximum(12 - side, side - 31))
    posterior = smooth_min(arch, np.minimum(spinous, transverse), 3)

    rim = smooth_max(column - 4, np.abs(up) - 400, 1)
    canvas.paint(box, canvas.cover(rim), subject.muscle_hu - 30, None)
    canvas.paint(box, canvas.cover(disc), 85 + 6 * local, LABELS["spine"])
    for shape, core in ((posterior, 330.0), (body, _CORE)):
        canvas.paint(box, canvas.cover(shape), _SHELL * subject.bone, LABELS["spine"])
        canvas.paint(box, canvas.cover(shape + 1.9), core * subject.bone + 22 * local, None)
    cord = canvas.cover(canal)
    canvas.paint(box, cord, 18, LABELS["spine"])
    canvas.paint(box, canvas.cover(np.hypot(x, back - 7.0) - 4.6 + 0 * body), 38, None)


def paint_breastbone(canvas: Canvas, cage: Cage, subject: Subject) -> None:
    """Paint manubrium and body of the sternum in front of the cage's midline."""
    grid = canvas.grid
    front = cage.inner[:, (cage.turn > 176)].mean(axis=1)
    box = (slice(None), *grid.box((-40, -125, -999), (40, -15, 999))[1:])
    if 0 in canvas.hu[box].shape:
        return
    z, y, x = grid.at(box)
    u = level(grid.z)
    half = np.interp(u, [0.10, 0.16, 0.3, 0.58, 0.64, 0.70, 0.84, 0.9], [3, 9, 17, 13, 12, 17, 26, 22]).astype(
        np.float32
    )
    centre = -(front + 6).astype(np.float32)[:, None, None]
    depth = np.abs(y - centre) - 5.2
    length = np.maximum(z - height(0.885), height(0.12) - z)
    bone = smooth_max(smooth_max(depth, np.abs(x) - half[:, None, None], 5), length + 0 * depth, 5)
    # The joint between manubrium and body.
    joint = np.abs(z - height(0.645)) - 1.0
    _paint_bone(canvas, box, smooth_max(bone, -joint, 1), subject, "sternum", _CORE)


def paint_shoulders(canvas: Canvas, subject: Subject) -> None:
    """Paint collar bones and the heads of the upper arms, as far as they lie in the field of view."""
    grid = canvas.grid
    for side in (-1, 1):
        curve = [(side * 20, -44, 122), (side * 48, -56, 132), (side * 88, -38, 146), (side * 128, -2, 156)]
        low, high = sorted((side * 10, side * 145))
        box = grid.box((low, -75, 108), (high, 20, 175))
        if 0 not in canvas.hu[box].shape:
            bone = distance(grid, polyline(curve, [8.0, 6, 5.5, 6.5]), 10)[box]
            _paint_bone(canvas, box, bone, subject, "shoulder_girdle", 210)
        centre = (side * 158.0, 2.0, 150.0)
        low, high = sorted((side * 128, side * 190))
        box = grid.box((low, -30, 118), (high, 35, 185))
        if 0 not in canvas.hu[box].shape:
            head = ellipsoid(grid.at(box), centre, (23, 22, 24))
            inside = canvas.labels[box] > 0
            _paint_bone(canvas, box, np.where(inside, head, 9).astype(np.float32), subject, "shoulder_girdle", 160)


def _paint_bone(canvas: Canvas, box: Box, shape: Floats, subject: Subject, name: str, core: float) -> None:
    canvas.paint(box, canvas.cover(shape), _SHELL * subject.bone, LABELS[name])
    canvas.paint(box, canvas.cover(shape + 1.9), core * subject.bone, None)
