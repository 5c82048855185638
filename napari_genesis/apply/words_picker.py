"""A choice of any number of words from a list: a button that says what is chosen, and a menu to tick them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy, QWidget

from napari_genesis.forms.drawing import paint_focus


class WordsPicker(QPushButton):
    """moved(words): the user ticked or unticked one. `every`, if given, stands for all and excludes the others."""

    moved = Signal(object)

    def __init__(self, name: str, every: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._every = every
        self._words: tuple[str, ...] = ()
        self._chosen: tuple[str, ...] = ()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMenu(_StayingMenu(self))
        self._write()

    @property
    def value(self) -> tuple[str, ...]:
        """The words that are chosen."""
        return self._chosen

    def show_words(self, words: Sequence[str], chosen: Sequence[str]) -> None:
        """Offer words, of which some are chosen; no signal."""
        offered = ((self._every,) if self._every else ()) + tuple(words)
        if offered != self._words:
            self._words = offered
            self._fill()
        self._chosen = tuple(word for word in self._words if word in chosen)
        self.setEnabled(bool(words))
        self._write()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(60, super().minimumSizeHint().height())

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_focus(self)

    def _fill(self) -> None:
        menu = self.menu()
        assert menu is not None
        menu.clear()
        for word in self._words:
            action = QAction(word.replace("&", "&&"), menu)
            action.setCheckable(True)
            action.setData(word)
            action.triggered.connect(lambda on, word=word: self._tick(word, bool(on)))
            menu.addAction(action)

    def _tick(self, word: str, on: bool) -> None:
        kept = set(self._chosen) - {word}
        if on:
            kept = {word} if word == self._every else (kept - {self._every}) | {word}
        self._chosen = tuple(one for one in self._words if one in kept)
        self._write()
        self.moved.emit(self._chosen)

    def _write(self) -> None:
        text = ", ".join(self._chosen) or "none"
        room = self.fontMetrics().averageCharWidth() * 24
        self.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room).replace("&", "&&"))
        self.setAccessibleDescription(text)
        menu = self.menu()
        for action in menu.actions() if menu is not None else ():
            action.setChecked(action.data() in self._chosen)


class _StayingMenu(QMenu):
    """Stays open while boxes are ticked, since one tick is seldom all."""

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802
        action = self.activeAction()
        if action is not None and action.isCheckable():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        action = self.activeAction()
        if event.key() == Qt.Key.Key_Space and action is not None and action.isCheckable():
            action.trigger()
        else:
            super().keyPressEvent(event)
