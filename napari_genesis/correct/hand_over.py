"""Handing the open scan over to napari-nninteractive, where it is installed: prompts instead of a brush."""

from __future__ import annotations

from typing import Any

PLUGIN = "napari-nninteractive"


def open_nninteractive(viewer: Any, image: Any) -> str:
    """Open the plugin's dock with the scan chosen, and return what to do next.

    Its result is a Labels layer of its own; merging goes by napari's own tools. Raises LookupError if napari does not
    offer the plugin (it is switched off, say), and whatever the plugin raises as it is opened; chosen is then what was.
    """
    from npe2 import PluginManager

    offered = [one.display_name for one in PluginManager.instance().iter_widgets() if one.plugin_name == PLUGIN]
    if not offered:
        raise LookupError("napari does not offer it; is it switched off in the preferences, under Plugins?")
    before = viewer.layers.selection.active
    viewer.layers.selection.active = image
    try:
        viewer.window.add_plugin_dock_widget(PLUGIN, offered[0])
    except Exception:
        viewer.layers.selection.active = before
        raise
    return (
        "nnInteractive is open; choose the scan there and prompt. Its result is a layer of its own: copy what you want "
        "into the corrections (select it, then right click > Merge, or paint by it)."
    )
