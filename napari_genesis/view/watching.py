"""Reading aids for a whole viewer: letters, the head up and dragging of windows follow what it shows.

Only weak references are kept: a viewer that is closed and forgotten takes all of this with it.
"""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary, ref

from napari_genesis.contrast import widen_sliders
from napari_genesis.layers import origin_of
from napari_genesis.view.head_up import HeadUp
from napari_genesis.view.orientation import EdgeLetters, Orientation, View, edge_letters, view_of
from napari_genesis.view.orientation_letters import draw_letters
from napari_genesis.view.window_drag import drag_window


def watch(viewer: Any | None) -> None:
    """Turn the reading aids on for a viewer, once; calling it again, or for None, changes nothing.

    Letters and the head up concern scans opened by Genesis; Ctrl and dragging sets the window of any image.
    """
    if viewer is not None:
        _watched(viewer)


def watch_current() -> None:
    """Make the open viewer ready for scans that are about to be added: reading aids, and sliders that reach far."""
    import napari

    if (viewer := napari.current_viewer()) is not None:
        widen_sliders(viewer)
        watch(viewer)


def show_letters(viewer: Any, shown: bool) -> None:
    """Show or hide the orientation letters of a viewer, which is watched from then on."""
    watched = _watched(viewer)
    watched.lettered = shown
    watched.label()


def letters_shown(viewer: Any) -> bool:
    """Return whether the orientation letters of a viewer are wanted where there is something to letter."""
    return _watched(viewer).lettered


class _Watch:
    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._head_up = HeadUp()
        self.lettered = True
        dims, layers, camera = viewer.dims.events, viewer.layers.events, viewer.scene.camera.events
        for changed in (dims.order, dims.ndim, layers.inserted, layers.removed):
            changed.connect(self.turn)
        for changed in (dims.ndisplay, camera.orientation):
            changed.connect(self.label)
        if drag_window not in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.append(drag_window)
        self.turn()

    def turn(self) -> None:
        """Put the head up if other axes are displayed than before."""
        if (viewer := self._viewer()) is None:
            return
        now = _orientation(viewer)
        if (wanted := self._head_up.follow(_view(viewer), now)) != now:
            viewer.scene.camera.orientation = wanted
        self.label()

    def label(self) -> None:
        """Draw the letters of what is displayed."""
        if (viewer := self._viewer()) is None:
            return
        view = _view(viewer)
        flat = viewer.dims.ndisplay == 2
        wanted = edge_letters(view, _orientation(viewer)) if view and flat and self.lettered else EdgeLetters()
        draw_letters(viewer, wanted)


_WATCHED: WeakKeyDictionary[Any, _Watch] = WeakKeyDictionary()


def _watched(viewer: Any) -> _Watch:
    # Docks are handed a proxy of the viewer: each a new object, for the same viewer.
    viewer = inspect.unwrap(viewer)
    if viewer not in _WATCHED:
        _WATCHED[viewer] = _Watch(viewer)
    return _WATCHED[viewer]


def _view(viewer: Any) -> View | None:
    """Return the axes of the scans displayed; None if no layer comes from Genesis."""
    ours = any(origin_of({"metadata": layer.metadata}) for layer in viewer.layers)
    return view_of(viewer.dims.order) if ours else None


def _orientation(viewer: Any) -> Orientation:
    depth, vertical, horizontal = (str(one) for one in viewer.scene.camera.orientation)
    return depth, vertical, horizontal
