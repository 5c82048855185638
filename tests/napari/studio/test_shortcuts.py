"""Two docks of one window with the same key: exactly one of them acts."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from napari_genesis.studio.shortcuts import Shortcuts

pytestmark = pytest.mark.gui


def test_a_key_of_two_docks_goes_to_the_focused_one_else_to_the_one_last_at_work(qtbot: Any) -> None:
    window, outside = QWidget(), QLineEdit()
    layout = QVBoxLayout(window)
    layout.addWidget(outside)
    done: list[str] = []
    docks: dict[str, QWidget] = {}
    keys: dict[str, Shortcuts] = {}
    for name in ("first", "second"):
        docks[name] = QWidget()
        docks[name].setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout.addWidget(docks[name])
        keys[name] = Shortcuts(docks[name], {"Ctrl+F9": ("noted", lambda name=name: done.append(name))})
        keys[name].reach_window(True)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)

    def press(focused: QWidget) -> str:
        focused.setFocus()
        done.clear()
        qtbot.keyClick(focused, Qt.Key.Key_F9, Qt.KeyboardModifier.ControlModifier)
        assert len(done) == 1
        return done[0]

    assert [press(outside) for _ in range(3)] == ["second"] * 3
    assert [press(docks["first"]) for _ in range(3)] == ["first"] * 3
    keys["first"].reach_window(True)
    assert press(outside) == "first"
    assert press(docks["second"]) == "second"
    docks["first"].hide()
    assert press(outside) == "second"
