"""Handing the open scan over to napari-nninteractive, where it is installed: prompts instead of a brush."""

from __future__ import annotations

from typing import Any

_PLUGIN = "napari-nninteractive"


def open_nninteractive(viewer: Any, image: Any) -> str:
    """Open the plugin's dock with the scan chosen, and return what to do next.

    Its result is a Labels layer of its own; merging goes by napari's own tools. Raises what napari raises if the
    plugin's widget cannot be opened.
    """
    viewer.layers.selection.active = image
    viewer.window.add_plugin_dock_widget(_PLUGIN)
    return (
        "nnInteractive is open; choose the scan there and prompt. Its result is a layer of its own: copy what you want "
        "into the corrections (select it, then right click > Merge, or paint by it)."
    )
