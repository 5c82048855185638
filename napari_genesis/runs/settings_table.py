"""The settings in which the selected runs differ, and their figures, as a table that can be copied as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from genesis_core.durations import duration
from genesis_core.errors import GenesisError
from genesis_core.studies.run_comparison import Difference, as_text, differences, flat_settings
from napari_genesis.runs.cells import TASKS
from napari_genesis.runs.curves_plot import COLOURS
from napari_genesis.runs.listing import RunSummary
from napari_genesis.runs.table_model import Index, dot

_ROW_HEIGHT = 20
_KEY_WIDTH, _VALUE_WIDTH = 140, 96
_NOWHERE = QModelIndex()


@dataclass(frozen=True)
class Comparison:
    """names: of the runs. figures: rows of results. settings: rows that differ. trouble: what could not be read."""

    names: tuple[str, ...]
    figures: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    trouble: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole table, tab-separated."""
        return as_text(self.names, (*self.figures, *self.settings))


def compare(runs: Sequence[RunSummary]) -> Comparison:
    """Compare runs; for a thread. One whose settings cannot be read stands there without any."""
    settings, trouble = [], []
    for run in runs:
        try:
            settings.append(flat_settings(run.path))
        except (GenesisError, OSError) as problem:
            settings.append({})
            trouble.append(str(problem))
    figures = [
        Difference("best", tuple("–" if run.figure is None else run.figure.text for run in runs)),
        Difference("state", tuple(run.word for run in runs)),
        Difference("steps", tuple(f"{run.step:,}" for run in runs)),
        Difference("time", tuple(duration(run.seconds) if run.seconds >= 1 else "–" for run in runs)),
    ]
    if len({run.task for run in runs}) > 1:
        figures.append(Difference("task", tuple(TASKS.get(run.task, "?") for run in runs)))
    names = tuple(run.name for run in runs)
    return Comparison(names, tuple(figures), tuple(differences(settings)), tuple(trouble))


class SettingsTable(QWidget):
    """Shows one comparison. Its height follows the number of rows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = _Model(self)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setAccessibleName("settings that differ")
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # As high as its rows: what is around it scrolls.
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.setWordWrap(False)
        self.view.setShowGrid(False)
        self.view.setTabKeyNavigation(False)
        numbers, headings = self.view.verticalHeader(), self.view.horizontalHeader()
        assert numbers is not None
        assert headings is not None
        numbers.hide()
        numbers.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        numbers.setMinimumSectionSize(_ROW_HEIGHT)
        numbers.setDefaultSectionSize(_ROW_HEIGHT)
        headings.setDefaultSectionSize(_VALUE_WIDTH)
        headings.setHighlightSections(False)
        headings.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.copy_button = QPushButton("Copy table")
        self.copy_button.setToolTip("As text with tabs: a spreadsheet takes it as it is.")
        self.copy_button.clicked.connect(self.copy)
        self._comparison: Comparison | None = None
        row = QHBoxLayout()
        row.addWidget(self.words, 1)
        row.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.view)
        layout.addLayout(row)

    def show_comparison(self, comparison: Comparison) -> None:
        """Show it."""
        if comparison == self._comparison:
            # A refresh shall not take away what is selected.
            return
        self._comparison = comparison
        self.model.show_comparison(comparison)
        self.view.setColumnWidth(0, _KEY_WIDTH)
        headings = self.view.horizontalHeader()
        assert headings is not None
        # With room for the bar below, so that it hides no row.
        self.view.setFixedHeight(self.model.rowCount() * _ROW_HEIGHT + headings.sizeHint().height() + 20)
        count = len(comparison.settings)
        differ = "All settings are the same." if not count else f"{count} settings differ."
        differ = "1 setting differs." if count == 1 else differ
        self.words.setText("\n".join([*comparison.trouble, differ]))

    def copy(self) -> None:
        """Put the table on the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None and self._comparison is not None:
            clipboard.setText(self._comparison.text)


class _Model(QAbstractTableModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Difference, ...] = ()
        self._names: tuple[str, ...] = ()
        self._figures = 0

    def show_comparison(self, comparison: Comparison) -> None:
        self.beginResetModel()
        self._rows = (*comparison.figures, *comparison.settings)
        self._names, self._figures = comparison.names, len(comparison.figures)
        self.endResetModel()

    def rowCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _NOWHERE) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self._names) + 1

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Vertical:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return "setting" if section == 0 else self._names[section - 1]
        if role == Qt.ItemDataRole.DecorationRole and section:
            # As its curve has it.
            return dot(COLOURS[section - 1]) if section <= len(COLOURS) else None
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self._rows[index.row()]
        text = row.key if index.column() == 0 else row.values[index.column() - 1]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return text
        if role == Qt.ItemDataRole.FontRole and index.row() < self._figures:
            font = QApplication.font()
            font.setBold(True)
            return font
        return None
