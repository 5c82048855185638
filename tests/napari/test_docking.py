"""Docks closed by their cross: gone, with all they listened to, and not before; and the viewer that they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from qtpy.QtWidgets import QDockWidget

DOCKS = ("Corruption Studio", "Pretrain", "Fine-tune", "Apply", "Review", "Runs")
PREVIEW = "Genesis preview"


@pytest.fixture
def viewer(
    plugin_settings: Any, npe2pm: Any, make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path / "workspace")
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    return make_napari_viewer(show=True)


def opened(viewer: Any, title: str) -> tuple[QDockWidget, Any]:
    return viewer.window.add_plugin_dock_widget("napari-genesis", title)


def add_scan(viewer: Any, name: str) -> None:
    scan = np.random.default_rng(0).integers(-1000, 1000, (40, 70, 70)).astype(np.int16)
    viewer.add_image(scan, name=name, metadata={"modality": "ct"})


def test_a_dock_that_is_closed_is_deleted_and_opens_anew(viewer: Any, qtbot: Any) -> None:
    add_scan(viewer, "first")
    gone: list[str] = []
    for title in DOCKS:
        dock_widget, dock = opened(viewer, title)
        dock.destroyed.connect(lambda _=None, title=title: gone.append(title))
        qtbot.wait(200)
        assert gone == []
        dock_widget.title.close_button.click()
        qtbot.waitUntil(lambda title=title: gone == [title], timeout=10_000)
        gone.clear()
        again, _ = opened(viewer, title)
        again.title.close_button.click()
        qtbot.waitUntil(lambda title=title: title not in viewer.window.dock_widgets, timeout=10_000)


def test_a_dock_that_floats_hides_or_changes_sides_stays(viewer: Any, qtbot: Any) -> None:
    from qtpy.QtCore import Qt

    dock_widget, dock = opened(viewer, "Runs")
    gone: list[bool] = []
    dock.destroyed.connect(lambda: gone.append(True))
    dock_widget.setFloating(True)
    qtbot.wait(50)
    dock_widget.hide()
    qtbot.wait(50)
    dock_widget.setFloating(False)
    viewer.window._qt_window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock_widget)
    dock_widget.show()
    qtbot.wait(50)
    # What is taken out and put in again in one go stays, too.
    viewer.window.remove_dock_widget(dock)
    viewer.window.add_dock_widget(dock, name="Runs again")
    qtbot.wait(50)
    assert gone == []
    assert dock.isVisible()


def test_a_closed_studio_takes_its_preview_along_and_computes_no_more(viewer: Any, qtbot: Any) -> None:
    add_scan(viewer, "first")
    dock_widget, _ = opened(viewer, "Corruption Studio")
    qtbot.waitUntil(lambda: PREVIEW in viewer.layers, timeout=60_000)
    dock_widget.title.close_button.click()
    qtbot.waitUntil(lambda: PREVIEW not in viewer.layers)
    add_scan(viewer, "second")
    qtbot.wait(500)
    assert [layer.name for layer in viewer.layers] == ["first", "second"]


def test_a_preview_deleted_by_hand_is_made_again_by_the_next_change(viewer: Any, qtbot: Any) -> None:
    add_scan(viewer, "first")
    _, studio = opened(viewer, "Corruption Studio")
    qtbot.waitUntil(lambda: PREVIEW in viewer.layers, timeout=60_000)
    viewer.layers.remove(PREVIEW)
    studio.session.choose_seed(5)
    qtbot.waitUntil(lambda: PREVIEW in viewer.layers, timeout=20_000)
