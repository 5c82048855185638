"""Which way the patient lies in napari's canvas: letters at its edges, and the camera under which the head is up.

Plain functions on axis names and napari's words for directions ("up", "left", "away"); no napari, no Qt. Scans are
shown with axes (z, y, x) that grow toward superior, posterior and left: see `napari_genesis.layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from napari_genesis.layers import AXIS_LABELS

# napari's camera orientation: where the (depth, vertical, horizontal) axis on the canvas grows.
Orientation = tuple[str, str, str]
# The scan's axis in (depth, vertical, horizontal) direction; None for one that is no axis of the patient (time).
View = tuple[str | None, str | None, str | None]

# Each axis from its low to its high end: Inferior to Superior, Anterior to Posterior, Right to Left.
ENDS = {"z": ("I", "S"), "y": ("A", "P"), "x": ("R", "L")}


class EdgeLetters(NamedTuple):
    """The letter at each edge of the canvas; empty where the axis is none of the patient's."""

    top: str = ""
    bottom: str = ""
    left: str = ""
    right: str = ""


def view_of(order: Sequence[int]) -> View:
    """Return the scan's axes on the canvas for napari's `dims.order`; the last three dimensions are the scan's."""
    first = len(order) - len(AXIS_LABELS)
    named = [AXIS_LABELS[axis - first] if axis >= first else None for axis in order[-3:]]
    depth, vertical, horizontal = [None] * (3 - len(named)) + named
    return depth, vertical, horizontal


def edge_letters(view: View, orientation: Orientation) -> EdgeLetters:
    """Return the letters for what is displayed in 2D."""
    _, vertical, horizontal = view
    top, bottom = ENDS.get(vertical or "", ("", ""))
    left, right = ENDS.get(horizontal or "", ("", ""))
    if orientation[1] == "up":
        top, bottom = bottom, top
    if orientation[2] == "left":
        left, right = right, left
    return EdgeLetters(top, bottom, left, right)


def upright(view: View, usual: Orientation) -> Orientation:
    """Return the orientation under which the head is up where superior and inferior are up and down, else `usual`.

    Its depth, which only 3D shows, is such that the patient is not mirrored there: napari's own makes of axes that grow
    toward superior, posterior and left a mirror image, and so would turning one of them around.
    """
    depth, vertical, horizontal = usual
    if view[1] == "z":
        vertical = "up"
    return _true_depth(view, vertical, horizontal) or depth, vertical, horizontal


def _true_depth(view: View, vertical: str, horizontal: str) -> str | None:
    """Return where the depth axis grows in a picture that is no mirror image; None if an axis is not the patient's."""
    depth, rows, columns = view
    if depth is None or rows is None or columns is None:
        return None
    # (x, y, z) toward left, posterior, superior is right-handed, as are (right, up, toward the viewer) on the canvas.
    even = (columns, rows, depth) in {("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")}
    towards = even ^ (vertical == "down") ^ (horizontal == "left")
    return "towards" if towards else "away"
