"""The wheel scrolls the panel, and never changes the control that happens to lie under the mouse."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QWidget


def pass_wheel_on(widget: QWidget) -> None:
    """Let a control ignore the wheel, and take the keyboard's focus by click or Tab alone."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_Deaf(widget))


class _Deaf(QObject):
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return super().eventFilter(watched, event)
