"""The folder a training learns from: chosen, typed or dropped, and what the core's check says of its scans."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.scan_check import FolderCheck, ScanCheck
from napari_genesis.training.path_line import PathLine, PathTarget
from napari_genesis.training.path_line import dropped_path as dropped_path

# Refusals told at once; the table tells them all.
_REFUSED_SHOWN = 3


class DataPanel(PathTarget):
    """chosen(path or None): another folder. checked(): more is known of it; `check` holds it."""

    chosen = Signal(object)
    checked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check: FolderCheck | None = None
        self.checking = ScanCheck(self)
        self.checking.progressed.connect(self._take)
        self.place = PathLine(
            "folder of scans", "NIfTI, MetaImage, NRRD and MGH files, and folders of DICOM slices, with subfolders."
        )
        self.line = self.place.line
        self.place.chosen.connect(self.choose)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.summary.setAccessibleName("what the folder holds")
        self.table = QPushButton("Table…")
        self.table.setToolTip("Every scan: what it is, or why it is refused.")
        self.table.clicked.connect(self._show_table)
        self.reasons = SmallLabel()
        self.reasons.setAccessibleName("why scans are refused")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        layout.addWidget(self.place, 0, 0, 1, 2)
        layout.addWidget(self.summary, 1, 0)
        layout.addWidget(self.table, 1, 1)
        layout.addWidget(self.reasons, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self._show()

    @property
    def path(self) -> Path | None:
        """The folder that is chosen."""
        return self.place.path

    @property
    def usable(self) -> int:
        """How many usable scans are known."""
        return 0 if self.check is None else len(self.check.usable)

    def choose(self, path: Path | None) -> None:
        """Choose a folder (or one scan) and check it."""
        self.check = None
        self.place.show_path(path)
        if path is None:
            self.checking.stop()
        else:
            self.checking.start(path)
        self._show()
        self.chosen.emit(path)

    def _take(self, check: FolderCheck) -> None:
        self.check = check
        self._show()
        self.checked.emit()

    def _show(self) -> None:
        check = self.check
        self.table.setVisible(check is not None and bool(check.records))
        if self.path is None:
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
