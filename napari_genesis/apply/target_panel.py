"""What a model is applied to: the open layer (one per channel), or a folder of scans with a folder for the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_genesis.apply.results import is_result
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.scan_panel import SHEET_KEY
from napari_genesis.training.preview_layers import KEY as PREVIEW_KEY


class TargetPanel(QWidget):
    """changed(): the user chose something else, or layers came or went."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.use_layer = QRadioButton("open layer")
        self.use_folder = QRadioButton("folder")
        self.use_layer.setChecked(True)
        self._group = QButtonGroup(self)
        self._group.addButton(self.use_layer)
        self._group.addButton(self.use_folder)
        self.note = SmallLabel()
        self.note.setAccessibleName("about the scan")
        self.combos: list[QComboBox] = []
        self._images: list[Any] = []
        self._channels: tuple[str, ...] = ("scan",)
        self._layer_rows = QWidget()
        self._layer_grid = QGridLayout(self._layer_rows)
        self._layer_grid.setContentsMargins(0, 0, 0, 0)
        self._layer_grid.setVerticalSpacing(3)
        self._layer_grid.setColumnStretch(1, 1)
        self.scans, self.results = QLineEdit(), QLineEdit()
        self.skip = QCheckBox("leave out scans that are finished already")
        self.skip.setToolTip("Goes on where an earlier run was stopped; half-finished scans are done again.")
        self._suggested = ""
        choice = QHBoxLayout()
        choice.setSpacing(10)
        choice.addWidget(QLabel("apply to"))
        choice.addWidget(self.use_layer)
        choice.addWidget(self.use_folder)
        choice.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(choice)
        layout.addWidget(self._layer_rows)
        self._folder_rows = self._make_folder_rows()
        layout.addWidget(self._folder_rows)
        layout.addWidget(self.note)
        self.use_folder.toggled.connect(lambda _: self._switch())
        self.skip.toggled.connect(lambda _: self.changed.emit())
        self._switch()
        self.show_channels(("scan",))

    @property
    def whole_folder(self) -> bool:
        """Whether a folder is worked on."""
        return self.use_folder.isChecked()

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layer chosen for each channel; None where none is."""
        return tuple(combo.currentData() for combo in self.combos)

    def show_channels(self, names: Sequence[str]) -> None:
        """Ask for one layer per channel of these names; those chosen stay."""
        if tuple(names) == self._channels and self.combos:
            return
        self._channels = tuple(names)
        chosen = self.layers
        while self._layer_grid.count():
            item = self._layer_grid.takeAt(0)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.combos = []
        for row, name in enumerate(names):
            combo = QComboBox()
            combo.setAccessibleName(name)
            combo.setToolTip("The Image layer to look at; it is never changed.")
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
            combo.setPlaceholderText("no image is open")
            pass_wheel_on(combo)
            combo.currentIndexChanged.connect(lambda _: self.changed.emit())
            self.combos.append(combo)
            self._layer_grid.addWidget(QLabel(name), row, 0)
            self._layer_grid.addWidget(combo, row, 1)
        self._fill((*chosen, *([None] * len(names)))[: len(names)])

    def show_layers(self, layers: Sequence[Any], prefer: Any = None) -> None:
        """List the Image layers there are, but for previews and results of ours; those chosen stay if still there."""
        self._images = [one for one in layers if type(one).__name__ == "Image" and not _is_own(one)]
        if prefer in self._images:
            self._images.remove(prefer)
            self._images.insert(0, prefer)
        before = self.layers
        self._fill(before)
        if self.layers != before:
            self.changed.emit()

    def choose(self, layer: Any, channel: int = 0) -> None:
        """Choose a layer of the list."""
        combo = self.combos[channel]
        for row in range(combo.count()):
            if combo.itemData(row) is layer:
                combo.setCurrentIndex(row)

    def suggest_results(self, folder: Path | None) -> None:
        """Suggest a folder for the results, unless the user named one."""
        if self.results.text() in ("", self._suggested):
            self._suggested = "" if folder is None else str(folder)
            self.results.setText(self._suggested)

    def _fill(self, chosen: Sequence[Any]) -> None:
        free = [one for one in self._images if one not in chosen]
        for combo, before in zip(self.combos, chosen, strict=True):
            with QSignalBlocker(combo):
                combo.clear()
                for one in self._images:
                    combo.addItem(one.name, one)
                wanted = before if before in self._images else free.pop(0) if free else None
                if wanted is None and self._images and len(self.combos) == 1:
                    wanted = self._images[0]
                combo.setCurrentIndex(-1 if wanted is None else self._images.index(wanted))
            combo.setEnabled(bool(self._images))

    def _make_folder_rows(self) -> QWidget:
        rows = QWidget()
        grid = QGridLayout(rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        self.ask_scans, self.ask_results = QToolButton(), QToolButton()
        for row, (name, line, button, title) in enumerate(
            (
                ("scans", self.scans, self.ask_scans, "Folder of scans"),
                ("results", self.results, self.ask_results, "Folder for the results"),
            )
        ):
            line.setAccessibleName(title)
            line.setPlaceholderText(title.lower())
            line.textChanged.connect(lambda _: self.changed.emit())
            button.setText("…")
            button.setAccessibleName(f"choose: {title.lower()}")
            button.setToolTip(title)
            button.clicked.connect(lambda _=False, line=line, title=title: self._ask(line, title))
            grid.addWidget(QLabel(name), row, 0)
            grid.addWidget(line, row, 1)
            grid.addWidget(button, row, 2)
        grid.addWidget(self.skip, 2, 0, 1, 3)
        return rows

    def _ask(self, line: QLineEdit, title: str) -> None:
        folder = QFileDialog.getExistingDirectory(self, title, line.text())
        if folder:
            line.setText(folder)

    def _switch(self) -> None:
        self._layer_rows.setVisible(not self.whole_folder)
        self._folder_rows.setVisible(self.whole_folder)
        self.changed.emit()


def _is_own(layer: Any) -> bool:
    # A training's preview is a piece of a scan in the network's values, not in those of a scanner.
    drawn = SHEET_KEY in layer.metadata or PREVIEW_KEY in layer.metadata
    return bool(layer.name.startswith(NAME) or layer.rgb or drawn or is_result(layer))
