"""What branches in the lungs: arteries with the airways beside them, and veins, from the hilum to the pleura."""

from __future__ import annotations

import numpy as np

from genesis_core.phantom.canvas import Canvas, Floats
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.lungs import Lungs, sample_inside
from genesis_core.phantom.mediastinum import HILUM_LEFT, HILUM_RIGHT, airway_trunk
from genesis_core.phantom.subject import Subject
from genesis_core.phantom.tree import grow_tree, offset_branches
from genesis_core.phantom.tubes import Tubes, distance, fine_coverage

# Twigs a tree serves in one lung, and the radius in mm of the last ones.
_TWIGS = 1024
_TIP = 0.7
# Airways are seen in a CT down to about this generation.
_AIRWAY_GENERATIONS = 6
# Where the veins leave the lung, seen from the hilum, mm.
_VEIN_SHIFT = np.array([0.0, 4.0, -26.0])


def paint_trees(canvas: Canvas, lungs: Lungs, subject: Subject) -> None:
    """Paint vessels and airways of both lungs, then windpipe and main bronchi."""
    vessels: list[Tubes] = []
    airways: list[Tubes] = []
    for left, hilum in ((False, HILUM_RIGHT), (True, HILUM_LEFT)):
        root = np.array(hilum)
        for kind in ("artery", "vein"):
            key = subject.draws.key(kind, int(left))
            targets = sample_inside(canvas, lungs, left, _TWIGS, 2.5, key)
            if not len(targets):
                continue
            start = root if kind == "artery" else root + _VEIN_SHIFT
            tree = grow_tree(start, targets, _TIP, key)
            vessels += tree
            if kind == "artery":
                airways += [offset_branches(part, 1.65, 0.78, key) for part in tree[:_AIRWAY_GENERATIONS]]
    grid, box = canvas.grid, lungs.box
    labels = canvas.labels[box]
    lung = (labels == LABELS["lung_right"]) | (labels == LABELS["lung_left"])
    if vessels:
        cover = fine_coverage(grid, _together(vessels))[box] * lung
        blood = max(subject.blood_hu, 40)
        canvas.paint(box, cover, blood, None)
        labels[lung & (cover > 0.3)] = LABELS["lung_vessels"]
    _paint_airways(canvas, lungs, airways, lung)


def _paint_airways(canvas: Canvas, lungs: Lungs, airways: list[Tubes], lung: np.ndarray) -> None:
    grid, box = canvas.grid, lungs.box
    if airways:
        tubes = _together(airways)
        walls = fine_coverage(grid, Tubes(tubes.starts, tubes.ends, tubes.first + 0.8, tubes.last + 0.8))[box] * lung
        canvas.paint(box, walls * np.float32(0.75), -60, None)
        bores = fine_coverage(grid, tubes)[box] * lung
        canvas.paint(box, bores, -960, None)
        canvas.labels[box][lung & (bores > 0.5)] = LABELS["airways"]
    trunk = distance(grid, airway_trunk(), 8)
    whole = (slice(None), slice(None), slice(None))
    canvas.paint(whole, canvas.cover(trunk), 20, None)
    lumen: Floats = canvas.cover(trunk + 1.6)
    canvas.paint(whole, lumen, -985, LABELS["airways"])


def _together(parts: list[Tubes]) -> Tubes:
    return Tubes(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("starts", "ends", "first", "last"))
    )
