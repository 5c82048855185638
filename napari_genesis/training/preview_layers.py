"""The latest original, corrupted and restored sub-volumes of a run as three layers, side by side, changed in place.

Each layer holds the samples of a preview below each other. The layers lie beside what the viewer shows already, at the
height of the current slice; camera, slice and the user's layers are never touched.
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

NAMES = ("original", "corrupted", "restored")
# Voxels between samples, between layers, and from the scan.
_GAP = 2
_BESIDE = 8
# Seconds between two updates: drawing volumes in 3D takes half a second.
_BETWEEN_2D, _BETWEEN_3D = 0.5, 5.0
# Milliseconds from one new layer to the next.
_APART = 60
# Where a layer's metadata says which of the three it is.
_KEY = "genesis_preview"


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
        self._first = False
        self.layers: dict[str, Any] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_APART)
        self._timer.timeout.connect(self._add_next)
        viewer.layers.events.removed.connect(self._removed)

    def show(self, name: str, preview: PreviewArrays, spacing: Sequence[float] | None) -> None:
        """Show a preview of the run `name`. spacing: mm (x, y, z); None: unknown, shown as cubes of 1 mm."""
        if preview is self._shown or self._waiting:
            return
        between = _BETWEEN_2D if self._viewer.dims.ndisplay == 2 else _BETWEEN_3D
        if self.layers and time.monotonic() - self._last < between:
            return
        voxels = {key: stacked(preview.arrays[key]) for key in NAMES if key in preview.arrays}
        if not voxels:
            return
        self._shown, self._last = preview, time.monotonic()
        if {key: layer.data.shape for key, layer in self.layers.items()} != {
            key: array.shape for key, array in voxels.items()
        }:
            self.remove()
            self._shown = preview
            self._plan(name, voxels, spacing)
            return
        for key, array in voxels.items():
            layer = self.layers[key]
            layer.data[...] = array
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
        self._viewer.layers.events.removed.disconnect(self._removed)

    def _plan(self, name: str, voxels: dict[str, NDArray[np.float32]], spacing: Sequence[float] | None) -> None:
        """Decide on the layers' places; they are made one by one, since each holds up the window for a moment."""
        viewer = self._viewer
        self._first = not len(viewer.layers)
        scale = np.array(spacing[::-1] if spacing else (1.0, 1.0, 1.0), dtype=float)
        shape = next(iter(voxels.values())).shape
        corner = np.zeros(3) if self._first else _beside(viewer, np.array(shape) * scale, scale)
        for number, (key, array) in enumerate(voxels.items()):
            step = np.array((0.0, 0.0, number * (shape[2] + _GAP) * scale[2]))
            settings = {
                "name": f"{name}: {key}",
                "scale": tuple(scale),
                "translate": tuple(corner + step),
                "units": ("mm",) * 3,
                "axis_labels": ("z", "y", "x"),
                "contrast_limits": (0.0, 1.0),
                "metadata": {_KEY: key},
            }
            self._waiting.append((array, settings, "image"))
        self._add_next()

    def _add_next(self) -> None:
        from napari.layers import Layer

        viewer = self._viewer
        data, settings, kind = self._waiting.pop(0)
        chosen, active = set(viewer.layers.selection), viewer.layers.selection.active
        layer = viewer.add_layer(Layer.create(data, settings, kind))
        self.layers[settings["metadata"][_KEY]] = layer
        if active is not None:
            viewer.layers.selection.active = active
            viewer.layers.selection.update(chosen)
        if self._waiting:
            self._timer.start()
        elif self._first:
            # napari looked at the first of three.
            viewer.reset_view()
            viewer.dims.set_current_step(viewer.dims.ndim - 3, data.shape[0] // 2)

    def _removed(self, event: Any) -> None:
        if not self._removing and event.value in self.layers.values():
            self.remove()
            self.gone.emit()


def stacked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples (sample, z, y, x) as one volume (z, y, x), below each other with a gap, in [0, 1]."""
    count, depth, height, width = samples.shape
    result = np.zeros((depth, count * (height + _GAP) - _GAP, width), np.float32)
    for number, sample in enumerate(samples):
        top = number * (height + _GAP)
        result[:, top : top + height] = sample
    return result


def _beside(viewer: Any, size: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where (z, y, x) a volume of `size` mm begins: to the right of everything, cut by the current slice."""
    extent = np.asarray(viewer.layers.extent.world, dtype=float)[:, -3:]
    here = np.asarray(viewer.dims.point, dtype=float)[-3:]
    corner = np.array((here[0], extent[:, 1].mean(), extent[1, 2])) - size * (0.5, 0.5, 0.0)
    corner[2] += _BESIDE * scale[2]
    return np.asarray(corner)
