"""Buttons and menu entries that only tell, each by a signal of the row it stands in; and buttons with a menu."""

from __future__ import annotations

from typing import Any

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton, QToolButton


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


def make_more(menu: QMenu, tip: str = "", text: str = "more") -> QToolButton:
    """Return a button that opens a menu."""
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(text)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu.setParent(button, menu.windowFlags())
    button.setMenu(menu)
    # napari's style draws the arrow over the end of the text.
    button.setMinimumWidth(button.sizeHint().width() + 14)
    return button
