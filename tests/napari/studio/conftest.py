"""A Studio in a real viewer, opened as a user opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from studio_driving import rest

from napari_genesis.studio.studio import Studio


@pytest.fixture
def viewer(
    plugin_settings: Any, npe2pm: Any, make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    # Preferences of this test alone, and no other plugin.
    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    monkeypatch.setattr("napari_genesis.studio.studio.default_file", lambda: tmp_path / "config" / "studio.yaml")
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    return made


@pytest.fixture
def open_studio(viewer: Any, qtbot: Any) -> Callable[[], Studio]:
    """Open the Studio from the plugin menu's command, and wait for its first preview if there is a scan."""

    def open_one() -> Studio:
        _, studio = viewer.window.add_plugin_dock_widget("napari-genesis", "Corruption Studio")
        rest(qtbot, studio)
        return studio

    return open_one
