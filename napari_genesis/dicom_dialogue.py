"""Which series of a DICOM folder to open: a list with thumbnails, by mouse or keyboard.

Arrows move, Space or Ctrl and Shift choose several, Ctrl+A all, Enter opens, Escape opens nothing. Thumbnails are
decoded one by one, in a thread, while the list is already there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genesis_core.volumes.dicom.listing import SeriesRecord, thumbnail

_SIDE = 96
_WIDTH, _HEIGHT = 560, 520


class SeriesChoice:
    """The dialogue for some series. `dialog` is the Qt dialogue, `list` its list, `chosen` what is selected now,
    `pending` the rows whose thumbnail is still to come.
    """

    def __init__(self, series: Sequence[SeriesRecord], parent: Any = None) -> None:
        """Build the dialogue; it is not shown yet. The largest series that can be opened is chosen first."""
        from qtpy.QtCore import QSize, Qt
        from qtpy.QtWidgets import (
            QAbstractItemView,
            QDialog,
            QDialogButtonBox,
            QLabel,
            QListWidget,
            QPushButton,
            QVBoxLayout,
        )

        from napari_genesis.studio.computing import LatestOnly

        # Series that make no scan go last.
        self.series = sorted(series, key=lambda one: one.middle is None)
        self.dialog = QDialog(parent)
        self.dialog.setWindowTitle("Open DICOM series")
        self.dialog.resize(_WIDTH, _HEIGHT)
        self.list = QListWidget()
        self.list.setAccessibleName("DICOM series")
        self.list.setIconSize(QSize(_SIDE, _SIDE))
        self.list.setSpacing(2)
        self.list.setWordWrap(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.pending = [(row, one) for row, one in enumerate(self.series) if one.middle is not None]
        for one in self.series:
            self._add_row(one)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.open_button = QPushButton("Open")
        buttons.addButton(self.open_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self.open_button.setDefault(True)
        buttons.accepted.connect(self.dialog.accept)
        buttons.rejected.connect(self.dialog.reject)
        self.list.itemActivated.connect(lambda _: self.dialog.accept())
        self.list.itemSelectionChanged.connect(self._update_button)
        layout = QVBoxLayout(self.dialog)
        usable = len(self.pending)
        heading = QLabel(f"This folder holds {len(self.series)} series; {usable} can be opened. Which ones?")
        heading.setTextFormat(Qt.TextFormat.PlainText)
        layout.addWidget(heading)
        layout.addWidget(self.list)
        layout.addWidget(buttons)
        # Without a parent: its thread may outlive the dialogue by one slice.
        self._lane = lane = LatestOnly("genesis-dicom-thumbnails")
        lane.finished.connect(self._drawn)
        lane.failed.connect(self._not_drawn)
        self.dialog.finished.connect(lambda _: lane.close())
        self._next_thumbnail()
        if self.pending:
            self.list.setCurrentRow(max(self.pending, key=lambda pair: pair[1].slices)[0])
        self.list.setFocus()
        self._update_button()

    @property
    def chosen(self) -> list[SeriesRecord]:
        """The series selected, in the order shown."""
        rows = sorted(index.row() for index in self.list.selectedIndexes())
        return [self.series[row] for row in rows]

    def _add_row(self, one: SeriesRecord) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtGui import QIcon, QPixmap
        from qtpy.QtWidgets import QListWidgetItem

        item = QListWidgetItem(describe(one))
        blank = QPixmap(_SIDE, _SIDE)
        blank.fill(Qt.GlobalColor.black)
        item.setIcon(QIcon(blank))
        if one.middle is None:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
        self.list.addItem(item)

    def _next_thumbnail(self) -> None:
        if self.pending:
            one = self.pending[0][1]
            self._lane.submit(lambda: thumbnail(one))

    def _drawn(self, grey: np.ndarray[Any, Any]) -> None:
        self._item_drawn().setIcon(_icon(grey))
        self._next_thumbnail()

    def _not_drawn(self, problem: Exception) -> None:
        self._item_drawn().setToolTip(str(problem))
        self._next_thumbnail()

    def _item_drawn(self) -> Any:
        row, _ = self.pending.pop(0)
        return self.list.item(row)

    def _update_button(self) -> None:
        count = len(self.chosen)
        self.open_button.setEnabled(count > 0)
        self.open_button.setText("Open" if count < 2 else f"Open {count} series")


def choose_series(series: Sequence[SeriesRecord]) -> list[SeriesRecord]:
    """Ask which series to open; returns none if the dialogue is cancelled."""
    from qtpy.QtWidgets import QApplication, QDialog, QMainWindow

    # As a child of napari's window it has napari's theme.
    windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow) and one.isVisible()]
    choice = SeriesChoice(series, QApplication.activeWindow() or next(iter(windows), None))
    accepted = choice.dialog.exec() == QDialog.DialogCode.Accepted
    chosen = choice.chosen if accepted else []
    choice.dialog.deleteLater()
    return chosen


def series_name(one: SeriesRecord) -> str:
    """Return a series' description, or its folder's name where it has none (some programs write "None")."""
    description = one.description.strip()
    return one.path.name if description.lower() in ("", "none") else description


def describe(one: SeriesRecord) -> str:
    """Return what tells a series from the others: description; modality, size, spacing; where it lies; its problem."""
    size = " × ".join(str(n) for n in (*one.size, one.slices))
    spacing = f" · {' × '.join(f'{step:.3g}' for step in one.spacing)} mm" if one.spacing else ""
    about = [part for part in (one.modality, f"{size}{spacing}", one.orientation, one.kernel) if part]
    lines = [series_name(one), " · ".join(about)]
    if one.folder not in ("", ".", lines[0]):
        lines.append(one.folder)
    if one.problem:
        lines.append(
            f"Will be resampled: {one.problem}" if one.middle is not None else f"Cannot be opened: {one.problem}"
        )
    return "\n".join(lines)


def _icon(grey: np.ndarray[Any, Any]) -> Any:
    """Return greys (y, x) as an icon, in the middle of a black square."""
    from qtpy.QtGui import QIcon, QImage, QPixmap

    square = np.zeros((_SIDE, _SIDE), np.uint8)
    top, left = (_SIDE - grey.shape[0]) // 2, (_SIDE - grey.shape[1]) // 2
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    image = QImage(square.tobytes(), _SIDE, _SIDE, _SIDE, QImage.Format.Format_Grayscale8)
    # The pixels belong to Python and are gone after this line; the pixmap has its own.
    return QIcon(QPixmap.fromImage(image.copy()))
