"""The cases of a review as a list: name, bar of uncertainty, flags in words, state; thousands of rows cost nothing.

Colours are the palette's; a state is always told by a word and a mark too, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QPainter, QPalette
from qtpy.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QWidget

from napari_genesis.correct.queue_rows import Row

_HEIGHT = 42
_BAR_WIDTH = 84
_MARKS = {"open": "", "draft": "✎ draft", "accepted": "✓ accepted", "rejected": "✕ rejected"}


class QueueModel(QAbstractListModel):
    """Rows as items."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()
        self.current: str | None = None

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows; if only their contents differ, the list stays where it is."""
        fresh = tuple(rows)
        if [one.case for one in fresh] == [one.case for one in self.rows]:
            self.rows = fresh
            if fresh:
                self.dataChanged.emit(self.index(0), self.index(len(fresh) - 1))
            return
        self.beginResetModel()
        self.rows = fresh
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.case
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.tip
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return row.tip.replace("\n", ". ")
        if role == Qt.ItemDataRole.UserRole:
            return row
        return None


class QueueView(QListView):
    """opened(case): a row was double-clicked, or Return pressed on it."""

    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = QueueModel(self)
        self.setModel(self.rows)
        self.setItemDelegate(_Painter(self))
        self.setAccessibleName("cases")
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        # Whether the user chose the row, or opened its case; else it is the first row, whichever case that is.
        self._picked = False
        self.pressed.connect(lambda _: self._pick())
        self.doubleClicked.connect(self._open)

    @property
    def chosen(self) -> str | None:
        """The case of the chosen row."""
        row = self.rows.data(self.currentIndex(), Qt.ItemDataRole.UserRole)
        return None if row is None else row.case

    def show_rows(self, rows: Sequence[Row], current: str | None) -> None:
        """Show rows; current: the case that is open, which is marked."""
        self._picked = self._picked and bool(rows)
        chosen = self.chosen if self._picked else None
        self.rows.current = current
        self.rows.show_rows(rows)
        cases = [one.case for one in self.rows.rows]
        wanted = chosen if chosen in cases else current if current in cases else cases[0] if cases else None
        if wanted is not None and self.chosen != wanted:
            self.setCurrentIndex(self.rows.index(cases.index(wanted)))
        self.viewport().update()  # type: ignore[union-attr]

    def choose(self, case: str) -> None:
        """Choose the row of a case, and show it."""
        for number, row in enumerate(self.rows.rows):
            if row.case == case:
                self.setCurrentIndex(self.rows.index(number))
                self._pick()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
            self._open(self.currentIndex())
        else:
            before = self.chosen
            super().keyPressEvent(event)
            if self.chosen != before:
                self._pick()

    def _pick(self) -> None:
        self._picked = True

    def _open(self, index: QModelIndex) -> None:
        row = self.rows.data(index, Qt.ItemDataRole.UserRole)
        if row is not None:
            self.opened.emit(row.case)


class _Painter(QStyledItemDelegate):
    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802
        return QSize(200, _HEIGHT)

    def paint(self, painter: QPainter | None, option: Any, index: Any) -> None:
        row: Row | None = index.data(Qt.ItemDataRole.UserRole)
        view = option.widget
        if row is None or painter is None or view is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        palette: QPalette = view.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        area = option.rect.adjusted(2, 1, -2, -1)
        if chosen or row.case == view.rows.current:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_faint(text, 46 if chosen else 22))
            painter.drawRoundedRect(QRectF(area), 3, 3)
        font, small = QFont(option.font), QFont(option.font)
        font.setBold(row.case == view.rows.current)
        small.setPointSizeF(max(small.pointSizeF() * 0.85, 6.0))
        inner = area.adjusted(6, 2, -6, -3)
        top, bottom = inner.adjusted(0, 0, 0, -inner.height() // 2), inner.adjusted(0, inner.height() // 2, 0, 0)
        state = _MARKS.get(row.state, row.state) + ("  ⚑" if row.flagged else "")
        painter.setPen(text)
        painter.setFont(small)
        painter.drawText(top, _at(right=True), state)
        room = top.width() - painter.fontMetrics().horizontalAdvance(state) - 8
        painter.setFont(font)
        name = painter.fontMetrics().elidedText(row.case, Qt.TextElideMode.ElideMiddle, room)
        painter.setPen(text if row.state in ("open", "draft") else _faint(text, 170))
        painter.drawText(top, _at(), name)
        self._paint_bar(painter, bottom, row, text, small)
        painter.restore()

    def _paint_bar(self, painter: QPainter, area: Any, row: Row, text: QColor, small: QFont) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        bar = QRectF(area.left(), area.center().y() - 1.5, _BAR_WIDTH, 5)
        painter.setBrush(_faint(text, 45))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        if row.bar > 0:
            painter.setBrush(_faint(text, 190))
            painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(5.0, bar.width() * row.bar), 5), 2.5, 2.5)
        painter.setFont(small)
        painter.setPen(_faint(text, 210))
        number = f"{row.uncertainty:.3f}"
        left = area.adjusted(_BAR_WIDTH + 8, 0, 0, 0)
        painter.drawText(left, _at(), number)
        used = painter.fontMetrics().horizontalAdvance(number) + 14
        words = " · ".join(word for word, _ in row.flags)
        elided = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, left.width() - used)
        painter.drawText(left, _at(right=True), elided)


def _at(*, right: bool = False) -> int:
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    return int((side | Qt.AlignmentFlag.AlignVCenter).value)


def _faint(colour: QColor, alpha: int) -> QColor:
    result = QColor(colour)
    result.setAlpha(alpha)
    return result
