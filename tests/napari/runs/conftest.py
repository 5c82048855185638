"""A Runs dock over a workspace of run folders, real ones and ones that are written as the trainings write them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from qtpy.QtWidgets import QMessageBox
from runs_driving import Docks
from training_runs import make_scans, tiny

from genesis_core.training.pretrain import run_pretraining
from napari_genesis.jobs.queues import application_jobs, forget_jobs
from napari_genesis.preferences import Preferences
from napari_genesis.runs import runs_dock
from napari_genesis.runs.runs_dock import RunsDock


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny pre-training that is finished; tests take copies."""
    folder = tmp_path_factory.mktemp("trained")
    scans = make_scans(folder / "scans" / "thorax")
    return run_pretraining(tiny(scans, folder / "runs" / "trained", 6)).path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "workspace" / "runs").mkdir(parents=True)
    return tmp_path / "workspace"


@pytest.fixture
def add_trained(trained: Path, workspace: Path) -> Callable[..., Path]:
    """Copy the trained run into the workspace."""

    def add(name: str) -> Path:
        shutil.copytree(trained, workspace / "runs" / name)
        shutil.copytree(trained.parent.parent / "scans", workspace / "scans", dirs_exist_ok=True)
        return workspace / "runs" / name

    return add


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> Iterator[None]:
    """The test's own workspace, logs and settings; a question nobody answers fails at once; nothing trains on."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(runs_dock, "read_preferences", lambda: Preferences(workspace=workspace))

    def unasked(box: QMessageBox) -> int:
        raise AssertionError(f"nobody answers: {box.text()}")

    monkeypatch.setattr(QMessageBox, "exec", unasked)
    yield
    for job in application_jobs().jobs:
        job.stop_now()
    forget_jobs()


@pytest.fixture
def docks() -> Docks:
    return Docks()


@pytest.fixture
def open_dock(qtbot: Any, docks: Docks) -> Callable[[], RunsDock]:
    """Open the dock alone, and wait until it has looked around."""

    def open_one() -> RunsDock:
        dock = RunsDock(docks)  # type: ignore[arg-type]
        qtbot.addWidget(dock)
        dock.resize(360, 720)
        dock.show()
        qtbot.waitUntil(lambda: dock.has_looked, timeout=20_000)
        return dock

    return open_one


@pytest.fixture
def viewer(plugin_settings: Any, npe2pm: Any, make_napari_viewer: Any, workspace: Path) -> Any:
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    get_plugin_settings("napari-genesis").files.workspace = str(workspace)
    # napari's own start draws its icons and registers where they lie; its fixture does not.
    for theme in ("dark", "light"):
        QDir.addSearchPath(f"theme_{theme}", build_theme_svgs(theme, "builtin"))
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(1280, 800)
    return made
