"""The outline of the place that is looked at: one layer without voxels to see, only its frame.

It lies on the slices of the place alone, is moved in place, and never becomes the active layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NAME = "Genesis place"
# Okabe and Ito's orange, as the Studio's box.
_COLOUR, _WIDTH = "#e69f00", 1.5


class PlaceBox:
    """The frame in one viewer. low, high of `show`: two corners in the world, (z, y, x) in mm."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Any = None
        self._low = self._high = np.zeros(3)
        viewer.dims.events.current_step.connect(self._follow)
        viewer.dims.events.order.connect(self._follow)
        viewer.layers.events.removed.connect(self._removed)

    def show(self, low: Sequence[float], high: Sequence[float]) -> None:
        """Frame the box between two corners."""
        self._low, self._high = np.asarray(low, float), np.asarray(high, float)
        size = self._high - self._low
        # Two voxels along each axis, whose outer edges are the box.
        scale, translate = size / 2, self._low + size / 4
        if self.layer is None:
            self._make(scale, translate)
        else:
            self.layer.scale, self.layer.translate = scale, translate
        self._follow()

    def put_on_top(self) -> None:
        """Let the frame lie above layers that came after it; a new one so soon after others go could end napari."""
        layers = self._viewer.layers
        if self.layer is not None and layers[-1] is not self.layer:
            layers.move(layers.index(self.layer), len(layers))

    def remove(self) -> None:
        """Take the frame away."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Take the frame away and listen to nothing any more."""
        self.remove()
        self._viewer.dims.events.current_step.disconnect(self._follow)
        self._viewer.dims.events.order.disconnect(self._follow)
        self._viewer.layers.events.removed.disconnect(self._removed)

    def _make(self, scale: Any, translate: Any) -> None:
        from napari.layers import Labels

        from napari_genesis.layers import AXIS_LABELS, UNITS

        active = self._viewer.layers.selection.active
        self.layer = Labels(
            np.zeros((2, 2, 2), np.uint8),
            name=NAME,
            scale=scale,
            translate=translate,
            units=UNITS,
            axis_labels=AXIS_LABELS,
        )
        self.layer.editable = False
        frame = self.layer.bounding_box
        frame.points, frame.line_color, frame.line_thickness, frame.visible = False, _COLOUR, _WIDTH, True
        # Under the labels: what is painted lies above.
        self._viewer.add_layer(self.layer)
        self._viewer.layers.selection.active = active

    def _follow(self, event: Any = None) -> None:
        if self.layer is None:
            return
        dims = self._viewer.dims
        hidden = [axis - (dims.ndim - 3) for axis in dims.not_displayed if axis >= dims.ndim - 3]
        point = np.asarray(dims.point)[-3:]
        inside = all(self._low[axis] <= point[axis] <= self._high[axis] for axis in hidden)
        frame = self.layer.bounding_box
        if frame.visible != inside:
            frame.visible = inside

    def _removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.layer = None
