"""What napari's style sheet leaves out, painted with the palette's colours so that every theme fits.

A ring around what has the keyboard's focus, thin frames, and small buttons whose pictures need no font.
"""

from __future__ import annotations

from typing import Any, Literal

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractButton, QWidget

Picture = Literal["fold", "up", "down", "reset"]
_RADIUS = 3.0


def ink(widget: QWidget, strength: float = 1.0) -> QColor:
    """Return the colour of a widget's text, enabled or not; strength: its opacity in [0, 1]."""
    colour = QColor(widget.palette().color(widget.foregroundRole()))
    colour.setAlphaF(colour.alphaF() * strength)
    return colour


def paint_frame(widget: QWidget, strength: float) -> None:
    """Paint a thin rounded frame along a widget's edge."""
    painter = QPainter(widget)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(ink(widget, strength), 1.0))
    painter.drawRoundedRect(QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5), _RADIUS, _RADIUS)
    painter.end()


def paint_focus(widget: QWidget) -> None:
    """Paint a ring around a widget that has the keyboard's focus; nothing around any other."""
    if widget.hasFocus():
        paint_frame(widget, 0.7)


class PictureButton(QAbstractButton):
    """A small flat button. "fold" is checkable and points down while it is checked, to the right otherwise."""

    def __init__(self, picture: Picture, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = picture
        self.setCheckable(picture == "fold")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(18, 22)

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isEnabled() and (self.underMouse() or self.isDown()):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink(self, 0.3 if self.isDown() else 0.15))
            painter.drawRoundedRect(QRectF(self.rect()), _RADIUS, _RADIUS)
        painter.translate(QRectF(self.rect()).center())
        if self._picture == "reset":
            _paint_arrow_back(painter, ink(self))
        else:
            painter.rotate({"up": -90.0, "down": 90.0, "fold": 90.0 if self.isChecked() else 0.0}[self._picture])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink(self))
            painter.drawPolygon(QPolygonF([QPointF(-2.5, -4.5), QPointF(3.5, 0.0), QPointF(-2.5, 4.5)]))
        painter.end()
        paint_focus(self)


def _paint_arrow_back(painter: QPainter, colour: QColor) -> None:
    """Paint an open circle that ends in an arrow's head, around the origin."""
    circle = QRectF(-4.5, -4.5, 9.0, 9.0)
    path = QPainterPath()
    path.arcMoveTo(circle, 160.0)
    path.arcTo(circle, 160.0, 290.0)
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(-7.5, -2.0), QPointF(-1.0, -1.5), QPointF(-4.8, 3.4)]))
