"""The latest preview of a run as layers of the viewer, changed in place: restorations, or a case with its labels.

The layers lie beside what the viewer shows already, at the height of the current slice; camera, slice, selection and
the user's layers are never touched. In an empty viewer they are looked at, and so is the first scan that is opened
after them. What is shown is decided in `preview_plan`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_genesis.jobs.view import PreviewArrays
from napari_genesis.layers import LayerData
from napari_genesis.training.preview_plan import GAP, REFERENCE, PlannedLayer, best_slice, plan_layers, voxel_size

# Voxels from the scan.
_BESIDE = 8
# Seconds between two updates: drawing volumes in 3D takes half a second.
_BETWEEN_2D, _BETWEEN_3D = 0.5, 5.0
# Milliseconds from one new layer to the next.
_APART = 60
# Where a layer's metadata says which one it is.
KEY = "genesis_preview"


class PreviewLayers(QObject):
    """The layers of one run in a viewer. gone(): the user deleted one, after which all are gone."""

    gone = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shown: PreviewArrays | None = None
        self._last = 0.0
        self._removing = False
        self._waiting: list[LayerData] = []
        # What the layers are: key -> kind and shape.
        self._kinds: dict[str, tuple[str, tuple[int, ...]]] = {}
        # Where the viewer was empty, the slice that it shall show.
        self._slice: int | None = None
        self.layers: dict[str, Any] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_APART)
        self._timer.timeout.connect(self._add_next)
        # The scan that was opened beside the layers of a viewer that was empty before.
        self._opened: Any = None
        self._looking = QTimer(self)
        self._looking.setSingleShot(True)
        self._looking.timeout.connect(self._look)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.events.inserted.connect(self._inserted)

    def show(self, name: str, preview: PreviewArrays, spacing: Sequence[float] | None) -> None:
        """Show a preview of the run `name`. spacing: mm (x, y, z), where the preview does not know its own."""
        if preview is self._shown or self._waiting:
            return
        between = _BETWEEN_2D if self._viewer.dims.ndisplay == 2 else _BETWEEN_3D
        if self.layers and time.monotonic() - self._last < between:
            return
        planned = plan_layers(preview)
        if not planned:
            return
        self._shown, self._last = preview, time.monotonic()
        kinds = {one.key: (one.kind, one.data.shape) for one in planned}
        if not self.layers or kinds != self._kinds:
            self.remove()
            self._shown, self._kinds = preview, kinds
            self._plan(name, planned, voxel_size(preview, spacing))
            return
        for one in planned:
            layer = self.layers[one.key]
            # Not the user's own changes, but what never changes need not be drawn again.
            if not np.array_equal(layer.data, one.data):
                layer.data[...] = one.data
                layer.refresh(extent=False, highlight=False)

    def remove(self) -> None:
        """Take the layers away."""
        self._timer.stop()
        self._waiting = []
        layers, self.layers, self._shown = self.layers, {}, None
        self._removing = True
        try:
            for layer in layers.values():
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
        finally:
            self._removing = False

    def close(self) -> None:
        """Leave the layers to the user and listen to nothing any more."""
        self._waiting, self.layers = [], {}
        self._looking.stop()
        self._viewer.layers.events.removed.disconnect(self._removed)
        self._viewer.layers.events.inserted.disconnect(self._inserted)

    def _plan(self, name: str, planned: list[PlannedLayer], scale: NDArray[np.float64]) -> None:
        """Decide on the layers' places; they are made one by one, since each holds up the window for a moment."""
        viewer = self._viewer
        self._slice = best_slice(planned) if not len(viewer.layers) else None
        shape = planned[0].data.shape
        corner = np.zeros(3) if self._slice is not None else _beside(viewer, np.array(shape) * scale, scale)
        for one in planned:
            step = np.array((0.0, 0.0, one.column * (shape[2] + GAP) * scale[2]))
            settings = {
                **one.settings,
                "name": f"{name}: {one.key}",
                "scale": tuple(scale),
                "translate": tuple(corner + step),
                "units": ("mm",) * 3,
                "axis_labels": ("z", "y", "x"),
                "metadata": {KEY: one.key},
            }
            self._waiting.append((one.data, settings, one.kind))
        self._add_next()

    def _add_next(self) -> None:
        from napari.layers import Layer

        viewer = self._viewer
        data, settings, kind = self._waiting.pop(0)
        chosen, active = set(viewer.layers.selection), viewer.layers.selection.active
        layer = Layer.create(data, settings, kind)
        if kind == "labels":
            # It changes under the brush; whoever wants to correct a segmentation has the Review dock.
            layer.editable = False
            layer.contour = int(settings["metadata"][KEY] == REFERENCE)
        layer = viewer.add_layer(layer)
        self.layers[settings["metadata"][KEY]] = layer
        if active is not None:
            viewer.layers.selection.active = active
            viewer.layers.selection.update(chosen)
        if self._waiting:
            self._timer.start()
        elif self._slice is not None:
            # napari looked at the first of several.
            viewer.reset_view()
            viewer.dims.set_current_step(viewer.dims.ndim - 3, self._slice)

    def _removed(self, event: Any) -> None:
        if not self._removing and event.value in self.layers.values():
            self.remove()
            self.gone.emit()

    def _inserted(self, event: Any) -> None:
        others = [one for one in self._viewer.layers if one is not event.value and KEY not in one.metadata]
        if self._slice is not None and self.layers and KEY not in event.value.metadata and not others:
            self._opened = event.value
            # napari is still at work on it.
            self._looking.start(0)

    def _look(self) -> None:
        """Look at the middle of the scan that was opened: it lies where its patient lay, out of sight."""
        viewer, layer, self._opened = self._viewer, self._opened, None
        if layer is None or layer not in viewer.layers or layer.ndim < 3:
            return
        middle = np.asarray(layer.extent.world, dtype=float).mean(axis=0)[-3:]
        viewer.dims.set_point(range(viewer.dims.ndim - 3, viewer.dims.ndim), middle.tolist())
        viewer.fit_to_view(layers=[layer])


def _beside(viewer: Any, size: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where (z, y, x) a volume of `size` mm begins: to the right of everything, cut by the current slice."""
    extent = np.asarray(viewer.layers.extent.world, dtype=float)[:, -3:]
    here = np.asarray(viewer.dims.point, dtype=float)[-3:]
    corner = np.array((here[0], extent[:, 1].mean(), extent[1, 2])) - size * (0.5, 0.5, 0.0)
    corner[2] += _BESIDE * scale[2]
    return np.asarray(corner)
