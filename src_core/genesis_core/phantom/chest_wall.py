"""The chest wall, painted slice by slice: skin, fat, muscles, ribs with their cartilage, and the shoulder blades.

All of it hangs on the outlines of the cage. A rib is a curve on the cage, high at the spine and low in front; its cross
section is an ellipse with a shell of dense bone. An axial slice therefore shows a row of obliquely cut ellipses.
"""

from __future__ import annotations

import numpy as np

from genesis_core.phantom.cage import ANGLES, Cage, breast_bump, height, level, vertebrae
from genesis_core.phantom.canvas import Canvas, Floats
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.subject import Subject

# Half thickness and half height of a rib in mm, and how far its centre lies outside the pleura.
_RIB_THICKNESS = 3.6
_RIB_HEIGHT = 6.2
_RIB_DEPTH = 5.5
# Where the bone of ribs 1 to 12 ends and cartilage goes on, in degrees from the spine; drop of the bone's end below its
# start in mm; rise of the cartilage from there to the sternum in mm.
_BONE_END = (148, 146, 144, 142, 139, 135, 130, 123, 115, 106, 82, 52)
_DROP = (30, 54, 70, 84, 94, 102, 106, 106, 102, 92, 62, 36)
_RISE = (-4, 2, 8, 16, 26, 40, 58, 74, 86, 90, 0, 0)
_CARTILAGE_END = (171, 171, 171, 171, 171, 169, 167, 158, 146, 136, 0, 0)
_FAR = np.float32(99)
# Length of one degree along the cage, on average.
_MM_PER_DEGREE = 1.9


def paint_chest_wall(canvas: Canvas, cage: Cage, subject: Subject, texture: Floats) -> None:
    """Paint everything outside the pleura, and fat inside it. texture: smooth field on the grid, about -2 to 2."""
    bone, cartilage = _rib_tables(canvas, cage, subject)
    blade = _shoulder_blade(canvas, cage)
    levels = level(canvas.grid.z)
    breast = breast_bump(canvas.grid)
    lateral = np.sin(np.radians(cage.turn))[cage.angle] ** 2
    for k in range(canvas.grid.shape[0]):
        hu, labels = canvas.hu[k], canvas.labels[k]
        inner = cage.inner[k][cage.angle]
        deep = cage.rho - inner
        skin = canvas.cover(cage.rho - cage.skin[k][cage.angle])
        hu += skin * (subject.fat_hu + 9 * texture[k] - hu)
        inside = skin >= 0.5
        labels[inside] = LABELS["subcutaneous_fat"]
        if subject.breasts and float(levels[k]) < 0.75:
            depth = np.minimum(cage.skin[k][cage.angle] - 7 - cage.rho, cage.rho - cage.muscle[k][cage.angle] - 4)
            gland = (
                np.clip(depth / 4, 0, 1)
                * np.clip(1.3 * texture[k] + 0.2, 0, 1)
                * np.clip(2.2 * breast[k][cage.angle] - 0.5, 0, 1)
            )
            hu += 0.9 * gland * (25 - hu)
        rim = skin * canvas.cover(cage.skin[k][cage.angle] - 1.6 - cage.rho)
        hu += rim * (5 - hu)

        flesh = canvas.cover(np.maximum(-deep, cage.rho - cage.muscle[k][cage.angle]))
        labels[flesh >= 0.5] = LABELS["muscle"]
        flesh *= _muscle_share(deep, cage.muscle[k][cage.angle] - inner, texture[k], float(levels[k]), lateral, subject)
        hu += flesh * (subject.muscle_hu + 4 * texture[k] - hu)
        labels[deep < 0] = LABELS["mediastinum"]

        for table, shell, core in ((cartilage, 105.0, 85.0), (bone, 820.0, 260.0)):
            along = table[k][cage.angle]
            near = np.abs(deep - _RIB_DEPTH) < 3 * _RIB_THICKNESS
            near &= along < 3
            radius = np.hypot((deep[near] - _RIB_DEPTH) / _RIB_THICKNESS, along[near])
            _paint_bone(
                hu,
                labels,
                near,
                canvas,
                (radius - 1) * _RIB_THICKNESS,
                (shell * subject.bone, core * subject.bone),
                "ribs",
            )
        edge = blade[k][cage.angle]
        near = (np.abs(deep - 19) < 18) & (edge < 8)
        if near.any():
            thick = 2.2 + 2.6 * np.exp(-((edge[near] + 5) ** 2) / 14)
            # The blade leaves the ribs toward the side.
            lift = 16 + 9 * np.clip((cage.turn[cage.angle][near] - 35) / 35, 0, 1.3)
            distance = np.maximum(np.abs(deep[near] - lift) - thick, edge[near])
            _paint_bone(hu, labels, near, canvas, distance, (640 * subject.bone, 230 * subject.bone), "shoulder_girdle")


