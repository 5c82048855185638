"""Orientation letters in the canvas, as four text overlays of napari's own; its text overlay stays the user's.

They live in `viewer.canvas.overlays` as orientation_top, _bottom, _left and _right, where a user may set their size or
colour, and are part of napari's screenshots. napari draws them with the canvas; no code of ours runs per frame.
"""

from __future__ import annotations

from typing import Any

from napari_genesis.view.orientation import EdgeLetters

_PLACES = {"top": "top_center", "bottom": "bottom_center", "left": "middle_left", "right": "middle_right"}
# Points; as large as letters in DICOM viewers, and legible at arm's length.
_SIZE = 14
# Pale on a dark patch in either theme: what lies behind is the scan, not the theme.
_COLOUR = (0.93, 0.93, 0.93, 1.0)
_PATCH = (0.0, 0.0, 0.0, 0.6)


def draw_letters(viewer: Any, letters: EdgeLetters) -> None:
    """Show the letters at the edges of a viewer's canvas; an empty one is hidden."""
    from napari.components.overlays import TextOverlay

    overlays = viewer.canvas.overlays
    for side, letter in letters._asdict().items():
        name = f"orientation_{side}"
        if letter and name not in overlays:
            overlays[name] = TextOverlay(position=_PLACES[side], font_size=_SIZE, color=_COLOUR, box_color=_PATCH)
        if name in overlays:
            # A hidden overlay keeps its last letter: an empty text has no size to draw.
            overlays[name].text = letter or overlays[name].text
            overlays[name].visible = bool(letter)
