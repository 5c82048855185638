"""Four small pictures of the current slice: original, corrupted, difference, restored; a click shows it in the canvas.

Grey is the training range, black 0 and white 1: what the network sees, whatever window the user reads the scan in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QImage, QKeyEvent, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from genesis_core.pictures.encoding import resized
from genesis_core.pictures.slices import Pixels, coloured, grey, signed_difference
from napari_genesis.studio.preview import VIEWS, View
from napari_genesis.studio.scan import Array

SIDE = 76
# Differences in full colour from half of the training range on, as in the canvas and on the contact sheet.
_DIFFERENCE = 0.5
_TIPS = {
    "original": "The sub-volume as it is (1). For a glance, hold the mouse button here, or Space on any picture.",
    "corrupted": "What the network is given (2).",
    "difference": "Corrupted less original (3): blue is darker, white is unchanged, red is brighter.",
    "restored": "What the chosen model makes of the corrupted sub-volume (4). Choose a model below.",
}


class Thumbnails(QWidget):
    """A row of four pictures, each a button. chosen(view): one was clicked.

    held(bool): the original, or Space on any of them, is pressed or let go.
    """

    chosen = Signal(str)
    held = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(1)
        self.buttons: dict[View, _Picture] = {}
        self.captions: dict[View, QLabel] = {}
        for column, view in enumerate(VIEWS):
            button = _Picture(self)
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setIconSize(QSize(SIDE, SIDE))
            button.setFixedSize(SIDE + 8, SIDE + 8)
            button.setToolTip(_TIPS[view])
            button.setAccessibleName(f"show {view}")
            button.left.connect(lambda: self.held.emit(False))
            button.clicked.connect(lambda _=False, view=view: self.chosen.emit(view))
            caption = QLabel(f"{column + 1} {view}")
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(button, 0, column, Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(caption, 1, column)
            self.buttons[view], self.captions[view] = button, caption
        self.buttons["original"].pressed.connect(lambda: self.held.emit(True))
        self.buttons["original"].released.connect(lambda: self.held.emit(False))
        self.buttons["restored"].setEnabled(False)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Show the original while Space is held on a picture."""
        self._hold(event, True)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Show again what was shown before."""
        self._hold(event, False)

    def _hold(self, event: QKeyEvent | None, held: bool) -> None:
        if event is None or event.key() != Qt.Key.Key_Space:
            super().keyPressEvent(event) if held else super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            self.held.emit(held)

    def choose(self, view: View) -> None:
        """Mark the one that is shown in the canvas."""
        self.buttons[view].setChecked(True)

    def show_planes(self, planes: dict[View, Array | None], aspect: float) -> None:
        """Show slices (rows, columns) in [0, 1], differences in [-1, 1]; None leaves the place empty.

        aspect: height of a voxel over its width, as seen on the screen.
        """
        for view, plane in planes.items():
            button = self.buttons[view]
            button.setEnabled(plane is not None)
            button.set_picture(None if plane is None else _pixels(plane, view, aspect))

    def show_caption(self, view: View, text: str) -> None:
        """Write a line under a picture, instead of its number and name."""
        self.captions[view].setText(text)


class _Picture(QToolButton):
    """left(): the keyboard goes elsewhere, and with it the key that is held."""

    left = Signal()

    def set_picture(self, pixels: Pixels | None) -> None:
        self._pixels = pixels
        self.update()

    _pixels: Pixels | None = None

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        if self._pixels is None:
            return
        from qtpy.QtGui import QPainter

        height, width, _ = self._pixels.shape
        image = QImage(self._pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        painter = QPainter(self)
        painter.drawPixmap((self.width() - width) // 2, (self.height() - height) // 2, QPixmap.fromImage(image))
        painter.end()

    def event(self, event: Any) -> bool:
        # Space does not press the button: it is for looking at the original, whichever picture has the keyboard.
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and event.key() == Qt.Key.Key_Space:
            event.ignore()
            return False
        if kind == QEvent.Type.FocusOut:
            self.left.emit()
        return bool(super().event(event))


def _pixels(plane: Array, view: View, aspect: float) -> Pixels:
    pixels = signed_difference(plane, _DIFFERENCE) if view == "difference" else coloured(grey(plane, 0, 1))
    rows, columns = plane.shape
    factor = SIDE / max(rows * aspect, columns)
    size = max(round(rows * aspect * factor), 1), max(round(columns * factor), 1)
    return np.ascontiguousarray(resized(pixels, *size, smooth=False))
