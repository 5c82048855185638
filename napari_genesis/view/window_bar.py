"""One row for the window of an image: its name, level and width, to choose, type and read.

The numbers follow whoever changes the contrast: the bar, the mouse or napari's slider.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.wheel import pass_wheel_on
from napari_genesis.view.windows import Window, windows_for

_WIDTH = 340


class WindowBar(QWidget):
    """Window by name, level and width of one Image layer; grey without one, or for colours.

    `names` is the list of windows, `level` and `width_box` are the numbers.
    """

    def __init__(self, layer: Any | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: ref[Any] | None = None
        self._offered: dict[str, Window] = {}
        self.names = QComboBox()
        self.names.setAccessibleName("Window")
        self.names.setPlaceholderText("Own")
        self.names.setToolTip(
            "Windows by name. Or hold Ctrl and drag in the picture: right is wider, up is a higher level"
        )
        self.level = _number("Level", "Level: the value shown as middle grey", Quantity(whole=False))
        self.width_box = _number("Width", "Width: from black to white", Quantity(whole=False, low=0, low_open=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.names, 1)
        for letter, box in (("L", self.level), ("W", self.width_box)):
            label = QLabel(letter)
            label.setBuddy(box.box)
            row.addWidget(label)
            row.addWidget(box)
        self.setMaximumWidth(_WIDTH)
        pass_wheel_on(self.names)
        self.names.activated.connect(self._choose)
        for editor in (self.level, self.width_box):
            # A value rounded on the screen keeps all its digits until it is typed.
            editor.moved.connect(lambda value, settled: self._type())
        self.set_layer(layer)

    @property
    def layer(self) -> Any | None:
        """The image the bar acts on; None without one, or when it is gone."""
        return self._layer() if self._layer else None

    def set_layer(self, layer: Any | None) -> None:
        """Act on another Image layer from now on, or on none; the bar does not keep it alive."""
        if (old := self.layer) is not None:
            old.events.contrast_limits.disconnect(self._show)
        usable = layer is not None and not layer.rgb
        self._layer = ref(layer) if usable else None
        self._offered = windows_for(layer) if usable else {}
        with QSignalBlocker(self.names):
            self.names.clear()
            for name, window in self._offered.items():
                self.names.addItem(name)
                about = f"level {window.level:.4g}, width {window.width:.4g}"
                self.names.setItemData(self.names.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
        self.setEnabled(usable)
        if layer is not None and usable:
            layer.events.contrast_limits.connect(self._show)
        self._show()

    def _show(self) -> None:
        if (layer := self.layer) is None:
            self.names.setCurrentIndex(-1)
            return
        window = Window.between(layer.contrast_limits)
        near = [index for index, one in enumerate(self._offered.values()) if window.is_near(one)]
        self.names.setCurrentIndex(near[0] if near else -1)
        self.level.show_value(window.level)
        self.width_box.show_value(window.width)

    def _choose(self, index: int) -> None:
        if (layer := self.layer) is not None:
            # Its voxels may be others than when the bar was set to it.
            self._offered = windows_for(layer)
            if window := self._offered.get(self.names.itemText(index)):
                layer.contrast_limits = window.limits
            self._show()

    def _type(self) -> None:
        if (layer := self.layer) is not None:
            layer.contrast_limits = Window(self.level.value, self.width_box.value).limits


def _number(name: str, about: str, quantity: Quantity) -> NumberEditor:
    editor = NumberEditor(quantity, widest="-1000")
    editor.name_for_screen_readers(name, about)
    editor.box.setToolTip(about)
    return editor
