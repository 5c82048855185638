"""Which run a dock shows: a new one to be set up, one of the workspace's, or any folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QWidget

from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.jobs.found_runs import FoundRun

_NEW, _OTHER = "new run", "open a run's folder…"


class RunChooser(QWidget):
    """chosen(path or None): a run, or a new one."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs = QComboBox()
        pass_wheel_on(self.runs)
        self.runs.setAccessibleName("run")
        self.runs.setToolTip("A new run, or one of the workspace's: also those of the command line and other machines.")
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setMinimumContentsLength(12)
        self._path: Path | None = None
        self._listed: list[tuple[Path, str]] = []
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("run"))
        layout.addWidget(self.runs, 1)
        self.runs.activated.connect(self._activated)
        self._fill()

    @property
    def path(self) -> Path | None:
        """The run that is shown; None for a new one."""
        return self._path

    def show_runs(self, runs: Sequence[FoundRun]) -> None:
        """List the runs there are."""
        listed = [(run.path, f"{run.path.name} ({run.word})") for run in runs]
        if listed != self._listed:
            self._listed = listed
            self._fill()

    def show_choice(self, path: Path | None) -> None:
        """Show which one is chosen, also one that is not listed."""
        self._path = path
        self._fill()

    def _fill(self) -> None:
        if self.runs.view().isVisible():  # type: ignore[union-attr]
            # The list is open under the user's mouse; the next listing comes soon.
            self._listed = []
            return
        rows = list(self._listed)
        if self._path is not None and self._path not in [path for path, _ in rows]:
            rows.insert(0, (self._path, self._path.name))
        with QSignalBlocker(self.runs):
            self.runs.clear()
            self.runs.addItem(_NEW, None)
            for path, text in rows:
                self.runs.addItem(text, path)
                self.runs.setItemData(self.runs.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
            self.runs.addItem(_OTHER)
            paths = [path for path, _ in rows]
            self.runs.setCurrentIndex(0 if self._path is None else 1 + paths.index(self._path))

    def _activated(self, row: int) -> None:
        path = self.runs.itemData(row)
        if self.runs.itemText(row) == _OTHER:
            folder = QFileDialog.getExistingDirectory(self, "Folder of a run")
            path = Path(folder) if folder else self._path
        self.show_choice(self._path)
        if path != self._path:
            self.chosen.emit(path)
