"""The structures that were found, with their volumes; choosing one leads to the slice of its middle."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_genesis.apply.layer_work import SegmentedLayer
from napari_genesis.apply.structure_rows import StructureRows


class StructuresTable(StructureRows):
    """gone_to(name): a row was clicked, or Return pressed on it."""

    gone_to = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(("structure", "ml"), parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cellClicked.connect(lambda row, _: self._go(row))
        self.cellActivated.connect(lambda row, _: self._go(row))

    def show_found(self, found: SegmentedLayer) -> None:
        """List the structures in the card's order; those that were not found stand greyed, with nothing to go to."""
        segmentation = found.segmentation
        structures = segmentation.labels.structures
        self.setRowCount(len(structures))
        for row, one in enumerate(structures):
            there = one.name in found.centres
            ml = f"{segmentation.volumes_ml[one.name]:,.4g}" if there else "not found"
            voxels = f"{segmentation.voxels[one.name]:,} voxels, number {one.value}. Click: go to its middle."
            for item in self.show_row(row, one.name, one.colour, (ml,), voxels if there else "Not found."):
                if not there:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
        self.clearSelection()
        self.updateGeometry()

    def _go(self, row: int) -> None:
        item = self.item(row, 0)
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.gone_to.emit(item.text())
