"""The rows of the table of runs: which are shown, in which order. Texts are made beforehand: looking is cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor, QPainter, QPixmap

from napari_genesis.runs.cells import COLUMNS, Cell
from napari_genesis.runs.listing import RunSummary

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()
_STATE = next(number for number, column in enumerate(COLUMNS) if column.name == "state")
# Beside the word, told apart by people with any of the common colour-vision deficiencies (Okabe and Ito).
_COLOURS = {
    "running": "#56b4e9", "starting": "#56b4e9", "preparing": "#56b4e9", "stopping": "#56b4e9", "pausing": "#56b4e9",
    "finished": "#009e73", "failed": "#d55e00", "interrupted": "#d55e00", "damaged": "#d55e00", "stopped": "#e69f00",
    "paused": "#e69f00",
}  # fmt: skip
_OTHERWISE = "#999999"
_DOT = 9


@dataclass(frozen=True)
class Row:
    """A run as it is shown. state: as it is known here. search: what the filter looks through."""

    run: RunSummary
    state: str
    cells: tuple[Cell, ...]

    @property
    def search(self) -> str:
        """Every text of the row, in small letters."""
        return " ".join(cell.text for cell in self.cells).casefold()


class RunTable(QAbstractTableModel):
    """Shows rows that fit the filter, sorted. A row keeps its selection while others change, come or go."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: tuple[Row, ...] = ()
        self._rows: list[Row] = []
        self._words: list[str] = []
        self._column, self._order = 0, Qt.SortOrder.AscendingOrder
        self._dots: dict[str, QPixmap] = {}

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that are shown, in order."""
        return self._rows

    @property
    def count(self) -> int:
        """How many there are, shown or not."""
        return len(self._all)

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these runs."""
        self._all = tuple(rows)
        self._show()

    def set_filter(self, text: str) -> None:
        """Show only the runs with all these words in their texts."""
        self._words = text.casefold().split()
        self._show()

    def row_of(self, path: Path) -> int:
        """Return where a run is shown, or -1."""
        return next((number for number, row in enumerate(self._rows) if row.run.path == path), -1)

    def rowCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].heading
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[column].text
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.cells[column].tip or None
        if role == Qt.ItemDataRole.DecorationRole and column == _STATE:
            return self._dot(row.state)
        if role == Qt.ItemDataRole.TextAlignmentRole and COLUMNS[column].number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{COLUMNS[column].heading}: {row.cells[column].text}"
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; what has no value there stays last."""
        self._column, self._order = column, order
        self._show()

    def _wanted(self) -> list[Row]:
        shown = [row for row in self._all if all(word in row.search for word in self._words)]
        shown.sort(key=lambda row: row.cells[0].key)
        known = [row for row in shown if row.cells[self._column].key is not None]
        rest = [row for row in shown if row.cells[self._column].key is None]
        falls = self._order == Qt.SortOrder.DescendingOrder
        # Stable either way: equal ones stay in the order of their names.
        return sorted(known, key=lambda row: row.cells[self._column].key, reverse=falls) + rest

    def _show(self) -> None:
        before, after = self._rows, self._wanted()
        old, new = [row.run.path for row in before], [row.run.path for row in after]
        if old == new:
            self._rows = after
            changed = [number for number, row in enumerate(after) if row != before[number]]
            if changed:
                self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(COLUMNS) - 1))
            return
        self.layoutAboutToBeChanged.emit()
        self._rows = after
        at = {path: number for number, path in enumerate(new)}
        held = self.persistentIndexList()
        moved = [
            self.index(at[old[one.row()]], one.column()) if old[one.row()] in at else QModelIndex() for one in held
        ]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _dot(self, state: str) -> QPixmap:
        if state not in self._dots:
            self._dots[state] = dot(_COLOURS.get(state, _OTHERWISE))
        return self._dots[state]


def dot(colour: str) -> QPixmap:
    """Return a small disc of a colour."""
    picture = QPixmap(_DOT, _DOT)
    picture.fill(QColor(0, 0, 0, 0))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(0, 0, _DOT, _DOT)
    painter.end()
    return picture
