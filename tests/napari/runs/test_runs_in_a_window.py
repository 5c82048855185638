"""The dock as the plugin menu opens it, beside the real docks it opens itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs_driving import choose
from training_runs import TINY

from napari_genesis.jobs.devices import Device
from napari_genesis.jobs.step_time import StepTime
from napari_genesis.runs.runs_dock import RunsDock

pytestmark = pytest.mark.gui
_DEVICE, _TIME = Device("cpu", "2 cores", 19 << 30, 24 << 30), StepTime(0.5, 3 << 28)


def test_a_run_is_duplicated_watched_and_applied_in_the_docks_for_that(
    viewer: Any, qtbot: Any, add_trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_genesis.training.looking.find_devices", lambda: [_DEVICE])
    monkeypatch.setattr("napari_genesis.training.estimating.measure_step_time", lambda _settings, **_: _TIME)
    monkeypatch.setattr("napari_genesis.training.estimating.known_step_time", lambda _settings: None)
    run = add_trained("trained")
    _, dock = viewer.window.add_plugin_dock_widget("napari-genesis", "Runs")
    assert isinstance(dock, RunsDock)
    qtbot.waitUntil(lambda: dock.has_looked, timeout=20_000)
    choose(qtbot, dock, "trained")
    actions = dock.parts.run_actions.actions
    actions["duplicate"].trigger()
    _, pretrain = viewer.window.add_plugin_dock_widget("napari-genesis", "Pretrain")
    assert not dock.parts.trouble.text()
    assert pretrain.job is None
    assert pretrain.setup.draft.settings(None, None).network.width == TINY["network"]["width"]
    actions["watch"].trigger()
    assert pretrain.job is not None
    assert pretrain.job.run.path == run
    actions["apply"].trigger()
    _, applying = viewer.window.add_plugin_dock_widget("napari-genesis", "Apply")
    assert applying.choice.entry is not None
    assert applying.choice.entry.path == run
