"""What every dock needs of napari's window: the viewer itself, and an end once the window has let it go."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget


def viewer_itself(viewer: Any) -> Any:
    """Return the viewer behind the stand-in that napari gives to plugins, or `viewer` if it is none.

    Layers the stand-in hands out are stand-ins too, and never the very ones that napari's events name.
    """
    return getattr(viewer, "__wrapped__", viewer)


def delete_when_closed(dock: QWidget) -> None:
    """Delete a dock once it has been closed: napari takes it out of its window, and leaves it alive and working."""
    _Leaving(dock)


class _Leaving(QObject):
    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.ParentChange and watched is self._dock:
            # Later: who puts it elsewhere takes it out first.
            QTimer.singleShot(0, self._delete_if_left)
        return False

    def _delete_if_left(self) -> None:
        if self._dock.parent() is None:
            self._dock.deleteLater()
