"""Between the viewer and the Studio: which images there are, which slice is displayed, which way round it is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_genesis.studio.scan import Array, Box

# What the viewer's events tell.
_LIST_EVENTS = ("inserted", "removed", "reordered")
_DIMS_EVENTS = ("current_step", "order", "ndisplay", "ndim")


class ViewerLink(QObject):
    """layers_changed(): images came, went or got another name. voxels_changed(layer): one got other data.
    moved(): another slice, plane or display. selected(): another layer is active.

    Axes are those of a scan: 0 is z, 1 is y, 2 is x.
    """

    layers_changed = Signal()
    voxels_changed = Signal(object)
    moved = Signal()
    selected = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._named: list[Any] = []
        for name in _LIST_EVENTS:
            getattr(viewer.layers.events, name).connect(self._on_list)
        for name in _DIMS_EVENTS:
            getattr(viewer.dims.events, name).connect(self._on_moved)
        viewer.layers.selection.events.active.connect(self._on_selected)
        self._watch_names()

    def close(self) -> None:
        """Listen to nothing any more."""
        for name in _LIST_EVENTS:
            getattr(self._viewer.layers.events, name).disconnect(self._on_list)
        for name in _DIMS_EVENTS:
            getattr(self._viewer.dims.events, name).disconnect(self._on_moved)
        self._viewer.layers.selection.events.active.disconnect(self._on_selected)
        self._forget_names()

    @property
    def flat(self) -> bool:
        """Whether slices are shown, not a volume."""
        return bool(self._viewer.dims.ndisplay == 2)

    @property
    def plane(self) -> tuple[int, int, int]:
        """The axes of the scan as displayed: the one that is sliced, that of the rows, that of the columns."""
        first = self._viewer.dims.ndim - 3
        order = [axis - first for axis in self._viewer.dims.order if axis >= first]
        return (order[0], order[1], order[2]) if len(order) == 3 else (0, 1, 2)

    def frame(self, layer: Any) -> int | None:
        """Return the displayed frame of a layer with four axes."""
        if layer.ndim != 4:
            return None
        world = np.asarray(self._viewer.dims.point, dtype=float)
        return int(np.clip(round(float(layer.world_to_data(world)[0])), 0, layer.data.shape[0] - 1))

    def slice_of(self, layer: Any) -> int:
        """Return the index of the displayed slice, in voxels of a layer, along the sliced axis."""
        at = layer.world_to_data(np.asarray(self._viewer.dims.point, dtype=float))
        return round(float(np.asarray(at)[-3:][self.plane[0]]))

    def as_displayed(self, voxels: Array, box: Box, index: int) -> Array:
        """Return slice `index` of the scan out of voxels (z, y, x) that lie at `box`, as it is drawn in the canvas.

        A slice outside the box gives the nearest one inside.
        """
        sliced, rows, columns = self.plane
        inside = min(max(index - box.start[sliced], 0), voxels.shape[sliced] - 1)
        plane: Array = np.moveaxis(voxels, (sliced, rows, columns), (0, 1, 2))[inside]
        vertical, horizontal = self._viewer.scene.camera.orientation2d
        if str(getattr(vertical, "value", vertical)) == "up":
            plane = plane[::-1]
        if str(getattr(horizontal, "value", horizontal)) == "left":
            plane = plane[:, ::-1]
        return plane

    def aspect(self, spacing: tuple[float, float, float] | None) -> float:
        """Return a voxel's height over its width as displayed; spacing is (x, y, z)."""
        if spacing is None:
            return 1.0
        _, rows, columns = self.plane
        return spacing[2 - rows] / spacing[2 - columns]

    def _watch_names(self) -> None:
        self._forget_names()
        self._named = list(self._viewer.layers)
        for layer in self._named:
            layer.events.name.connect(self._on_name)
            layer.events.data.connect(self._on_data)

    def _forget_names(self) -> None:
        for layer in self._named:
            layer.events.name.disconnect(self._on_name)
            layer.events.data.disconnect(self._on_data)
        self._named = []

    def _on_list(self, event: Any = None) -> None:
        self._watch_names()
        self.layers_changed.emit()

    def _on_name(self, event: Any = None) -> None:
        self.layers_changed.emit()

    def _on_data(self, event: Any) -> None:
        self.voxels_changed.emit(event.source)

    def _on_moved(self, event: Any = None) -> None:
        self.moved.emit()

    def _on_selected(self, event: Any = None) -> None:
        self.selected.emit()