def _muscle_share(deep: Floats, wall: Floats, texture: Floats, u: float, lateral: Floats, subject: Subject) -> Floats:
    """Return how much of the wall's flesh is muscle: fat planes between the layers, and the fat of the armpits."""
    plane = np.exp(-(((deep - 11.5) / 1.4) ** 2)) * (wall > 17)
    # Sheets of muscle lie on each other like onion skins, their fat planes wander.
    place = (deep - 10 + 2.2 * texture) / 17
    sheet = np.abs(place - np.rint(place)) * 17
    planes = np.exp(-((sheet / (0.7 + 1.1 * subject.marbling)) ** 2)) * ((deep > 15) & (wall - deep > 4))
    shaft = (deep - 30 - 4 * texture) / 13
    armpit = np.exp(-(shaft**4)) * np.clip(3.4 * lateral - 2.2, 0, 1) * float(np.clip((u - 0.5) * 5, 0, 1))
    patches = np.clip(0.5 * texture - 0.75 + 0.35 * subject.marbling, 0, 1) * (deep > 11)
    result: Floats = 1 - np.clip(0.75 * plane + 0.55 * planes + patches + 1.1 * armpit, 0, 0.95)
    return result


def _paint_bone(
    hu: Floats,
    labels: np.ndarray,
    near: np.ndarray,
    canvas: Canvas,
    distance: Floats,
    density: tuple[float, float],
    name: str,
) -> None:
    shell, core = canvas.cover(distance), canvas.cover(distance + 1.7)
    values = hu[near]
    values += shell * (density[0] - values)
    values += core * (density[1] - values)
    hu[near] = values
    kinds = labels[near]
    kinds[shell >= 0.5] = LABELS[name]
    labels[near] = kinds


def _rib_tables(canvas: Canvas, cage: Cage, subject: Subject) -> tuple[Floats, Floats]:
    """Return the distance to the nearest rib along z in half heights, by (z, angle), for bone and for cartilage."""
    z = canvas.grid.z[:, None]
    bone = np.full((z.size, ANGLES), _FAR)
    cartilage = bone.copy()
    centres, heights = vertebrae()
    turn = cage.turn
    for side in (False, True):
        here = np.flatnonzero(cage.right == side)
        here = here[np.argsort(turn[here], kind="stable")]
        for i in range(12):
            start = centres[2 + i] + 0.3 * heights[2 + i] + subject.draws.between(-1.5, 1.5, "rib", i, int(side))
            t = turn[here] / _BONE_END[i]
            drop = _DROP[i] * subject.rib_slope
            curve = start - drop * (0.85 * np.minimum(t, 1) + 0.15 * np.sin(np.pi / 2 * np.minimum(t, 1)) ** 2)
            if _CARTILAGE_END[i]:
                up = np.clip((turn[here] - _BONE_END[i]) / (_CARTILAGE_END[i] - _BONE_END[i]), 0, 1)
                curve = curve + _RISE[i] * up**1.4
            # A sloping rib is taller along z than across itself.
            slope = np.gradient(curve) / (np.gradient(turn[here]) * _MM_PER_DEGREE)
            upright = _RIB_HEIGHT * np.sqrt(1 + np.minimum(slope**2, 2))
            away = (np.abs(z - curve) / upright).astype(np.float32)
            for table, low, high in ((bone, 15, _BONE_END[i]), (cartilage, _BONE_END[i], _CARTILAGE_END[i])):
                there = (turn[here] >= low) & (turn[here] < high)
                columns = here[there]
                table[:, columns] = np.minimum(table[:, columns], away[:, there])
    return bone, cartilage


def _shoulder_blade(canvas: Canvas, cage: Cage) -> Floats:
    """Return the distance in mm (first order, negative inside) to the outline of the shoulder blades, by (z, angle)."""
    z = canvas.grid.z[:, None]
    arc = cage.turn[None, :] * np.float32(_MM_PER_DEGREE)
    low, high = height(0.40), height(0.93)
    along = (z - low) / (high - low)
    inner_edge = 62 - 14 * along
    outer_edge = 78 + 84 * along
    result: Floats = np.maximum(
        np.maximum(inner_edge - arc, (arc - outer_edge) * 0.8), np.abs(z - (low + high) / 2) - (high - low) / 2
    ).astype(np.float32)
    return result
