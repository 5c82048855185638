"""The lungs: their outline between chest wall, diaphragm and mediastinum, their tissue, and the diseases in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genesis_core.phantom.abdomen import RECESS, Diaphragm
from genesis_core.phantom.cage import APEX, Cage
from genesis_core.phantom.canvas import Box, Canvas, Floats, Grid, ellipsoid, smooth_max
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.mediastinum import Mediastinum
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.texture import smooth_field
from genesis_core.randomness import uniforms


@dataclass(frozen=True)
class Lungs:
    """Signed distance in mm to the surface of both lungs inside `box`, and which voxels belong to the left one."""

    box: Box
    shape: Floats
    left: np.ndarray


def make_lungs(grid: Grid, cage: Cage, diaphragm: Diaphragm, middle: Mediastinum) -> Lungs:
    """Return the lungs: what the cage leaves free above the diaphragm, on both sides of the mediastinum."""
    box = grid.box((-145, -105, RECESS - 2), (145, 105, APEX + 8))
    z, y, x = grid.at(box)
    plane = box[1:]
    wall = cage.rho[plane][None] - np.stack(
        [cage.inner[k][cage.angle[plane]] for k in range(box[0].start, box[0].stop)]
    )
    floor = (diaphragm.height[plane][None] - z) * diaphragm.tilt[plane][None]
    dome = APEX - 0.0105 * (np.abs(x) - 46) ** 2 - 0.0085 * (y - 14) ** 2
    roof = (z - dome) * np.float32(0.62)
    shape = smooth_max(smooth_max(wall, roof, 14), smooth_max(floor, RECESS - z, 4), 5)
    free = np.full(shape.shape, -1e3, np.float32)
    shared, source = _overlap(box, middle.box, grid.shape)
    free[shared] = -middle.outline[source]
    shape = smooth_max(shape, free, 6)
    return Lungs(box, shape, np.broadcast_to(x > 0, shape.shape))


def _overlap(box: Box, other: Box, shape: tuple[int, int, int]) -> tuple[Box, Box]:
    """Return the voxels two boxes share, counted in the first box and in the second."""
    here, there = [], []
    for a, b, size in zip(box, other, shape, strict=True):
        (a0, a1, _), (b0, b1, _) = a.indices(size), b.indices(size)
        low, high = max(a0, b0), max(min(a1, b1), max(a0, b0))
        here.append(slice(low - a0, high - a0))
        there.append(slice(low - b0, high - b0))
    return (here[0], here[1], here[2]), (there[0], there[1], there[2])


def paint_lungs(canvas: Canvas, lungs: Lungs, subject: Subject) -> None:
    """Paint the tissue: denser toward the back, mottled, with fissures; emphysema and effusion where drawn."""
    grid, box, draws = canvas.grid, lungs.box, subject.draws
    z, y, x = grid.at(box)
    size = lungs.shape.shape
    coarse = smooth_field(draws.key("lung coarse"), size, (9, 11, 11))
    fine = smooth_field(draws.key("lung fine"), size, (1.6, 1.9, 1.9))
    hu = subject.lung_hu + subject.lung_gradient * (y / 90) + 13 * coarse + 17 * fine
    # Tissue at rest hangs down and is denser just above the diaphragm and at the back.
    hu += 26 * np.exp((y - 85) / 14)
    if subject.emphysema:
        holes = np.clip(fine * 0.9 + coarse - 1.4 + 0.008 * (z - 20), 0, 1.2) * np.float32(subject.emphysema)
        hu -= np.minimum(holes, 1) * (hu + 985)
    hu += 95 * _fissures(z, y, x, subject) * canvas.cover(lungs.shape + 2)
    inside = canvas.cover(lungs.shape)
    canvas.paint(box, inside, hu, None)
    labels = canvas.labels[box]
    labels[inside >= 0.5] = LABELS["lung_right"]
    labels[(inside >= 0.5) & lungs.left] = LABELS["lung_left"]
    if subject.effusion:
        _paint_effusion(canvas, lungs, subject)


def _fissures(z: Floats, y: Floats, x: Floats, subject: Subject) -> Floats:
    """Return how much of a voxel the fissures fill: the oblique ones on both sides, the horizontal one on the right."""
    turn = subject.draws.between(-8, 8, "fissure")
    oblique = (z - 42 - turn + 1.25 * (y + 6) * -1 + 0.0028 * (x * x - 4900)) * np.float32(0.60)
    oblique = -(oblique - 18)
    horizontal = z - (8 + turn) - 0.05 * (y + 40) + 0.002 * (np.abs(x) - 60) ** 2
    thin = np.exp(-((oblique / 1.1) ** 2))
    front = np.exp(-((horizontal / 1.1) ** 2)) * (x < 0) * (oblique > 0)
    result: Floats = np.maximum(thin, 0.8 * front).astype(np.float32)
    return result


def _paint_effusion(canvas: Canvas, lungs: Lungs, subject: Subject) -> None:
    """Paint fluid in the back of one lung; lying down, it collects there with a level surface."""
    z, y, _ = canvas.grid.at(lungs.box)
    # A crescent along the back of the lung, thickest at the bottom.
    thick = subject.effusion * np.clip((y - 15) / 70, 0, 1) ** 1.3 * np.clip(1 - (z + 70) / 190, 0, 1)
    fluid = np.maximum(lungs.shape, -lungs.shape - thick)
    side = lungs.left if subject.draws.chance(0.5, "effusion side") else ~lungs.left
    cover = canvas.cover(fluid) * side
    canvas.paint(lungs.box, cover, 11, LABELS["pleural_effusion"])


def sample_inside(canvas: Canvas, lungs: Lungs, left: bool, count: int, margin: float, key: int) -> np.ndarray:
    """Return `count` places in one lung, at least `margin` mm deep, spread evenly: (n, 3) as (x, y, z) mm, or none."""
    labels = canvas.labels[lungs.box]
    wanted = LABELS["lung_left"] if left else LABELS["lung_right"]
    voxels = np.flatnonzero((lungs.shape < -margin) & (labels == wanted))
    if voxels.size == 0:
        return np.empty((0, 3))
    # One place from each of `count` equal stretches of the voxels, so that no part stays empty.
    place = (np.arange(count) + uniforms(key, count)) / count * voxels.size
    k, j, i = np.unravel_index(voxels[place.astype(np.intp)], lungs.shape.shape)
    box, grid = lungs.box, canvas.grid
    jitter = uniforms(key, 3 * count, count).reshape(count, 3) - 0.5
    centres = np.stack([grid.x[box[2]][i], grid.y[box[1]][j], grid.z[box[0]][k]], axis=1)
    result: np.ndarray = centres + jitter * np.array(grid.steps)[::-1]
    return result


def paint_nodules(canvas: Canvas, lungs: Lungs, subject: Subject, texture: Floats) -> None:
    """Paint the drawn nodules: solid, or with a rim of ground glass; lobulated by the smooth field."""
    draws = subject.draws
    for n in range(subject.nodules):
        mass = subject.mass and n == 0
        radius = (
            draws.between(14, 24, "mass radius") if mass else 2.6 + 7.5 * draws.between(0, 1, "nodule radius", n) ** 2
        )
        places = sample_inside(
            canvas, lungs, draws.chance(0.5, "nodule side", n), 1, 0.7 * radius + 3, draws.key("nodule", n)
        )
        for place in places:
            _paint_nodule(canvas, tuple(place), radius, draws.chance(0.35, "ground glass", n), subject, texture)


def _paint_nodule(
    canvas: Canvas, centre: tuple[float, ...], radius: float, glassy: bool, subject: Subject, texture: Floats
) -> None:
    reach = 2 * radius + 6
    low, high = ((centre[0] + s * reach, centre[1] + s * reach, centre[2] + s * reach) for s in (-1, 1))
    box = canvas.grid.box(low, high)
    if 0 in canvas.hu[box].shape:
        return
    shape = ellipsoid(canvas.grid.at(box), (centre[0], centre[1], centre[2]), (radius, radius * 0.92, radius * 0.96))
    shape = shape - 0.22 * radius * texture[box]
    lung = np.isin(
        canvas.labels[box], (LABELS["lung_left"], LABELS["lung_right"], LABELS["lung_vessels"], LABELS["airways"])
    )
    if glassy:
        halo = canvas.cover((shape - 0.5 * radius - 1) * 0.6) * lung
        canvas.paint(box, halo * np.float32(0.85), -610 + 40 * texture[box], LABELS["nodule"])
    density = 40 + (25 if subject.blood_hu > 100 else 0)
    canvas.paint(box, canvas.cover(shape) * lung, density, LABELS["nodule"])
