"""Which model is applied: those of the workspace, newest first, and any folder the user chooses."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_genesis.apply.card_facts import summary
from napari_genesis.apply.models import Listing, ModelEntry
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.wheel import pass_wheel_on

_OTHER = "choose a folder…"
# Room to see why a model is left out, not for the whole of a long list.
_NAMED = 3


class ModelList(QWidget):
    """chosen(path): a model was chosen. folder_chosen(path): a folder was, that may hold one. again(): look anew."""

    chosen = Signal(object)
    folder_chosen = Signal(object)
    again = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = -1
        self.models = QComboBox()
        self.models.setAccessibleName("model")
        self.models.setToolTip("A run or a model folder of the workspace, or any other one.")
        self.models.setPlaceholderText("no model found")
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(12)
        pass_wheel_on(self.models)
        self.refresh = QToolButton()
        self.refresh.setText("↻")
        self.refresh.setToolTip("Look for models again.")
        self.refresh.setAccessibleName("look for models again")
        self.left_out = SmallLabel()
        self.left_out.setAccessibleName("models that are left out")
        first = QHBoxLayout()
        first.setSpacing(3)
        first.addWidget(QLabel("model"))
        first.addWidget(self.models, 1)
        first.addWidget(self.refresh)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(first)
        layout.addWidget(self.left_out)
        self.models.activated.connect(self._activated)
        self.refresh.clicked.connect(self.again)

    def show_models(self, listing: Listing, chosen: ModelEntry | None) -> None:
        """List the models that were found, and name those that were not read."""
        with QSignalBlocker(self.models):
            self.models.clear()
            for entry in listing.entries:
                self.models.addItem(f"{entry.name}: {summary(entry)}", entry.path)
                self.models.setItemData(self.models.count() - 1, str(entry.path), Qt.ItemDataRole.ToolTipRole)
            self.models.addItem(_OTHER)
            paths = [entry.path for entry in listing.entries]
            self._row = paths.index(chosen.path) if chosen is not None and chosen.path in paths else -1
            self.models.setCurrentIndex(self._row)
        # The first reason is enough to know where to look; the tooltip has all.
        reasons = [f"{path.name} ({reason.partition(';')[0]})" for path, reason in listing.left_out]
        more = f" And {len(reasons) - _NAMED} more." if len(reasons) > _NAMED else ""
        self.left_out.show_text(f"Left out: {', '.join(reasons[:_NAMED])}.{more}" if reasons else "")
        self.left_out.setToolTip("\n".join(f"{path}: {reason}" for path, reason in listing.left_out))

    def _activated(self, row: int) -> None:
        path = self.models.itemData(row)
        if path is not None:
            self.chosen.emit(path)
            return
        self.models.setCurrentIndex(self._row)
        folder = QFileDialog.getExistingDirectory(self, "Folder of a run or of a model")
        if folder:
            self.folder_chosen.emit(Path(folder))
