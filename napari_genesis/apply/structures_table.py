"""The structures that were found, with their volumes; choosing one leads to the slice of its middle."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem, QWidget

from napari_genesis.apply.layer_work import SegmentedLayer

_SWATCH = 12
_ROW = 22


class StructuresTable(QTableWidget):
    """gone_to(name): a row was clicked, or Return pressed on it. As high as its rows: what lies around it scrolls."""

    gone_to = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.setAccessibleName("structures")
        self.setHorizontalHeaderLabels(["structure", "ml"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        for policy in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(_ROW)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        columns.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        columns.setHighlightSections(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cellClicked.connect(lambda row, _: self._go(row))
        self.cellActivated.connect(lambda row, _: self._go(row))

    def show_found(self, found: SegmentedLayer) -> None:
        """List the structures in the card's order; those that were not found stand greyed, with nothing to go to."""
        labels = found.segmentation.labels
        self.setRowCount(len(labels.structures))
        for row, one in enumerate(labels.structures):
            there = one.name in found.centres
            name = QTableWidgetItem(one.name)
            ml = QTableWidgetItem(f"{found.segmentation.volumes_ml[one.name]:,.4g}" if there else "not found")
            ml.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if one.colour is not None:
                picture = QPixmap(_SWATCH, _SWATCH)
                picture.fill(QColor(*one.colour))
                name.setIcon(QIcon(picture))
            voxels = found.segmentation.voxels[one.name]
            for column, item in enumerate((name, ml)):
                item.setToolTip(
                    f"{voxels:,} voxels, number {one.value}. Click: go to its middle." if there else "Not found."
                )
                if not there:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
                self.setItem(row, column, item)
        self.clearSelection()
        self.updateGeometry()

    def sizeHint(self) -> QSize:  # noqa: N802
        header = self.horizontalHeader()
        top = header.sizeHint().height() if header is not None else _ROW
        return QSize(200, top + _ROW * self.rowCount() + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())

    def _go(self, row: int) -> None:
        item = self.item(row, 0)
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.gone_to.emit(item.text())
