"""Window and level by dragging in the canvas with Ctrl held: right widens, up raises the level.

Ctrl and the left button is what napari 0.9 leaves free in 2D and 3D; the right button is its zoom, and stays so.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari_genesis.view.windows import Window

# Pixels of the mouse in which a window goes over all of the scan's range: 2 HU a pixel over a CT's first slider.
_PIXELS = 1000
_LEFT = 1


def drag_window(viewer: Any, event: Any) -> Generator[None, None, None]:
    """Set the window of the image worked on while the mouse is dragged: for a viewer's `mouse_drag_callbacks`.

    The contrast slider grows where the window leaves it.
    """
    modifiers = {str(getattr(one, "name", one)) for one in event.modifiers}
    layer = image_worked_on(viewer)
    if layer is None or event.button != _LEFT or modifiers != {"Control"}:
        return
    x, y = event.pos
    first = Window.between(layer.contrast_limits)
    low, high = layer.contrast_limits_range
    yield
    while event.type == "mouse_move":
        event.handled = True
        now_x, now_y = event.pos
        # Upward on the screen is toward smaller y.
        window = first.dragged(float(now_x - x), float(y - now_y), (high - low) / _PIXELS)
        if window.limits != tuple(layer.contrast_limits):
            layer.contrast_limits = window.limits
        yield


def image_worked_on(viewer: Any) -> Any | None:
    """Return the selected image, else the topmost visible one; None while another tool than the camera's is in use."""
    from napari.layers import Image

    active = viewer.layers.selection.active
    if active is not None and active.mode != "pan_zoom":
        return None
    images = [one for one in viewer.layers if isinstance(one, Image) and not one.rgb]
    if active in images:
        return active
    return next((one for one in reversed(images) if one.visible), None)
