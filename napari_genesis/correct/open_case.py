"""The case that is open in a viewer: its layers, and whether they were edited. The one place that touches layers.

Layers of ours carry a mark in their metadata; no other layer is ever changed, moved or removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from genesis_core.volumes.label_volume import Structure
from napari_genesis.contrast import REACH_KEY
from napari_genesis.correct.case_files import CaseRead, LayerState, state_of
from napari_genesis.correct.label_edits import Edit, Steps
from napari_genesis.correct.left_layers import LeftLayers
from napari_genesis.correct.threshold_brush import ThresholdBrush
from napari_genesis.layers import ORIGIN_KEY, LayerOrigin

if TYPE_CHECKING:
    from genesis_core.studies.review import Review

# What may mean that voxels changed: strokes, undo and redo (which redraw), other voxels put in by somebody else.
_HINTS = ("paint", "set_data", "data")
_BRUSH = 10


class OpenCase(QObject):
    """Shows one case. touched(): its labels may have changed. left(): the user took its labels out of the viewer."""

    touched = Signal()
    left = Signal()

    def __init__(
        self,
        viewer: Any,
        review: Review,
        found: CaseRead,
        former: OpenCase | None = None,
        left: LeftLayers | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Show a case of a review. former: the one before, whose layers are taken over where they fit, else removed.

        left: layers in the viewer that show the case already; it is gone on with there.
        """
        super().__init__(parent)
        self._viewer = viewer
        # Its own, whichever review the dock has gone on to.
        self.review = review
        self.proposal = found.proposal
        self.structures = found.structures
        # Of what lies on the disk, as the proposal or as a draft.
        self.saved = found.checksums
        self.proposed = found.checksums if found.origin == "proposal" else None
        # What is accepted is changed only after that is undone.
        self.decided = found.origin == "accepted"
        self.images, self.labels = list(found.images), list(found.labels)
        again = left is not None and all(layer in viewer.layers for layer in (*left.images, *left.labels))
        if left is not None and again:
            self.images, self.labels = list(left.images), list(left.labels)
        self.took_over = not again and former is not None and former.hand_over(self)
        for layer in (*self.images[:1], *self.labels) if again else ():
            layer.visible = True
        for layer in () if again or self.took_over else (*self.images, *self.labels):
            viewer.add_layer(layer)
        # After that: napari's canvas does not survive that layers go and others come before it is drawn (0.9, Mesa).
        if not self.took_over and former is not None:
            former.remove()
        self.brushes = [ThresholdBrush(layer, self.scan) for layer in self.labels if self._fits(layer)]
        for layer in self.labels:
            for name in _HINTS:
                getattr(layer.events, name).connect(self._hint)
        viewer.layers.events.removed.connect(self._removed)
        self._choose_tools()
        self._tools = [str(layer.mode) for layer in self.labels]
        for layer in self.labels:
            layer.editable = not self.decided

    @property
    def case(self) -> str:
        """The case's name."""
        return str(self.proposal.case)

    @property
    def scan(self) -> NDArray[Any]:
        """The voxels of the scan (its first channel), (z, y, x); empty if it could not be shown."""
        if not self.images:
            return np.empty((0, 0, 0), np.int16)
        data = self.images[0].data
        return np.asarray(data if data.ndim == 3 else data[0])

    @property
    def is_ct(self) -> bool:
        """Whether the scan's values are Hounsfield units."""
        return bool(self.images) and self.images[0].metadata[ORIGIN_KEY].modality == "ct"

    @property
    def spacing(self) -> Steps:
        """Voxel spacing (z, y, x) in mm as shown."""
        scale = self.labels[0].scale
        return float(scale[-3]), float(scale[-2]), float(scale[-1])

    @property
    def chosen(self) -> Structure | None:
        """The structure that is painted with."""
        for structure in self.structures:
            layer = self.labels[structure.layer]
            if layer in self._viewer.layers.selection and layer.selected_label == structure.value:
                return structure
        return None

    def states(self) -> tuple[LayerState, ...]:
        """Return the labels as they are now, not copied."""
        return tuple(state_of(layer) for layer in self.labels)

    def choose(self, structure: Structure) -> None:
        """Paint with a structure from now on; a tool that is already in hand stays."""
        layer = self.labels[structure.layer]
        self._viewer.layers.selection.active = layer
        layer.selected_label = structure.value
        if str(layer.mode) in ("pan_zoom", "pick", "erase"):
            layer.mode = "paint"

    def apply(self, edit: Edit, structure: Structure) -> bool:
        """Apply an edit as one undoable step; return whether it still fits (the user may have painted meanwhile)."""
        layer = self.labels[structure.layer]
        if not edit.count:
            return True
        now = layer.data[edit.indices]
        if not np.isin(now, (0, structure.value)).all():
            return False
        layer.data_setitem(edit.indices, edit.values)
        layer.refresh()
        return True

    def hold(self, held: bool) -> None:
        """Put the tools away while a file is written, or take them up again; what can be undone stays."""
        if held:
            self._tools = [str(layer.mode) for layer in self.labels]
        for layer, tool in zip(self.labels, self._tools, strict=True):
            layer.mode = "pan_zoom" if held else tool

    def limit_brush(self, limits: tuple[float, float] | None) -> None:
        """Paint only where the scan lies between two values; None: anywhere."""
        for brush in self.brushes:
            brush.limits = limits

    def world_of(self, index: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
        """Return where a voxel index (z, y, x) of the scan's file lies in napari's world."""
        layer = self.labels[0]
        origin: LayerOrigin = layer.metadata[ORIGIN_KEY]
        patient = origin.geometry.affine @ (*index, 1.0)
        return np.asarray(np.linalg.solve(np.reshape(origin.turn, (3, 3)), patient[:3]))

    def go_to(self, centre: Sequence[float] | NDArray[Any]) -> None:
        """Show the slices through a place of the world, in the middle of the canvas; the zoom stays."""
        dims = self._viewer.dims
        dims.set_point(range(dims.ndim - 3, dims.ndim), [float(one) for one in centre])
        camera = self._viewer.scene.camera
        shown = [axis - (dims.ndim - 3) for axis in dims.displayed if axis >= dims.ndim - 3]
        middle = [float(centre[axis]) for axis in shown]
        camera.center = tuple(([0.0] * (3 - len(middle))) + middle)

    def remove(self) -> None:
        """Take the layers of this case out of the viewer, and nothing else."""
        self._let_go()
        for layer in (*self.labels, *self.images):
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def hand_over(self, new: OpenCase) -> bool:
        """Show another case in the layers of this one, which costs a tenth of new layers; False if they do not fit."""
        pairs = [(self.images, new.images), (self.labels, new.labels)]
        fitting = all(
            len(mine) == len(theirs)
            and all(
                old in self._viewer.layers and old.ndim == one.ndim and old.dtype == one.dtype
                for old, one in zip(mine, theirs, strict=True)
            )
            for mine, theirs in pairs
        )
        if not fitting:
            return False
        self._let_go()
        for mine, theirs in pairs:
            for old, one in zip(mine, theirs, strict=True):
                _take_over(old, one)
        new.images, new.labels = self.images, self.labels
        return True

    def leave(self) -> None:
        """Let the layers stay, as any other layers are, and listen to them no more."""
        self._let_go()

    def _let_go(self) -> None:
        if self._removed in self._viewer.layers.events.removed.callbacks:
            self._viewer.layers.events.removed.disconnect(self._removed)
        for brush in self.brushes:
            brush.close()
        self.brushes = []
        for layer in self.labels:
            for name in _HINTS:
                getattr(layer.events, name).disconnect(self._hint)

    def _fits(self, layer: Any) -> bool:
        return bool(self.scan.shape == layer.data.shape)

    def _choose_tools(self) -> None:
        biggest = max(self.structures, key=lambda one: self.proposal.volumes_ml.get(one.name, 0.0), default=None)
        for layer in self.labels:
            layer.brush_size = _BRUSH
        self._viewer.layers.selection.active = self.labels[0]
        if self.decided:
            return
        if biggest is not None:
            self.choose(biggest)

    def _hint(self, event: Any = None) -> None:
        self.touched.emit()

    def _removed(self, event: Any) -> None:
        if event.value in self.labels:
            try:
                self.left.emit()
            except RuntimeError:
                # With PySide6 a closed window goes before its layers do, and takes this along: nobody listens.
                return


def _take_over(old: Any, new: Any) -> None:
    """Let a layer show what another one holds; a window the user set for CT stays."""
    old.name, old.data, old.metadata = new.name, new.data, new.metadata
    old.affine, old.scale, old.translate = new.affine, new.scale, new.translate
    if hasattr(old, "contrast_limits"):
        old.contrast_limits_range = new.metadata.get(REACH_KEY, new.contrast_limits_range)
        if new.metadata[ORIGIN_KEY].modality != "ct":
            old.contrast_limits = new.contrast_limits
        return
    # An undo must not bring strokes of another case: napari forgets them with the right to paint.
    old.editable = False
    old.editable = True
    old.colormap, old.features = new.colormap, new.features
