"""A part of the dock with a title that folds it away."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.forms.drawing import PictureButton


class Section(QWidget):
    """Holds one widget. toggled(open): the user folded or unfolded it, by the arrow or a click on the title."""

    toggled = Signal(bool)

    def __init__(self, title: str, body: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fold = PictureButton("fold", f"{title}: show or hide", self)
        self.title = _Title(title, self)
        self.body = body
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(4)
        head.addWidget(self.fold)
        head.addWidget(self.title, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(head)
        layout.addWidget(body)
        body.hide()
        self.fold.toggled.connect(body.setVisible)
        self.fold.toggled.connect(self.toggled)
        self.title.clicked.connect(self.fold.click)

    def unfold(self, open_: bool) -> None:
        """Show the body, or hide it."""
        self.fold.setChecked(open_)


class _Title(QLabel):
    clicked = Signal()

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        font = self.font()
        font.setBold(True)
        self.setFont(font)

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()
