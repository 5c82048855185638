"""The folder a training learns from: chosen, typed or dropped, and what the core's check says of its scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QMimeData, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.scan_check import FolderCheck, ScanCheck

# Refusals told at once; the table tells them all.
_REFUSED_SHOWN = 3


class DataPanel(QWidget):
    """chosen(path or None): another folder. checked(): more is known of it; `check` holds it."""

    chosen = Signal(object)
    checked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.check: FolderCheck | None = None
        self._path: Path | None = None
        self.checking = ScanCheck(self)
        self.checking.progressed.connect(self._take)
        self.line = QLineEdit()
        self.line.setPlaceholderText("folder of scans: type, browse or drop")
        self.line.setAccessibleName("folder of scans")
        self.line.setToolTip("NIfTI, MetaImage, NRRD and MGH files, and folders of DICOM slices, with subfolders.")
        self.line.editingFinished.connect(self._typed)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setAccessibleName("browse for a folder of scans")
        self.browse.clicked.connect(self._browse)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setAccessibleName("what the folder holds")
        self.table = QPushButton("Table…")
        self.table.setToolTip("Every scan: what it is, or why it is refused.")
        self.table.clicked.connect(self._show_table)
        self.reasons = SmallLabel()
        self.reasons.setAccessibleName("why scans are refused")
        top = QHBoxLayout()
        top.setSpacing(3)
        top.addWidget(self.line, 1)
        top.addWidget(self.browse)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        layout.addLayout(top, 0, 0, 1, 2)
        layout.addWidget(self.summary, 1, 0)
        layout.addWidget(self.table, 1, 1)
        layout.addWidget(self.reasons, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show()

    @property
    def path(self) -> Path | None:
        """The folder that is chosen."""
        return self._path

    @property
    def usable(self) -> int:
        """How many usable scans are known."""
        return 0 if self.check is None else len(self.check.usable)

    def choose(self, path: Path | None) -> None:
        """Choose a folder (or one scan) and check it."""
        self._path = path
        self.check = None
        self.line.setText("" if path is None else str(path))
        self.line.setCursorPosition(0)
        if path is None:
            self.checking.stop()
        else:
            self.checking.start(path)
        self._show()
        self.chosen.emit(path)

    def _typed(self) -> None:
        text = self.line.text().strip()
        path = Path(text).expanduser() if text else None
        if path != self._path:
            self.choose(path)

    def _browse(self) -> None:
        start = str(self._path) if self._path is not None else ""
        folder = QFileDialog.getExistingDirectory(self, "Folder of scans", start)
        if folder:
            self.choose(Path(folder))

    def _take(self, check: FolderCheck) -> None:
        self.check = check
        self._show()
        self.checked.emit()

    def _show(self) -> None:
        check = self.check
        self.table.setVisible(check is not None and bool(check.records))
        if self._path is None:
            self.summary.setText("No folder yet.")
            self.reasons.show_text("")
            return
        if check is None or (not check.done and not check.records):
            self.summary.setText("Checking…")
            self.reasons.show_text("")
            return
        usable, refused = len(check.usable), check.refused
        if check.problem:
            self.summary.setText(check.problem)
        elif not check.records:
            self.summary.setText("No scans in this folder.")
        else:
            text = f"{usable:,} usable, {len(refused):,} refused"
            self.summary.setText(text if check.done else f"{text}, checking…")
        told = [f"{record['path']}: {record['reason']}" for record in refused[:_REFUSED_SHOWN]]
        if len(refused) > len(told):
            told.append(f"and {len(refused) - len(told):,} more: see the table")
        self.reasons.show_text("  ·  ".join(told))

    def _show_table(self) -> None:
        from napari_genesis.training.check_dialogue import CheckDialogue

        if self.check is not None:
            CheckDialogue(self.check, parent=self).show()

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
