"""A long picture in a window: as wide as the window, scrolled from top to bottom, quick however long it is."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from qtpy.QtWidgets import QScrollArea, QWidget

from genesis_core.pictures.slices import Pixels


def screen_image(pixels: Pixels) -> QImage:
    """Return pixels, uint8 (y, x, 3), as the screen takes them; from any thread, as long ones take some 50 ms."""
    height, width, _ = pixels.shape
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    # The bytes belong to Python and are gone after this line; the converted image has its own.
    return image.convertToFormat(QImage.Format.Format_RGB32)


class SheetPicture(QScrollArea):
    """A picture that fits the width. Empty until `show_image`."""

    def __init__(self) -> None:
        super().__init__()
        self._canvas = _Canvas()
        self._canvas.setAccessibleName("contact sheet")
        self.setWidget(self._canvas)
        # Always there: a bar that comes and goes would change the width the picture fits.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("contact sheet, scrollable")

    @property
    def size_shown(self) -> QSize:
        """The size of the picture on the screen; empty before there is one."""
        return self._canvas.size() if not self._canvas.pixmap.isNull() else QSize()

    def show_image(self, image: QImage) -> None:
        """Show another picture, from its top on."""
        self._canvas.pixmap = QPixmap.fromImage(image)
        self._fit()
        self.ensureVisible(0, 0)
        self._canvas.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        pixmap = self._canvas.pixmap
        width = self.maximumViewportSize().width()
        self._canvas.setFixedSize(width, 0 if pixmap.isNull() else round(pixmap.height() * width / pixmap.width()))


class _Canvas(QWidget):
    """Paints only the part of the picture that is seen: scaling all of a long sheet would take too long."""

    def __init__(self) -> None:
        super().__init__()
        self.pixmap = QPixmap()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        if event is None or self.pixmap.isNull():
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setClipRect(event.rect())
        painter.drawPixmap(self.rect(), self.pixmap)
        painter.end()
