"""A table with a line for each structure: its colour and name, then what is measured. As high as its lines."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

SWATCH = 12
ROW = 22


class StructureRows(QTableWidget):
    """Lines are chosen as a whole, and nothing scrolls: what lies around it does. It is left by Tab."""

    def __init__(self, columns: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(0, len(columns), parent)
        self.setAccessibleName("structures")
        self.setHorizontalHeaderLabels(list(columns))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setIconSize(QSize(SWATCH, SWATCH))
        for policy in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, head = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert head is not None
        rows.hide()
        rows.setDefaultSectionSize(ROW)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        head.setHighlightSections(False)

    def show_row(
        self, row: int, name: str, colour: Sequence[int] | None, measures: Sequence[str], tip: str
    ) -> list[QTableWidgetItem]:
        """Fill a line; measures: one for each further column. Return its items."""
        items = [QTableWidgetItem(name), *map(QTableWidgetItem, measures)]
        if colour is not None:
            items[0].setIcon(swatch(colour))
        for column, item in enumerate(items):
            item.setToolTip(tip)
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
        return items

    def sizeHint(self) -> QSize:  # noqa: N802
        head = self.horizontalHeader()
        top = head.sizeHint().height() if head is not None else ROW
        return QSize(200, top + ROW * max(1, self.rowCount()) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())


def swatch(colour: Sequence[int]) -> QIcon:
    """Return a square of a colour, red, green and blue each 0 to 255."""
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(*colour))
    return QIcon(picture)
