"""A brush that paints only where the scan lies between two values: what a stroke drew elsewhere is taken back.

Each stroke, polygon and fill is filtered when napari hands it to its history, in that very entry of it: one undo takes
back what was kept, one redo brings it again. Erasing is never held back, since it is what mends a wrong range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ThresholdBrush:
    """Filters the painting of one Labels layer by one scan of the same shape, while `limits` are set."""

    def __init__(self, layer: Any, scan: NDArray[Any]) -> None:
        self._layer = layer
        self._scan = scan
        self.limits: tuple[float, float] | None = None
        # What napari has noted in its history, and writes into the voxels next (a fill, a polygon).
        self._waiting: list[Any] | None = None
        layer.events.paint.connect(self._painted)
        layer.events.labels_update.connect(self._written)

    def close(self) -> None:
        """Filter nothing any more."""
        self._layer.events.paint.disconnect(self._painted)
        self._layer.events.labels_update.disconnect(self._written)

    def _painted(self, event: Any) -> None:
        if self.limits is None:
            return
        if self._is_written(event.value[-1]):
            self._filter(event.value)
        else:
            self._waiting = event.value

    def _written(self, event: Any) -> None:
        item, self._waiting = self._waiting, None
        if item is not None and self.limits is not None:
            self._filter(item)

    def _is_written(self, atom: Any) -> bool:
        if len(atom) != 4:
            return True
        place, mask, _, new = atom
        voxels = np.asarray(self._layer.data[place])
        return bool((voxels if mask is None else voxels[mask]).flat[0] == new)

    def _filter(self, item: list[Any]) -> None:
        kept, changed = [], False
        # From the last to the first, as an undo does: a voxel may have been painted twice in one stroke.
        for atom in reversed(item):
            filtered, anything = self._filtered(atom)
            changed |= anything
            if filtered is not None:
                kept.append(filtered)
        if changed:
            item[:] = reversed(kept)
            self._layer.refresh()

    def _filtered(self, atom: Any) -> tuple[Any, bool]:
        """Take back what lies outside the limits; return what is left of an entry (None: nothing), and if it changed.

        An entry is (slices, mask or None, old values, new value), or (indices, old values, new values) where a whole
        edit was made at once: those are no strokes, and stay.
        """
        if len(atom) != 4 or atom[3] == self._layer.colormap.background_value:
            return atom, False
        place, mask, old, _ = atom
        assert self.limits is not None
        low, high = self.limits
        values = self._scan[place]
        outside = (values < low) | (values > high)
        painted = np.ones(values.shape, bool) if mask is None else mask
        back = painted & outside
        if not back.any():
            return atom, False
        before = np.asarray(old).reshape(values.shape)[painted] if mask is None else np.asarray(old)
        wrong = back[painted]
        region = np.asarray(self._layer.data[place])
        region[back] = before[wrong]
        self._layer.data[place] = region
        left = painted & ~outside
        if not left.any():
            return None, True
        return atom._replace(mask=left, old_values=before[~wrong]), True
