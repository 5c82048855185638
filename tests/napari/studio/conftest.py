"""A Studio beside a viewer without a window, which is all that most of it needs, or in a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from studio_driving import rest

from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.volume import Volume
from napari_genesis.layers import shown as layer_of
from napari_genesis.studio.parts import WIDTH
from napari_genesis.studio.studio import Studio


@pytest.fixture
def preferences(plugin_settings: Any, npe2pm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preferences and a kept state of this test alone, and no other plugin."""
    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    monkeypatch.setattr("napari_genesis.studio.studio.default_file", lambda: tmp_path / "config" / "studio.yaml")


@pytest.fixture
def viewer(preferences: None) -> Any:
    return ViewerModel()


@pytest.fixture
def viewer_in_a_window(preferences: None, make_napari_viewer: Any) -> Any:
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    return made


@pytest.fixture(scope="session")
def thorax() -> Volume:
    return make_phantom(1, shape=(64, 112, 112)).volume


@pytest.fixture
def scan(viewer: Any, thorax: Volume) -> Layer:
    array, meta = layer_of(Volume(thorax.array.copy(), thorax.geometry))
    viewer.add_layer(Layer.create(array, {**meta, "name": "thorax", "contrast_limits": (-1000, 400)}, "image"))
    viewer.dims.set_current_step(0, 32)
    return viewer.layers["thorax"]


@pytest.fixture
def open_studio(viewer: Any, qtbot: Any) -> Callable[[], Studio]:
    """Open the Studio, in a window by the plugin menu, and wait for its first preview if there is a scan."""

    def open_one() -> Studio:
        if hasattr(viewer, "window"):
            _, studio = viewer.window.add_plugin_dock_widget("napari-genesis", "Corruption Studio")
        else:
            studio = Studio(viewer)
            qtbot.addWidget(studio)
            studio.resize(WIDTH, 740)
            studio.show()
        rest(qtbot, studio)
        return studio

    return open_one


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model that restores."""
    import torch

    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import save_model
    from genesis_core.networks.registry import create_network
    from genesis_core.networks.settings import UNet3DSettings
    from genesis_core.volumes.preprocessing import Preprocessing

    torch.manual_seed(0)
    settings = UNet3DSettings(width=2, norm="batch_statistics")
    folder = tmp_path_factory.mktemp("model")
    card = ModelCard(
        name="tiny",
        task="restoration",
        network=settings,
        activation="sigmoid",
        preprocessing=Preprocessing.model_validate({"modality": "ct"}),
        patch_size=(32, 64, 64),
    )
    save_model(folder, create_network(settings), card)
    return folder
