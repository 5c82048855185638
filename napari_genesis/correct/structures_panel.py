"""The structures of the open case: colour, name, volume now and against the proposal; a click paints with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from genesis_core.volumes.label_volume import Structure
from napari_genesis.apply.structure_rows import StructureRows

# Alt with a digit: digits alone are napari's tools.
_KEYS = 9
MINUS = "\N{MINUS SIGN}"


class StructuresPanel(StructureRows):
    """chosen(Structure): a row was clicked, or Return pressed on it."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(("structure", "ml", "change"), parent)
        self.structures: tuple[Structure, ...] = ()
        self.cellClicked.connect(lambda row, _: self.chosen.emit(self.structures[row]))
        self.cellActivated.connect(lambda row, _: self.chosen.emit(self.structures[row]))

    def show_structures(self, structures: Sequence[Structure]) -> None:
        """List structures; their volumes are not known yet."""
        self.structures = tuple(structures)
        self.setRowCount(len(self.structures))
        for row, one in enumerate(self.structures):
            key = f" Alt+{row + 1}." if row < _KEYS else ""
            self.show_row(row, one.name, one.colour, ("…", ""), f"Paint with {one.name} (number {one.value}).{key}")
        self.clearSelection()
        self.updateGeometry()

    def show_volumes(self, ml: Mapping[str, float], proposed: Mapping[str, float]) -> None:
        """Show the volume of each structure, and how it differs from the proposal's."""
        for row, one in enumerate(self.structures):
            now, before = ml.get(one.name, 0.0), proposed.get(one.name, 0.0)
            volume, change = self.item(row, 1), self.item(row, 2)
            assert volume is not None
            assert change is not None
            volume.setText(_ml(now) if now else "none")
            different = abs(now - before) > 5e-4 * max(now, before)
            change.setText(f"{'+' if now > before else MINUS}{_ml(abs(now - before))}" if different else "")

    def show_chosen(self, structure: Structure | None) -> None:
        """Mark the structure that is painted with, without a signal."""
        if structure is None:
            self.clearSelection()
        elif structure in self.structures:
            self.selectRow(self.structures.index(structure))


def _ml(value: float) -> str:
    """Return a volume with four digits, or all of them before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
