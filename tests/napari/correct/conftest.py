"""A workspace with a tiny fine-tuned run and a ranked review of its own for each test, and docks in real viewers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from napari.resources._icons import build_theme_svgs
from npe2 import PluginManifest
from qtpy.QtCore import QDir
from review_driving import rest
from review_runs import make_run, make_unlabelled

from napari_genesis.correct.parts import WIDTH
from napari_genesis.correct.review_dock import ReviewDock
from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.queues import application_jobs, forget_jobs


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the run "first", scans to review, and the ranked review "thorax"."""
    from genesis_core.studies.review import Review, propose

    workspace = tmp_path_factory.mktemp("reviewing") / "workspace"
    workspace.mkdir()
    run = make_run(workspace)
    scans = make_unlabelled(workspace / "scans")
    propose(Review.create(workspace / "reviews" / "thorax", scans=scans, run=run), device="cpu")
    return workspace


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may write into."""
    return Path(shutil.copytree(trained, tmp_path / "workspace"))


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logs and a kept state of this test alone; nothing is asked that loads torch; nothing trains on."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    devices = [Device("cpu", "2 cores", 19 << 30, 24 << 30)]
    monkeypatch.setattr("napari_genesis.correct.round_control.find_devices", lambda: devices)
    yield
    for job in application_jobs().jobs:
        job.stop_now()
    forget_jobs()


@pytest.fixture
def preferences(plugin_settings: Any, npe2pm: Any, workspace: Path) -> Any:
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_distribution("napari-genesis"))
    settings = get_plugin_settings("napari-genesis")
    settings.files.workspace = str(workspace)
    settings.computing.device = "cpu"
    return settings


@pytest.fixture
def viewer(preferences: Any) -> ViewerModel:
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
def open_dock(qtbot: Any, tmp_path: Path) -> Callable[..., ReviewDock]:
    """Open the dock in a viewer, on a review of the workspace if one is named, and wait until it is at rest."""

    def open_one(viewer: Any, review: Path | None = None) -> ReviewDock:
        dock = ReviewDock(viewer, tmp_path / "config" / "review.yaml")
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(dock, name="Review", area="right")
        else:
            qtbot.addWidget(dock)
            dock.resize(WIDTH, 740)
            dock.show()
        rest(qtbot, dock)
        if review is not None:
            dock.open_review(review)
            rest(qtbot, dock)
        return dock

    return open_one
