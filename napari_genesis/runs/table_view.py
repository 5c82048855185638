"""The table of runs with its keys, its headings that can be sorted, widened and hidden, and its menu."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QPoint, QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView, QWidget

from napari_genesis.runs.cells import COLUMNS
from napari_genesis.runs.kept import KeptColumns
from napari_genesis.runs.table_model import Row, RunTable

_ROW_HEIGHT = 22
# A burst of selections, as of Shift with an arrow key held down, is one.
_SELECTED_AFTER = 60
# The columns beside the name that are always in view, and what a name has around it, in pixels.
_IN_VIEW, _AROUND = range(1, 5), 12


class RunsView(QTableView):
    """selected(): other runs are. opened(), delete_wanted(), refresh_wanted(): Enter or a double click, Delete, F5.

    menu_wanted(place): a right click, or the menu key, on the selected runs. arranged(): columns were changed.
    """

    selected = Signal()
    opened = Signal()
    delete_wanted = Signal()
    refresh_wanted = Signal()
    menu_wanted = Signal(object)
    arranged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = RunTable(self)
        self.setModel(self.table)
        self.setAccessibleName("runs")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._ask_menu)
        self.doubleClicked.connect(lambda _: self.opened.emit())
        numbers, headings = self.verticalHeader(), self.horizontalHeader()
        assert numbers is not None
        assert headings is not None
        self.headings = headings
        numbers.hide()
        # Rows of one height: none is measured, whatever the number.
        numbers.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        numbers.setMinimumSectionSize(_ROW_HEIGHT)
        numbers.setDefaultSectionSize(_ROW_HEIGHT)
        self.headings.setHighlightSections(False)
        self.headings.setSectionsMovable(True)
        self.headings.setMinimumSectionSize(36)
        self.headings.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.headings.customContextMenuRequested.connect(self._choose_columns)
        self.headings.setToolTip("Click to sort, drag to move or widen; a right click chooses the columns.")
        self.headings.setSortIndicatorShown(True)
        self.headings.setSectionsClickable(True)
        self.headings.sectionClicked.connect(self._sort_by)
        # The name is as wide as it needs, until somebody says how wide it shall be.
        self._fits_name, self._fitting = True, False
        self.headings.sectionResized.connect(self._resized)
        self.headings.sectionMoved.connect(lambda *_: self.arranged.emit())
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SELECTED_AFTER)
        self._timer.timeout.connect(self.selected)
        self._sorted = (0, Qt.SortOrder.AscendingOrder)
        selection = self.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._timer.start())

    @property
    def chosen(self) -> list[Row]:
        """The selected runs, in the order they are shown."""
        selection = self.selectionModel()
        assert selection is not None
        return [self.table.rows[number] for number in sorted({one.row() for one in selection.selectedRows()})]

    @property
    def is_settling(self) -> bool:
        """Whether a selection was made that nobody was told of yet."""
        return self._timer.isActive()

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show runs; what is selected, and where the table is scrolled to, stays."""
        self.table.set_rows(rows)
        self._fit_name()

    def choose(self, paths: Sequence[Path]) -> None:
        """Select runs, those of them that are shown, and scroll to the first."""
        selection = self.selectionModel()
        assert selection is not None
        rows = [number for path in paths if (number := self.table.row_of(path)) >= 0]
        chosen = QItemSelection()
        for row in rows:
            chosen.select(self.table.index(row, 0), self.table.index(row, len(COLUMNS) - 1))
        if rows:
            selection.setCurrentIndex(self.table.index(rows[0], 0), QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(self.table.index(rows[0], 0))
        selection.select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    # Columns.

    def arrange(self, kept: KeptColumns) -> None:
        """Arrange the columns as they were."""
        with QSignalBlocker(self.headings):
            for number, column in enumerate(COLUMNS):
                self.setColumnWidth(number, kept.widths.get(column.name, column.width))
                self.setColumnHidden(number, not kept.shows(column.name, column.shown))
            for place, name in enumerate(kept.order):
                logical = next((number for number, column in enumerate(COLUMNS) if column.name == name), None)
                if logical is not None:
                    self.headings.moveSection(self.headings.visualIndex(logical), place)
        self._fits_name = COLUMNS[0].name not in kept.widths
        names = [column.name for column in COLUMNS]
        self._sort(names.index(kept.sorted_by) if kept.sorted_by in names else 0, falls=kept.falls)

    def arrangement(self) -> KeptColumns:
        """Return how the columns are arranged."""
        order = sorted(range(len(COLUMNS)), key=self.headings.visualIndex)
        hidden = [self.isColumnHidden(number) for number in range(len(COLUMNS))]
        widths = {
            column.name: self.columnWidth(number)
            for number, column in enumerate(COLUMNS)
            # A hidden one has no width; it gets the usual one when it is shown.
            if not hidden[number] and self.columnWidth(number) != column.width and not (self._fits_name and number == 0)
        }
        column, direction = self._sorted
        return KeptColumns(
            shown=tuple(COLUMNS[number].name for number in order if not hidden[number]),
            hidden=tuple(COLUMNS[number].name for number in order if hidden[number]),
            order=tuple(COLUMNS[number].name for number in order),
            widths=widths,
            sorted_by=COLUMNS[column].name,
            falls=direction == Qt.SortOrder.DescendingOrder,
        )

    def _fit_name(self) -> None:
        """Give the name what the columns that are always in view leave, as far as it needs it."""
        port = self.viewport()
        if not self._fits_name or port is None:
            return
        metrics = self.fontMetrics()
        needed = max((metrics.horizontalAdvance(row.run.name) for row in self.table.rows), default=0) + _AROUND
        room = port.width() - sum(self.columnWidth(number) for number in _IN_VIEW)
        self._fitting = True
        self.setColumnWidth(0, max(COLUMNS[0].width, min(needed, room)))
        self._fitting = False

    def _resized(self, column: int, *_: int) -> None:
        if self._fitting:
            return
        if column == 0:
            self._fits_name = False
        self._fit_name()
        self.arranged.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Let long names have a wider dock's room."""
        super().resizeEvent(event)
        self._fit_name()

    def _sort_by(self, column: int) -> None:
        before, direction = self._sorted
        turned = direction == Qt.SortOrder.AscendingOrder
        self._sort(column, falls=turned if column == before else COLUMNS[column].falls)
        self.arranged.emit()

    def _sort(self, column: int, *, falls: bool) -> None:
        self._sorted = (column, Qt.SortOrder.DescendingOrder if falls else Qt.SortOrder.AscendingOrder)
        self.headings.setSortIndicator(*self._sorted)
        self.table.sort(*self._sorted)

    def _choose_columns(self, place: QPoint) -> None:
        menu = self.columns_menu()
        menu.exec(self.headings.mapToGlobal(place))
        menu.deleteLater()

    def columns_menu(self) -> QMenu:
        """Return a menu of all columns; the run's name is always there."""
        menu = QMenu(self)
        for number, column in enumerate(COLUMNS[1:], start=1):
            action = menu.addAction(column.heading)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(number))
            action.toggled.connect(lambda on, number=number: self._show_column(number, on))
        return menu

    def _show_column(self, number: int, on: bool) -> None:
        self.setColumnHidden(number, not on)
        if on and self.columnWidth(number) < self.headings.minimumSectionSize():
            self.setColumnWidth(number, COLUMNS[number].width)
        self.arranged.emit()

    # Keys and mouse.

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        wanted = {
            int(Qt.Key.Key_Return): self.opened,
            int(Qt.Key.Key_Enter): self.opened,
            int(Qt.Key.Key_Delete): self.delete_wanted,
            int(Qt.Key.Key_Backspace): self.delete_wanted,
            int(Qt.Key.Key_F5): self.refresh_wanted,
        }.get(int(event.key()))
        if wanted is not None and event.modifiers() in (
            Qt.KeyboardModifier.NoModifier,
            Qt.KeyboardModifier.KeypadModifier,
        ):
            wanted.emit()
            event.accept()
        else:
            super().keyPressEvent(event)

    def _ask_menu(self, place: QPoint) -> None:
        if self.chosen:
            port = self.viewport()
            assert port is not None
            self.menu_wanted.emit(port.mapToGlobal(place))
