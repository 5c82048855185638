"""The dock in every real state, as pictures to look at: before, while it trains, finished, failed, queued."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dock_driving import picture, press, set_up, start
from napari.layers import Layer
from training_runs import wait_for_state, wait_for_step

from genesis_core.phantom.thorax import make_phantom
from napari_genesis.layers import shown
from napari_genesis.training.pretrain_dock import PretrainDock

pytestmark = [pytest.mark.gui, pytest.mark.slow]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_state_has_its_picture(
    viewer: Any, open_dock: Callable[[], PretrainDock], qtbot: Any, scans: Path, tmp_path: Path, theme: str
) -> None:
    viewer.theme = theme
    array, meta = shown(make_phantom(1, shape=(48, 96, 96)).volume)
    viewer.add_layer(Layer.create(array, {**meta, "name": "thorax", "contrast_limits": (-1000, 400)}, "image"))
    viewer.dims.set_current_step(0, 24)
    dock = open_dock()
    picture(viewer, f"pretrain_empty_{theme}")
    set_up(qtbot, dock, scans, 300)
    qtbot.waitUntil(lambda: "GB of memory" in dock.setup.estimate.text(), timeout=10_000)
    picture(viewer, f"pretrain_before_{theme}")
    dock.setup.advanced.fold.click()
    qtbot.wait(100)
    picture(viewer, f"pretrain_advanced_{theme}")
    dock.setup.advanced.fold.click()
    press(qtbot, dock.controls.start_button)
    first = dock.job
    assert first is not None
    picture(viewer, f"pretrain_starting_{theme}")
    wait_for_step(qtbot, first, 100)
    viewer.reset_view()
    qtbot.wait(600)
    picture(viewer, f"pretrain_running_{theme}")
    dock.show_run(None)
    second = start(qtbot, dock, scans, 100_000)
    picture(viewer, f"pretrain_queued_{theme}")
    dock.show_run(first.run.path)
    wait_for_state(qtbot, first, "finished")
    qtbot.wait(2500)
    picture(viewer, f"pretrain_finished_{theme}")
    dock.show_run(second.run.path)
    wait_for_step(qtbot, second, 20)
    dock.page.curves.menu.actions()[0].trigger()
    os.kill(second.view.status.pid, signal.SIGKILL)
    wait_for_state(qtbot, second, "interrupted")
    qtbot.wait(2500)
    picture(viewer, f"pretrain_failed_{theme}")
    broken = tmp_path / "cohort"
    broken.mkdir()
    for number in range(5):
        (broken / f"scan_{number}.nii.gz").write_bytes(b"no scan")
    dock.show_run(None)
    dock.setup.data.choose(broken)
    qtbot.waitUntil(lambda: dock.setup.data.check is not None and dock.setup.data.check.done, timeout=30_000)
    picture(viewer, f"pretrain_refused_{theme}")
