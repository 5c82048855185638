"""Tiny models in a workspace, a small phantom as a layer, and an Apply dock in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apply_driving import rest, write_model
from napari.components import ViewerModel
from napari.layers import Layer
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir, Qt

from genesis_core.phantom.thorax import make_phantom
from napari_genesis.apply.apply_dock import ApplyDock
from napari_genesis.apply.parts import WIDTH
from napari_genesis.layers import shown as layer_of


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the models "segmenter" and "restorer", in a run and in a model folder."""
    workspace = tmp_path_factory.mktemp("workspace")
    write_model(workspace / "runs" / "restorer" / "model", "restoration")
    write_model(workspace / "models" / "segmenter", "segmentation")
    return workspace


@pytest.fixture
def preferences(
    plugin_settings: Any, npe2pm: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Preferences and a kept state of this test alone, and no other plugin."""
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    settings = get_plugin_settings("napari-genesis")
    settings.files.workspace = str(models)
    settings.computing.device = "cpu"
    monkeypatch.setattr("napari_genesis.apply.apply_dock.default_file", lambda: tmp_path / "config" / "apply.yaml")
    return settings


@pytest.fixture
def viewer(preferences: Any) -> Any:
    """A viewer without a window, which is all that most of the dock needs."""
    return ViewerModel()


@pytest.fixture
def viewer_in_a_window(preferences: Any, make_napari_viewer: Any) -> Any:
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    return made


@pytest.fixture
def scan(viewer: Any) -> Layer:
    array, meta = layer_of(make_phantom(1, shape=(24, 48, 48)).volume)
    viewer.add_layer(Layer.create(array, {**meta, "name": "thorax", "contrast_limits": (-1000, 400)}, "image"))
    return viewer.layers["thorax"]


@pytest.fixture
def open_dock(viewer: Any, qtbot: Any) -> Callable[..., ApplyDock]:
    """Open the dock, choose a model by its folder's name, and wait until everything is known."""

    def open_one(model: str = "") -> ApplyDock:
        dock = ApplyDock(viewer)
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(dock, name="Apply", area="right")
        else:
            qtbot.addWidget(dock)
            dock.resize(WIDTH, 740)
            dock.show()
        rest(qtbot, dock)
        if model:
            row = next(n for n in range(dock.parts.models.models.count()) if _name(dock, n) == model)
            dock.parts.models.models.setCurrentIndex(row)
            dock.parts.models.models.activated.emit(row)
            rest(qtbot, dock)
        return dock

    return open_one


@pytest.fixture
def many_windows(open_dock: Callable[..., ApplyDock], viewer: Any, qtbot: Any) -> Callable[[str], ApplyDock]:
    """Start work of thousands of windows, and wait until the first ones are done."""

    def start(model: str = "segmenter") -> ApplyDock:
        array, meta = layer_of(make_phantom(1, shape=(48, 80, 80)).volume)
        viewer.add_layer(Layer.create(array, {**meta, "name": "thorax"}, "image"))
        dock = open_dock(model)
        dock.parts.options.overlap.editor.moved.emit(0.95, True)
        qtbot.mouseClick(dock.parts.start, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: dock.parts.bar.value() > 0, timeout=60_000)
        return dock

    return start


def _name(dock: ApplyDock, row: int) -> str:
    return str(dock.parts.models.models.itemData(row).name)
