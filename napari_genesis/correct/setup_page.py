"""Beginning a review: a fine-tuned model, a folder of scans nobody has labelled, and a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.apply.card_facts import summary
from napari_genesis.apply.models import ModelEntry
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.jobs.preparing import why_not_named
from napari_genesis.training.path_line import dropped_path

_OTHER = "choose a run's folder…"
_ABOUT = (
    "The model draws what it knows on every scan of a folder. You look first where it is least sure, correct it with "
    "napari's brush, and accept. Accepted cases become a labelled folder to continue training with. Your scans are "
    "never changed; those the model has already learnt from or was measured on are left out."
)


class SetupPage(QWidget):
    """changed(): another model, folder or name."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._entries: tuple[ModelEntry, ...] = ()
        self._other: Path | None = None
        self.models = QComboBox()
        pass_wheel_on(self.models)
        self.models.setAccessibleName("model to review")
        self.models.setToolTip("A fine-tuned run of the workspace that segments, or any other one.")
        self.models.setPlaceholderText("no fine-tuned run found")
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(12)
        self.models.activated.connect(self._activated)
        self.scans = QLineEdit()
        self.scans.setPlaceholderText("folder of scans: type, browse or drop")
        self.scans.setAccessibleName("folder of scans to review")
        self.scans.textChanged.connect(lambda _: self.changed.emit())
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setAccessibleName("browse for a folder of scans")
        self.browse.clicked.connect(self._browse)
        self.name = QLineEdit()
        self.name.setAccessibleName("name of the review")
        self.name.setToolTip("The review's folder in the workspace; empty: the next free name.")
        self.name.textChanged.connect(lambda _: self.changed.emit())
        self.about = SmallLabel()
        self.about.show_text(_ABOUT)
        scans = QHBoxLayout()
        scans.setSpacing(3)
        scans.addWidget(self.scans, 1)
        scans.addWidget(self.browse)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.addWidget(QLabel("model"), 0, 0)
        grid.addWidget(self.models, 0, 1)
        grid.addWidget(QLabel("scans"), 1, 0)
        grid.addLayout(scans, 1, 1)
        grid.addWidget(QLabel("name"), 2, 0)
        grid.addWidget(self.name, 2, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(grid)
        layout.addWidget(self.about)
        layout.addStretch(1)

    @property
    def run(self) -> Path | None:
        """The run that is chosen."""
        return self.models.currentData()  # type: ignore[no-any-return]

    @property
    def folder(self) -> Path | None:
        """The folder of scans."""
        text = self.scans.text().strip()
        return Path(text).expanduser() if text else None

    def why_not(self) -> str:
        """Return why no review can begin, or nothing."""
        if self.run is None:
            return "Choose a fine-tuned model first."
        if self.folder is None:
            return "Choose a folder of scans."
        if not self.folder.is_dir():
            return "There is no such folder of scans."
        return "This folder of scans is empty." if _is_empty(self.folder) else why_not_named(self.name.text().strip())

    def show_offer(self, entries: Sequence[ModelEntry], wanted: Path | None, free_name: str) -> None:
        """List the models; the one chosen stays, or `wanted` is chosen. free_name: what it is called without a name."""
        self.name.setPlaceholderText(free_name)
        if tuple(entries) == self._entries and self.models.count():
            return
        self._entries = tuple(entries)
        self._fill(self.run or wanted)

    def choose_model(self, run: Path) -> None:
        """Choose a run, be it listed or not."""
        self._other = run
        self._fill(run)

    def choose_scans(self, folder: Path | None) -> None:
        """Choose a folder."""
        self.scans.setText("" if folder is None else str(folder))

    def _fill(self, chosen: Path | None) -> None:
        paths = [entry.path for entry in self._entries]
        with QSignalBlocker(self.models):
            self.models.clear()
            for entry in self._entries:
                self.models.addItem(f"{entry.name}: {summary(entry)}", entry.path)
                self.models.setItemData(self.models.count() - 1, str(entry.path), Qt.ItemDataRole.ToolTipRole)
            if self._other is not None and self._other not in paths:
                self.models.addItem(self._other.name, self._other)
                paths.append(self._other)
            self.models.addItem(_OTHER)
            row = paths.index(chosen) if chosen in paths else 0 if paths else -1
            self.models.setCurrentIndex(row)
        self.changed.emit()

    def _activated(self, row: int) -> None:
        if self.models.itemData(row) is None:
            folder = QFileDialog.getExistingDirectory(self, "Folder of a fine-tuned run")
            self._other = Path(folder) if folder else self._other
            self._fill(self._other)
            return
        self.changed.emit()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of scans", self.scans.text())
        if folder:
            self.scans.setText(folder)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        """Take what has a place on the disk."""
        if event is not None and dropped_path(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802
        """Choose the folder that was dropped."""
        if event is not None and (path := dropped_path(event.mimeData())) is not None:
            event.acceptProposedAction()
            self.choose_scans(path if path.is_dir() else path.parent)


def _is_empty(folder: Path) -> bool:
    """Whether nothing at all lies in a folder; one that cannot be listed is told of when the review begins."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False
