"""The line that names what a training learns from: typed, browsed for, or dropped onto it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QMimeData, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QToolButton, QWidget


class PathLine(QWidget):
    """chosen(path or None): another path was typed or browsed for.

    what: such as "folder of scans". tip: what it may hold.
    """

    chosen = Signal(object)

    def __init__(self, what: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what = what
        self._path: Path | None = None
        self.line = QLineEdit()
        self.line.setPlaceholderText(f"{what}: type, browse or drop")
        self.line.setAccessibleName(what)
        self.line.setToolTip(tip)
        self.line.editingFinished.connect(self._typed)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setAccessibleName(f"browse for a {what}")
        self.browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse)

    @property
    def path(self) -> Path | None:
        """What is chosen."""
        return self._path

    def show_path(self, path: Path | None) -> None:
        """Show what is chosen, without a signal."""
        self._path = path
        self.line.setText("" if path is None else str(path))
        self.line.setCursorPosition(0)

    def _typed(self) -> None:
        text = self.line.text().strip()
        path = Path(text).expanduser() if text else None
        if path != self._path:
            self.chosen.emit(path)

    def _browse(self) -> None:
        start = str(self._path) if self._path is not None else ""
        folder = QFileDialog.getExistingDirectory(self, self._what[:1].upper() + self._what[1:], start)
        if folder:
            self.chosen.emit(Path(folder))


class PathTarget(QWidget):
    """Part of a dock onto which a file or a folder may be dropped; `choose` is what becomes of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)

    def choose(self, path: Path | None) -> None:
        """Take a path."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        """Take what has a place on the disk."""
        if event is not None and dropped_path(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802
        """Choose what was dropped."""
        if event is not None and (path := dropped_path(event.mimeData())) is not None:
            event.acceptProposedAction()
            self.choose(path)


def dropped_path(data: QMimeData | Any) -> Path | None:
    """Return the first file or folder among what is dragged; None if there is none."""
    for url in data.urls() if data is not None else ():
        if url.isLocalFile():
            return Path(url.toLocalFile())
    return None
