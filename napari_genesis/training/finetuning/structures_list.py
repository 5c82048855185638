"""The structures of a labelled folder in their colours, with how often each is drawn: ticked ones are learnt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.labelled_check import DrawnStructure

SWATCH = 12
# What the core calls a number that nobody has named.
_NUMBER_ONLY = re.compile(r"label (\d+)")
_NAMES_HINT = "Numbers without names: a double click, or F2, names one. Names go with the model, not into the folder."
_SAME_NAME = "{} is the name of another structure already."
_ROW = 22
# More rows than these scroll inside the list, which would else push everything else out of sight.
_MOST_ROWS = 8


class StructuresList(QWidget):
    """ticked(names): the user ticked or unticked structures; all that are ticked, in the order of the folder.

    renamed(names): the user named numbers that have no names in the folder; all of them by number, empty for none.
    """

    ticked = Signal(object)
    renamed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._structures: tuple[DrawnStructure, ...] = ()
        # As they are shown: the user's own, where the folder has numbers alone.
        self._names: tuple[str, ...] = ()
        self.table = _Table()
        self.table.itemChanged.connect(self._changed)
        self.head = QLabel("structures")
        self.all = _link("all", "Learn every structure.")
        self.none = _link("none", "Untick all, to tick the few that you want.")
        self.all.clicked.connect(lambda: self._tick(True))
        self.none.clicked.connect(lambda: self._tick(False))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.head, 1)
        row.addWidget(self.all)
        row.addWidget(self.none)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.table)
        self.hint = SmallLabel()
        layout.addWidget(self.hint)

    @property
    def names(self) -> tuple[str, ...]:
        """All structures that are listed, as they are called here."""
        return self._names

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all structures, where the folder has no names for them; else none."""
        found = [_NUMBER_ONLY.fullmatch(one.name) for one in self._structures]
        return tuple(int(one[1]) for one in found if one) if all(found) else ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """Those that are ticked."""
        rows = range(self.table.rowCount())
        return tuple(
            name
            for name, row in zip(self._names, rows, strict=True)
            if (item := self.table.item(row, 0)) is not None and item.checkState() == Qt.CheckState.Checked
        )

    def show_structures(
        self, structures: Sequence[DrawnStructure], chosen: Sequence[str], names: Mapping[int, str]
    ) -> None:
        """List structures. chosen: those that are ticked, as they are called here; empty: all. names: of numbers."""
        self._structures = tuple(structures)
        self._names = tuple(one.name for one in structures)
        numbers = self.numbers
        if numbers:
            self._names = tuple(names.get(number, name) for number, name in zip(numbers, self._names, strict=True))
        known = set(chosen) & set(self._names) or set(self._names)
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(structures))
            for row, one in enumerate(structures):
                called = self._names[row]
                name = QTableWidgetItem(called)
                flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable
                name.setFlags(flags | Qt.ItemFlag.ItemIsEditable if numbers else flags)
                name.setCheckState(Qt.CheckState.Checked if called in known else Qt.CheckState.Unchecked)
                name.setIcon(swatch(one.colour))
                cases = QTableWidgetItem(f"{one.cases} of {one.looked_for}")
                volume = QTableWidgetItem("" if one.median is None else f"{one.median:,.3g} ml")
                other = "" if called == one.name else f" ({one.name} of the folder)"
                tip = f"{called}{other}: drawn in {one.cases} of {one.looked_for} cases that it was looked for in"
                tip += "" if one.median is None else f", {one.median:,.3g} ml (median)"
                for column, item in enumerate((name, cases, volume)):
                    item.setToolTip(f"{tip}.")
                    if column:
                        item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    self.table.setItem(row, column, item)
        self.setVisible(bool(structures))
        self.hint.show_text(_NAMES_HINT if numbers else "")
        self.all.setVisible(len(structures) > 1)
        self.none.setVisible(len(structures) > 1)
        self.table.updateGeometry()
        self._count()

    def _count(self) -> None:
        chosen, of_all = len(self.chosen), len(self._structures)
        self.head.setText(f"structures: {of_all}" if chosen == of_all else f"structures: {chosen} of {of_all}")

    def _tick(self, on: bool) -> None:
        with QSignalBlocker(self.table):
            for row in range(self.table.rowCount()):
                item = self.table.item(row, 0)
                assert item is not None
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        viewport = self.table.viewport()
        assert viewport is not None
        viewport.update()
        self._tell()

    def _changed(self, item: QTableWidgetItem) -> None:
        row, text = item.row(), item.text().strip()
        if item.column() or item.text() == self._names[row]:
            self._tell()
            return
        # Emptied: as the folder has it.
        name = text or self._structures[row].name
        if name in self._names and name != self._names[row]:
            self.hint.show_text(_SAME_NAME.format(name))
            name = self._names[row]
        else:
            self.hint.show_text(_NAMES_HINT)
        with QSignalBlocker(self.table):
            item.setText(name)
        if name == self._names[row]:
            return
        self._names = (*self._names[:row], name, *self._names[row + 1 :])
        named = self._names != tuple(one.name for one in self._structures)
        # A list of names is whole, or what it leaves out would be no structure.
        self.renamed.emit(dict(zip(self.numbers, self._names, strict=True)) if named else {})

    def _tell(self) -> None:
        self._count()
        self.ticked.emit(self.chosen)


class _Table(QTableWidget):
    """As high as its rows, up to a few."""

    def __init__(self) -> None:
        super().__init__(0, 3)
        self.setAccessibleName("structures")
        triggers = QAbstractItemView.EditTrigger
        # Only items that may be edited are.
        self.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setDefaultSectionSize(_ROW)
        columns.hide()
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            columns.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, _ROW * min(self.rowCount(), _MOST_ROWS) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(100, self.sizeHint().height())


def swatch(colour: Sequence[int]) -> QIcon:
    """Return a square of a colour, as lists of structures show it."""
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(*colour))
    return QIcon(picture)


def _link(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAutoRaise(True)
    return button
