"""A table of texts to read, each whole: rows are as high as their texts need, measured when they come into view.

Measuring thousands of them beforehand would hold up the window for a second, and again whenever it is resized.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget


class ReadingTable(QTableWidget):
    """Shows rows of texts. widths: of the first columns, in pixels. stretched: the column that takes the rest."""

    def __init__(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        widths: Sequence[int],
        *,
        stretched: int,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(len(rows), len(headings), parent)
        self.setHorizontalHeaderLabels(list(headings))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setWordWrap(True)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.setItem(row, column, item)
        for column, width in enumerate(widths):
            self.setColumnWidth(column, width)
        columns, numbers, bar = self.horizontalHeader(), self.verticalHeader(), self.verticalScrollBar()
        assert columns is not None
        assert numbers is not None
        assert bar is not None
        columns.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
        numbers.setVisible(False)
        columns.sectionResized.connect(self._fit_rows)
        bar.valueChanged.connect(self._fit_rows)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit what has come into view, and what is narrower or wider."""
        super().resizeEvent(event)
        self._fit_rows()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Fit what is seen for the first time."""
        super().showEvent(event)
        self._fit_rows()

    def _fit_rows(self) -> None:
        port, bar = self.viewport(), self.verticalScrollBar()
        if port is None or bar is None or not self.isVisible():
            return
        at_end = 0 < bar.value() == bar.maximum()
        row = max(self.rowAt(0), 0)
        # From the top: those below move with each that changes.
        while row < self.rowCount() and self.rowViewportPosition(row) < port.height():
            self.resizeRowToContents(row)
            row += 1
        if at_end:
            # As the rows grow, the last ones go out of view.
            self.updateGeometries()
            self.scrollToBottom()
