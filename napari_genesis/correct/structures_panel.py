"""The structures of the open case: colour, name, volume now and against the proposal; a click paints with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from genesis_core.volumes.label_volume import Structure

_SWATCH = 12
_ROW = 22
# Alt with a digit: digits alone are napari's tools.
_KEYS = 9
MINUS = "\N{MINUS SIGN}"


class StructuresPanel(QTableWidget):
    """chosen(Structure): a row was clicked. As high as its rows: what lies around it scrolls."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.structures: tuple[Structure, ...] = ()
        self.setAccessibleName("structures")
        self.setHorizontalHeaderLabels(["structure", "ml", "change"])
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
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        columns.setHighlightSections(False)
        self.cellClicked.connect(lambda row, _: self.chosen.emit(self.structures[row]))
        self.cellActivated.connect(lambda row, _: self.chosen.emit(self.structures[row]))

    def show_structures(self, structures: Sequence[Structure]) -> None:
        """List structures; their volumes are not known yet."""
        self.structures = tuple(structures)
        self.setRowCount(len(self.structures))
        for row, one in enumerate(self.structures):
            name = QTableWidgetItem(one.name)
            if one.colour is not None:
                picture = QPixmap(_SWATCH, _SWATCH)
                picture.fill(QColor(*one.colour))
                name.setIcon(QIcon(picture))
            key = f" Alt+{row + 1}." if row < _KEYS else ""
            for column, item in enumerate((name, QTableWidgetItem("…"), QTableWidgetItem(""))):
                item.setToolTip(f"Paint with {one.name} (number {one.value}).{key}")
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)
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

    def sizeHint(self) -> QSize:  # noqa: N802
        header = self.horizontalHeader()
        top = header.sizeHint().height() if header is not None else _ROW
        return QSize(200, top + _ROW * max(1, self.rowCount()) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())


def _ml(value: float) -> str:
    """Return a volume with four digits, or all of them before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
