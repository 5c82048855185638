"""Which layer is worked on, what it is taken for, the window that becomes [0, 1], and the one it is looked at in."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QToolButton, QWidget

from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.studio.canvas import NAME
from napari_genesis.studio.scan import StudioScan
from napari_genesis.training.preview_layers import KEY as PREVIEW_KEY
from napari_genesis.view.window_bar import WindowBar

# Where the metadata of a contact sheet's layer holds what lies where in it.
SHEET_KEY = "genesis_contact_sheet"
# A text each end of the window has room for.
_WIDEST = "-1000"
_MODALITIES = ("ct", "mr")
# Room for "CT 100% ?".
_MODALITY_WIDTH = 98
# Under this certainty a person should say what the scan is.
_UNSURE = 0.6


class ScanPanel(QWidget):
    """Layer, modality and window. layer_chosen(layer), modality_chosen("ct" | "mr"), window_chosen(low, high),
    usual_chosen(modality): the usual window of that modality again.
    """

    layer_chosen = Signal(object)
    modality_chosen = Signal(str)
    window_chosen = Signal(float, float)
    usual_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layers = QComboBox()
        self.layers.setToolTip("The Image layer to work on; it is never changed.")
        self.layers.setAccessibleName("scan")
        pass_wheel_on(self.layers)
        self.layers.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.layers.setMinimumContentsLength(12)
        self.modality = QComboBox()
        for name in _MODALITIES:
            self.modality.addItem(name.upper(), name)
        self.modality.setAccessibleName("modality")
        pass_wheel_on(self.modality)
        self.modality.setMinimumWidth(_MODALITY_WIDTH)
        self.low, self.high = (
            NumberEditor(Quantity(whole=False), widest=_WIDEST),
            NumberEditor(Quantity(whole=False), widest=_WIDEST),
        )
        for box, end, name in ((self.low, "0", "lower end of the window"), (self.high, "1", "upper end of the window")):
            about = (
                f"Value that becomes {end} for the network; what lies outside the window is clipped. The recipe does "
                "not hold it: the copied command tells it to the training."
            )
            box.name_for_screen_readers(name, about)
            box.box.setToolTip(about)
            box.moved.connect(lambda value, settled: self._window_edited())
        self.usual = QToolButton()
        self.usual.setText("usual")
        self.usual.setToolTip("The usual window: -1000 to 1000 HU for CT, percentiles 0.5 to 99.5 of the scan for MR.")
        self.usual.clicked.connect(lambda: self.usual_chosen.emit(self.modality.currentData()))
        self.unit = QLabel()
        self.seen = WindowBar()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        layout.addWidget(QLabel("scan"), 0, 0)
        layout.addWidget(self.layers, 0, 1)
        layout.addWidget(QLabel("seen in"), 1, 0)
        layout.addWidget(self.seen, 1, 1)
        layout.addWidget(QLabel("learnt as"), 2, 0)
        window = QHBoxLayout()
        window.setSpacing(4)
        for widget in (self.modality, self.low, self.high, self.unit):
            window.addWidget(widget)
        window.addStretch(1)
        window.addWidget(self.usual)
        layout.addLayout(window, 2, 1)
        layout.setColumnStretch(1, 1)
        self.layers.currentIndexChanged.connect(lambda _: self._chosen())
        self.modality.activated.connect(lambda _: self.modality_chosen.emit(self.modality.currentData()))

    @property
    def layer(self) -> Any:
        """The layer that is chosen, or None."""
        return self.layers.currentData()

    def show_layers(self, layers: list[Any], prefer: Any = None, *, instead: bool = False) -> None:
        """List the Image layers there are, but for the Studio's own; the chosen one stays, if it is still there.

        instead: the chosen one is no scan, so that the newest of the others takes its place.
        """
        wanted = [one for one in layers if type(one).__name__ == "Image" and not _is_own(one)]
        before = self.layer
        with QSignalBlocker(self.layers):
            self.layers.clear()
            for one in wanted:
                self.layers.addItem(one.name, one)
            newest = next((one for one in reversed(wanted) if one is not before), None) if instead else None
            chosen = next((one for one in (newest, before, prefer, *wanted[:1]) if one in wanted), None)
            self.layers.setCurrentIndex(-1 if chosen is None else wanted.index(chosen))
        self.layers.setEnabled(bool(wanted))
        if not wanted:
            self.layers.setPlaceholderText("no image is open")
        if self.layer is not before:
            self._chosen()

    def choose(self, layer: Any) -> None:
        """Choose a layer of the list."""
        for row in range(self.layers.count()):
            if self.layers.itemData(row) is layer:
                self.layers.setCurrentIndex(row)

    def show_busy(self) -> None:
        """Say that the scan is being read."""
        for widget in (self.modality, self.low, self.high, self.usual):
            widget.setEnabled(False)

    def show_scan(self, scan: StudioScan | None) -> None:
        """Show what is known of the scan."""
        for widget in (self.modality, self.low, self.high, self.usual):
            widget.setEnabled(scan is not None)
        for row, name in enumerate(_MODALITIES):
            self.modality.setItemText(row, name.upper())
        if scan is None:
            return
        row = self.modality.findData(scan.modality)
        doubt = " ?" if scan.certainty < _UNSURE else ""
        self.modality.setItemText(row, f"{scan.modality.upper()} {scan.certainty:.0%}{doubt}")
        with QSignalBlocker(self.modality):
            self.modality.setCurrentIndex(row)
        about = f"Taken for {scan.modality.upper()} with a certainty of {scan.certainty:.0%}: {scan.reason}."
        self.modality.setToolTip("\n".join((about, *scan.notes)))
        self.low.show_value(scan.map.low)
        self.high.show_value(scan.map.high)
        self.unit.setText("HU" if scan.modality == "ct" else "")

    def _chosen(self) -> None:
        self.seen.set_layer(self.layer)
        self.layer_chosen.emit(self.layer)

    def _window_edited(self) -> None:
        self.window_chosen.emit(self.low.value, self.high.value)


def _is_own(layer: Any) -> bool:
    # A training's preview is a piece of a scan in the network's values, not in those of a scanner.
    drawn = SHEET_KEY in layer.metadata or PREVIEW_KEY in layer.metadata
    return bool(layer.name.startswith(NAME) or layer.rgb or drawn)
