"""The Studio by keyboard: keys that work in the dock, and in the whole window while its scan or preview is active.

While another layer is active (Labels being painted, say), the canvas keeps napari's own keys.
"""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget


class Shortcuts:
    """Keys of a widget; `keys` is key -> (what it does in words, action)."""

    def __init__(self, widget: QWidget, keys: dict[str, tuple[str, Callable[[], None]]]) -> None:
        self.words = {key: words for key, (words, _) in keys.items()}
        self._shortcuts = []
        for key, (_, action) in keys.items():
            shortcut = QShortcut(QKeySequence(key), widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
            self._shortcuts.append(shortcut)

    def reach_window(self, whole: bool) -> None:
        """Let the keys work in the whole window, or in the widget alone."""
        context = Qt.ShortcutContext.WindowShortcut if whole else Qt.ShortcutContext.WidgetWithChildrenShortcut
        for shortcut in self._shortcuts:
            shortcut.setContext(context)

    def as_text(self) -> str:
        """Return the keys and what they do, one a line."""
        return "\n".join(f"{key}\t{words}" for key, words in self.words.items())
