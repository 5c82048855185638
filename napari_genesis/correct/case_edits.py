"""What is computed of the open case beside the window: volumes as one paints, ranges of values, cleaning, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.volumes.label_volume import Structure
from napari_genesis.correct.label_edits import Change, Edit, edit, usual_range, volumes_ml
from napari_genesis.correct.open_case import OpenCase
from napari_genesis.studio.computing import LatestOnly

# Milliseconds after a stroke.
_COUNT_AFTER = 300


class CaseEdits(QObject):
    """measured(ml by structure). ranged((low, high)): the values of a structure. said(text): what an edit did.

    busy_changed(busy): an edit is computed, or no more. `lanes` are its threads, to be closed with the dock.
    """

    measured = Signal(object)
    ranged = Signal(object)
    said = Signal(str)
    busy_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._case: OpenCase | None = None
        self._counting = LatestOnly("genesis-review-volumes", self)
        self._editing = LatestOnly("genesis-review-edits", self)
        self.lanes = (self._counting, self._editing)
        self._counting.finished.connect(self.measured)
        self._editing.finished.connect(lambda apply: apply())
        self._editing.failed.connect(self._failed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COUNT_AFTER)
        self._timer.timeout.connect(self.measure)

    @property
    def busy(self) -> bool:
        """Whether anything is computed."""
        return self._timer.isActive() or any(lane.busy for lane in self.lanes)

    def begin(self, case: OpenCase | None) -> None:
        """Work on another case from now on; nothing comes of what was asked for the one before."""
        for lane in self.lanes:
            lane.discard()
        self._timer.stop()
        self._case = case
        self.busy_changed.emit(False)
        if case is not None:
            self.measure()

    def touched(self) -> None:
        """Measure again, soon."""
        if not self._timer.isActive():
            self._timer.start()

    def measure(self) -> None:
        """Measure all structures now."""
        case = self._case
        if case is None:
            return
        arrays = [np.asarray(layer.data) for layer in case.labels]
        structures, spacing = case.structures, case.spacing

        def count() -> dict[str, float]:
            found = [volumes_ml(array, spacing) for array in arrays]
            return {one.name: found[one.layer].get(one.value, 0.0) for one in structures}

        self._counting.submit(count)

    def find_range(self) -> None:
        """Find the values between which most of the chosen structure lies."""
        case = self._case
        structure = self._structure()
        if case is None or structure is None:
            return
        labels, scan = np.asarray(case.labels[structure.layer].data), case.scan
        if scan.shape != labels.shape:
            return

        def find() -> Callable[[], None]:
            limits = usual_range(scan, labels, structure.value)
            if limits is None:
                return lambda: self.said.emit(f"Nothing of {structure.name} is drawn, so it has no usual values.")
            return lambda: self.ranged.emit(limits)

        self._editing.submit(find)

    def edit(self, change: Change, margin: float) -> None:
        """Apply a change to the chosen structure, as one step that can be undone."""
        case, structure = self._case, self._structure()
        if case is None or structure is None or case.decided:
            return
        labels, spacing = np.asarray(case.labels[structure.layer].data), case.spacing
        self.busy_changed.emit(True)

        def work() -> Callable[[], None]:
            found = edit(labels, structure, spacing, change, margin)
            return lambda: self._apply(case, found, structure)

        self._editing.submit(work)

    def _structure(self) -> Structure | None:
        structure = None if self._case is None else self._case.chosen
        if self._case is not None and structure is None:
            self.said.emit("Choose a structure of the list first.")
        return structure

    def _apply(self, case: OpenCase, found: Edit, structure: Structure) -> None:
        self.busy_changed.emit(False)
        if case is not self._case:
            return
        if case.apply(found, structure):
            self.said.emit(f"{found.said} Ctrl+Z brings it back." if found.count else found.said)
        else:
            self.said.emit("The labels were painted on meanwhile; nothing was changed. Try again.")

    def _failed(self, problem: Any) -> None:
        self.busy_changed.emit(False)
        words = "there is not enough memory" if isinstance(problem, MemoryError) else str(problem)
        self.said.emit(f"Not done: {words}.")
