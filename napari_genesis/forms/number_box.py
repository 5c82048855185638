"""A box for a number: typed in any of the ways people write it, stepped by the arrow keys, exact to the last bit.

Qt's own spin boxes round to their decimals and stop at 2^31; here the text only shows the value. There are no buttons:
napari's take half of a narrow box, and the slider beside it does what they do.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_genesis.forms.entry import Entry
from napari_genesis.forms.quantity import Quantity
from napari_genesis.forms.slider import step_of


class NumberBox(Entry):
    """Shows a number, and takes one typed. stepped(steps): a key asks for a value some steps further."""

    stepped = Signal(int)

    def __init__(self, quantity: Quantity, widest: str, parent: QWidget | None = None) -> None:
        """Build the box. widest: a text there must be room for."""
        super().__init__(quantity.text, quantity.parse, parent)
        self._widest = widest
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(self.fontMetrics().horizontalAdvance(self._widest) + 14, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return self.sizeHint()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        # Left and right go through the text.
        steps = 0 if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) else step_of(event.key())
        if steps:
            self.commit()
            self.stepped.emit(steps)
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        turns = event.angleDelta().y()
        if not self.hasFocus() or not turns:
            event.ignore()
            return
        event.accept()
        self.stepped.emit(1 if turns > 0 else -1)
