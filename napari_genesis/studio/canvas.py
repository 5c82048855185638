"""The Studio's one layer: the sub-volume shown where it lies in the scan, framed, and moved by dragging it.

The layer is made once and changed in place, also for another scan; contrast limits and colours follow the scan's layer
and are followed by it. The camera, the current slice and the user's other layers are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_genesis.layers import like
from napari_genesis.studio.preview import Look
from napari_genesis.studio.scan import Array, Box, Index
from napari_genesis.view.difference_colours import difference_colours

NAME = "Genesis preview"
# What the layer shares with the scan's, in both directions.
_SHARED = ("contrast_limits", "gamma", "colormap", "interpolation2d")
# Differences are shown in full colour from half of the training range on, as on the contact sheet.
_DIFFERENCE = 0.5
_FRAME = "#e69f00"
_FRAME_WIDTH = 2


class CanvasPreview:
    """The preview layer in a viewer.

    moved: called with the box's new first voxel (z, y, x) while it is dragged, and whether the drag is over. gone:
    called when the user deletes the layer.
    """

    def __init__(
        self, viewer: Any, moved: Callable[[Index, bool], None], gone: Callable[[], None] = lambda: None
    ) -> None:
        self._viewer = viewer
        self._moved = moved
        self._gone = gone
        self._source: Any = None
        self._box: Box | None = None
        self._copying = False
        # What [0, 1] spans in scan units, while differences are shown.
        self._difference: float | None = None
        self.layer: Any = None
        self.draggable = True
        viewer.mouse_drag_callbacks.append(self._drag)
        viewer.layers.events.removed.connect(self._removed)

    def show(
        self, source: Any, box: Box, voxels: Array, look: Look, full_range: float, *, settled: bool = True
    ) -> None:
        """Show voxels (z, y, x), in scan units, at `box` in the scan of layer `source`.

        full_range: what [0, 1] spans in scan units, for the colours of differences. settled: False while something is
        dragged, when the layer list's little picture is left as it is.
        """
        if self.layer is None:
            self._make(source, box, voxels)
        elif source is not self._source:
            self._take_over(source, box, voxels)
        layer = self.layer
        if layer.data.shape != voxels.shape:
            layer.data = voxels
            self._put(source, box)
        else:
            layer.data[...] = voxels
            if box != self._box:
                # Moving refreshes by itself.
                self._put(source, box)
            else:
                layer.refresh(extent=False, highlight=False, thumbnail=settled)
        self._box = box
        self._colour(full_range if look.view == "difference" else None)

    def remove(self) -> None:
        """Take the layer away, if it is there."""
        layer, self.layer = self.layer, None
        self._let_go()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Take the layer away and listen to nothing any more."""
        self.remove()
        self._viewer.layers.events.removed.disconnect(self._removed)
        if self._drag in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._drag)

    def _make(self, source: Any, box: Box, voxels: Array) -> None:
        from napari.layers import Layer

        data, meta, kind = like(source, voxels, NAME, start=box.start, interpolation2d=source.interpolation2d)
        chosen, active = set(self._viewer.layers.selection), self._viewer.layers.selection.active
        self.layer = self._viewer.add_layer(Layer.create(data, meta, kind))
        # It lies on top, also over labels; what was chosen stays chosen, with its controls.
        self._viewer.layers.selection.active = active
        self._viewer.layers.selection.update(chosen)
        self.layer.contrast_limits_range = source.contrast_limits_range
        frame = self.layer.bounding_box
        frame.points, frame.line_color, frame.line_thickness, frame.visible = False, _FRAME, _FRAME_WIDTH, True
        for name in _SHARED:
            getattr(self.layer.events, name).connect(self._to_source)
        self._follow(source, box)

    def _take_over(self, source: Any, box: Box, voxels: Array) -> None:
        """Let the layer be that of another scan.

        A new one in its place could end napari: its canvas does not survive that two layers go, one of them the scan
        perhaps, and another comes before it has been drawn (0.9, Mesa).
        """
        from napari.layers import Layer

        self._let_go()
        layer, new = self.layer, Layer.create(*like(source, voxels, NAME, start=box.start))
        layer.data = voxels
        layer.axis_labels, layer.units, layer.metadata = new.axis_labels, new.units, new.metadata
        layer.affine, layer.scale, layer.translate = new.affine, new.scale, new.translate
        layer.contrast_limits_range = source.contrast_limits_range
        self._follow(source, box)
        self._from_source()
        layers = self._viewer.layers
        layers.move(layers.index(layer), len(layers))

    def _follow(self, source: Any, box: Box) -> None:
        self._source, self._box, self._difference = source, box, None
        for name in _SHARED:
            getattr(source.events, name).connect(self._from_source)

    def _put(self, source: Any, box: Box) -> None:
        _, meta, _ = like(source, self.layer.data, NAME, start=box.start)
        for name in ("affine", "scale", "translate"):
            if name in meta and not np.array_equal(np.asarray(getattr(self.layer, name)), meta[name]):
                setattr(self.layer, name, meta[name])

    def _colour(self, difference: float | None) -> None:
        if difference == self._difference:
            return
        self._difference = difference
        layer = self.layer
        # A new range clips the limits, which must not reach the scan's layer.
        self._copying = True
        try:
            if difference is not None:
                layer.colormap, layer.gamma = difference_colours(), 1.0
                layer.contrast_limits_range = (-difference, difference)
                layer.contrast_limits = (-_DIFFERENCE * difference, _DIFFERENCE * difference)
            else:
                layer.contrast_limits_range = self._source.contrast_limits_range
        finally:
            self._copying = False
        self._from_source()

    def _from_source(self, event: Any = None) -> None:
        self._copy(self._source, self.layer)

    def _to_source(self, event: Any = None) -> None:
        self._copy(self.layer, self._source)

    def _copy(self, one: Any, other: Any) -> None:
        if self._copying or self._difference is not None or one is None or other is None:
            return
        self._copying = True
        try:
            for name in _SHARED:
                value = getattr(one, name)
                if getattr(other, name) != value:
                    setattr(other, name, value)
        finally:
            self._copying = False

    def _let_go(self) -> None:
        if self._source is not None:
            for name in _SHARED:
                getattr(self._source.events, name).disconnect(self._from_source)
        self._source = None

    def _removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.layer = None
            self._let_go()
            self._gone()
        elif event.value is self._source:
            self._let_go()

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        begin = self._grabbed(event)
        if begin is None:
            return
        assert self._box is not None
        box, source = self._box, self._source
        axes = list(viewer.dims.displayed)[-2:]
        # Axes of the viewer count frames too; those of the scan are its last three.
        axes = [axis - (viewer.dims.ndim - 3) for axis in axes]
        camera = self._viewer.scene.camera
        panning, camera.mouse_pan = camera.mouse_pan, False
        try:
            start = box.start
            yield
            while event.type == "mouse_move":
                here = _position(source, event.position)
                moved = list(box.start)
                for axis in axes:
                    moved[axis] += round(here[axis] - begin[axis])
                if (moved[0], moved[1], moved[2]) != start:
                    start = (moved[0], moved[1], moved[2])
                    self._moved(start, False)
                event.handled = True
                yield
            if start != box.start:
                self._moved(start, True)
        finally:
            camera.mouse_pan = panning

    def _grabbed(self, event: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """Return where in the scan (z, y, x) the box was grabbed; None if this press is meant for something else."""
        layer, box, active = self.layer, self._box, self._viewer.layers.selection.active
        if layer is None or box is None or self._source is None or not layer.visible:
            return None
        if not self.draggable or event.modifiers:
            return None
        if event.button != 1 or self._viewer.dims.ndisplay != 2:
            return None
        if active is not None and active.mode != "pan_zoom":
            return None
        here = _position(self._source, event.position)
        inside = all(
            first - 0.5 <= at <= first + n - 0.5 for at, first, n in zip(here, box.start, box.size, strict=True)
        )
        return here if inside else None


def _position(layer: Any, world: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(layer.world_to_data(world), dtype=float)[-3:]
