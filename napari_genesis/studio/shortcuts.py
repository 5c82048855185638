"""The Studio by keyboard: keys that work in the dock, and in the whole window while its scan or preview is active.

While another layer is active (Labels being painted, say), the canvas keeps napari's own keys. Where two docks have a
key, Qt calls it ambiguous and gives it to neither: then the one with the focus acts, else the one last at work.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from functools import partial
from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QShortcut, QWidget

_taken = itertools.count()


class Shortcuts:
    """Keys of a widget; `keys` is key -> (what it does in words, action). once: those that do not repeat if held."""

    _all: ClassVar[set[Shortcuts]] = set()

    def __init__(
        self, widget: QWidget, keys: dict[str, tuple[str, Callable[[], None]]], once: Collection[str] = ()
    ) -> None:
        self._all.add(self)
        widget.destroyed.connect(lambda: self._all.discard(self))
        self._widget, self._actions = widget, {key: action for key, (_, action) in keys.items()}
        # When it was last given the whole window.
        self._since = -1
        self.words = {key: words for key, (words, _) in keys.items()}
        self._shortcuts = []
        for key, (_, action) in keys.items():
            shortcut = QShortcut(QKeySequence(key), widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(key not in once)
            shortcut.activated.connect(action)
            shortcut.activatedAmbiguously.connect(partial(_settle, key))
            self._shortcuts.append(shortcut)

    def reach_window(self, whole: bool) -> None:
        """Let the keys work in the whole window, or in the widget alone."""
        if whole:
            self._since = next(_taken)
        context = Qt.ShortcutContext.WindowShortcut if whole else Qt.ShortcutContext.WidgetWithChildrenShortcut
        for shortcut in self._shortcuts:
            shortcut.setContext(context)

    def as_text(self) -> str:
        """Return the keys and what they do, one a line."""
        return "\n".join(f"{key}\t{words}" for key, words in self.words.items())

    def wanted(self, key: str) -> tuple[bool, int] | None:
        """Return how much it is due a key that others have too, the most the greatest; None: it has none to give."""
        if key not in self._actions or not self._widget.isVisible():
            return None
        focus = QApplication.focusWidget()
        return focus is not None and (focus is self._widget or self._widget.isAncestorOf(focus)), self._since

    def act(self, key: str) -> None:
        """Do what a key does."""
        self._actions[key]()


def _settle(key: str) -> None:
    due = [(claim, number, one) for number, one in enumerate(Shortcuts._all) if (claim := one.wanted(key)) is not None]
    # One alone is ambiguous with a key of napari's, or of another plugin: it is not ours to settle.
    if len(due) > 1:
        max(due)[2].act(key)
