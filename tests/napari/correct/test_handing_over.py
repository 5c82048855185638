"""Handing the open scan to napari-nninteractive: a stand-in for the plugin, as npe2 would find it, in a real viewer.

What the plugin itself does with the scan (it needs its weights and a GPU) is not tried here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtWidgets import QWidget
from review_driving import open_case, press, rest

from napari_genesis.correct.hand_over import PLUGIN
from napari_genesis.correct.review_dock import ReviewDock

pytestmark = pytest.mark.gui
# The layer that was chosen as each widget of the stand-in was made.
made: list[Any] = []


class Prompting(QWidget):
    """As the plugin's widget, it is made for a viewer, and looks at what is chosen there."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        made.append(napari_viewer.layers.selection.active)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_genesis.correct.tools_panel.has_nninteractive", lambda: True)


def test_its_dock_opens_on_the_scan_and_what_to_do_is_said(
    viewer_in_a_window: Any,
    open_dock: Callable[..., ReviewDock],
    workspace: Any,
    npe2pm: Any,
    installed: None,
    qtbot: Any,
) -> None:
    viewer = viewer_in_a_window
    made.clear()
    command = {"id": f"{PLUGIN}.prompt", "title": "Prompt", "python_name": f"{__name__}:Prompting"}
    widget = {"command": command["id"], "display_name": "nnInteractive"}
    npe2pm.register(PluginManifest(name=PLUGIN, contributions={"commands": [command], "widgets": [widget]}))
    dock = open_dock(viewer, workspace / "reviews" / "thorax")
    labels = open_case(qtbot, dock, "new_0")
    painted = labels.data.copy()
    press(qtbot, dock.parts.case.tools.interactive)
    rest(qtbot, dock)
    assert dock.parts.trouble.text() == ""
    assert made == [viewer.layers["new_0"]]
    assert any(PLUGIN in name for name in viewer.window.dock_widgets)
    assert "Its result is a layer of its own" in dock.parts.said.shown
    np.testing.assert_array_equal(labels.data, painted)
    # A second press shows the dock that is there.
    press(qtbot, dock.parts.case.tools.interactive)
    assert len(made) == 1


def test_a_plugin_that_cannot_be_opened_is_said_in_words(
    viewer_in_a_window: Any, open_dock: Callable[..., ReviewDock], workspace: Any, installed: None, qtbot: Any
) -> None:
    dock = open_dock(viewer_in_a_window, workspace / "reviews" / "thorax")
    labels = open_case(qtbot, dock, "new_0")
    press(qtbot, dock.parts.case.tools.interactive)
    assert "napari does not offer it" in dock.parts.trouble.text()
    assert viewer_in_a_window.layers.selection.active is labels


def test_without_the_plugin_nothing_is_offered(
    viewer: Any, open_dock: Callable[..., ReviewDock], workspace: Any, qtbot: Any
) -> None:
    dock = open_dock(viewer, workspace / "reviews" / "thorax")
    open_case(qtbot, dock, "new_0")
    assert not dock.parts.case.tools.interactive.isVisible()
