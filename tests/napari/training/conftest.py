"""A Pretrain dock in a real viewer, as the plugin menu opens it, and jobs that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finetune_driving import make_labelled
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from training_runs import make_scans

from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.queues import application_jobs, forget_jobs
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.training.finetuning.finetune_dock import FinetuneDock
from napari_genesis.training.pretrain_dock import PretrainDock


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scans(tmp_path_factory.mktemp("scans") / "thorax")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_labelled(tmp_path_factory.mktemp("set") / "labelled")


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logs and preferences of this test alone; nothing is asked that loads torch; nothing trains on."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    measured = StepTime(0.5, 3 << 28)
    devices = [Device("cpu", "2 cores", 19 << 30, 24 << 30)]
    monkeypatch.setattr("napari_genesis.training.looking.find_devices", lambda: devices)
    monkeypatch.setattr("napari_genesis.training.estimating.measure_step_time", lambda _settings, **_: measured)
    monkeypatch.setattr("napari_genesis.training.estimating.known_step_time", lambda _settings: None)
    yield
    for job in application_jobs().jobs:
        job.stop_now()
    forget_jobs()


@pytest.fixture
def viewer(plugin_settings: Any, npe2pm: Any, make_napari_viewer: Any, tmp_path: Path) -> Any:
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    get_plugin_settings("napari-genesis").files.workspace = str(tmp_path / "workspace")
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    return made


@pytest.fixture
def open_dock(viewer: Any, qtbot: Any) -> Callable[[], PretrainDock]:
    """Open the dock from the plugin menu's command, and wait until it has looked around."""

    def open_one() -> PretrainDock:
        _, dock = viewer.window.add_plugin_dock_widget("napari-genesis", "Pretrain")
        qtbot.waitUntil(lambda: dock.has_looked, timeout=30_000)
        return dock

    return open_one


@pytest.fixture
def open_finetune(viewer: Any, qtbot: Any) -> Callable[[], FinetuneDock]:
    """Open the Fine-tune dock from the plugin menu's command, and wait until it has looked around."""

    def open_one() -> FinetuneDock:
        _, dock = viewer.window.add_plugin_dock_widget("napari-genesis", "Fine-tune")
        qtbot.waitUntil(lambda: dock.has_looked, timeout=30_000)
        return dock

    return open_one
