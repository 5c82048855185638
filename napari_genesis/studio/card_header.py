"""The first line of a recipe card: fold, switch, name, and how often the corruption is applied."""

from __future__ import annotations

from html import escape
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from napari_genesis.forms.drawing import PictureButton
from napari_genesis.forms.editors import SwitchEditor
from napari_genesis.forms.number import NumberEditor
from napari_genesis.forms.quantity import Quantity

# The rates of all cards stand under each other: this is their sliders' width, in pixels.
_SLIDER = 62
PROBABILITY = Quantity(False, 0.0, 1.0, unit="probability")
# A share of 0 or 1 is said by switching members off.
SHARE = Quantity(False, 0.01, 0.99, unit="of the choice")


class RateEditor(NumberEditor):
    """A probability, or a share of a choice. A double click on its slider returns to the published one, if any."""

    def __init__(self, of: str, quantity: Quantity, parent: QWidget | None = None) -> None:
        """Build the editor. of: what it is the rate of, in words."""
        super().__init__(quantity, parent, widest="99.99 %")
        self._what = f"{of}: {'probability' if quantity is PROBABILITY else 'share of the choice'}"
        self._published: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        if self.slider is not None:
            self.slider.setFixedWidth(_SLIDER)
        self.reset_wanted.connect(self._reset)
        self._explain()

    def set_published(self, published: float | None) -> None:
        """Set the rate that a double click returns to."""
        if published != self._published:
            self._published = published
            self._explain()

    def _explain(self) -> None:
        lines = [f"{self._what}."]
        if self._published is not None:
            shown = PROBABILITY.text(float(f"{self._published:.6g}"))
            lines.append(f"Published: {shown}. A double click on the slider returns to it.")
        self.setToolTip(f"<qt>{'<br>'.join(escape(line) for line in lines)}</qt>")
        self.name_for_screen_readers(self._what, "\n".join(lines))

    def _reset(self) -> None:
        if self._published is not None:
            self._change(self._published)


class CardHeader(QWidget):
    """The header of one card.

    switched(on), unfolded(open), rate_moved(rate, settled): what the user did. refused(reason): what was typed as a
    rate cannot be; an empty reason takes that back.
    """

    switched = Signal(bool)
    unfolded = Signal(bool)
    rate_moved = Signal(object, bool)
    refused = Signal(str)

    def __init__(self, title: str, *, in_group: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fold = PictureButton("fold", f"{title}: show the settings", self)
        self.switch = TitleSwitch(title, self)
        self.rate = RateEditor(title, SHARE if in_group else PROBABILITY, self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.fold)
        layout.addWidget(self.switch, 1)
        layout.addWidget(self.rate)
        self.fold.toggled.connect(self.unfolded)
        self.switch.moved.connect(lambda on, _: self.switched.emit(on))
        self.rate.moved.connect(self.rate_moved)
        self.rate.refused.connect(self.refused)

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets that take the keyboard's focus, in their order."""
        return (self.fold, self.switch, *self.rate.parts)


class TitleSwitch(SwitchEditor):
    """A check box with a title that ends in dots where there is no room for all of it."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setText(title)

    def embolden(self, bold: bool) -> None:
        """Make the title bold, or not."""
        font = self.font()
        if font.bold() != bold:
            font.setBold(bold)
            self.setFont(font)
            self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(60, super().minimumSizeHint().height())

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # The check box takes the height of a line and a gap beside it.
        room = self.width() - 26
        self.setText(self.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideRight, room))
