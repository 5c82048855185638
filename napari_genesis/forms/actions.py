"""Buttons and menu entries that only tell: each emits a signal of the row it stands in, with nothing to say."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton


def make_button(text: str, tip: str, signal: Any) -> QPushButton:
    """Return a button that emits `signal` when it is pressed."""
    button = QPushButton(text)
    button.setToolTip(tip)
    # Qt's own signal comes with a value that the row's has no place for.
    button.clicked.connect(lambda: signal.emit())
    return button


def add_action(text: str, signal: Any, menu: QMenu) -> QAction:
    """Add an entry that emits `signal` when it is chosen to a menu, and return it."""
    action = QAction(text, menu)
    action.triggered.connect(lambda: signal.emit())
    menu.addAction(action)
    return action
