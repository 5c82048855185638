"""Which model restores: one of the runs in the workspace, or any folder."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.forms.wheel import pass_wheel_on

_NONE, _OTHER = "none", "choose a folder…"


class ModelPanel(QWidget):
    """chosen(path or None): another model was chosen."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.models = QComboBox()
        pass_wheel_on(self.models)
        self.models.setAccessibleName("restoring model")
        self.models.setToolTip("A pre-trained model: what it makes of the corrupted sub-volume (4).")
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(12)
        self._paths: list[Path] = []
        self._path: Path | None = None
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("restored by"))
        layout.addWidget(self.models, 1)
        self.models.activated.connect(self._activated)
        self._fill()

    def show_models(self, paths: list[Path]) -> None:
        """List the restoring models that were found; the chosen one stays."""
        if paths != self._paths:
            self._paths = paths
            self._fill()

    def show_choice(self, path: Path | None) -> None:
        """Show which one is chosen, also one that is not among those found."""
        self._path = path
        self._fill()

    def _fill(self) -> None:
        paths = [*self._paths]
        if self._path is not None and self._path not in paths:
            paths.insert(0, self._path)
        with QSignalBlocker(self.models):
            self.models.clear()
            self.models.addItem(_NONE, None)
            for path in paths:
                self.models.addItem(path.name, path)
                self.models.setItemData(self.models.count() - 1, str(path), 3)
            self.models.addItem(_OTHER)
            self.models.setCurrentIndex(0 if self._path is None else 1 + paths.index(self._path))

    def _activated(self, row: int) -> None:
        path = self.models.itemData(row)
        if self.models.itemText(row) == _OTHER:
            folder = QFileDialog.getExistingDirectory(self, "Folder of a run or of a model")
            path = Path(folder) if folder else self._path
        self.show_choice(self._path)
        if path != self._path:
            self.chosen.emit(path)


def restoring_models(workspace: Path) -> list[Path]:
    """Return the runs and model folders of a workspace that restore, newest first. Reads cards alone, no weights."""
    from genesis_core.model.card import read_card

    found: list[tuple[float, Path]] = []
    folders = [workspace, workspace / "runs", workspace / "models"]
    for folder in (one for parent in folders if parent.is_dir() for one in parent.iterdir()):
        for card in (folder / "model.yaml", folder / "model" / "model.yaml"):
            if not card.is_file():
                continue
            try:
                if read_card(card).task == "restoration":
                    found.append((card.stat().st_mtime, folder))
            except (GenesisError, OSError):
                # A damaged card is told by the command `runs`; it is no choice here.
                continue
    return [folder for _, folder in sorted(found, reverse=True)]
