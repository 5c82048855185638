"""The Pretrain dock in a real viewer, driven as a user drives it, with real, tiny trainings."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from dock_driving import drop, press, set_up, start
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication
from training_runs import ENDLESS, prepared, wait_for_state, wait_for_step

from genesis_core.training.run_folder import RunFolder
from napari_genesis.jobs.launching import start as launch
from napari_genesis.jobs.queues import forget_jobs
from napari_genesis.training.pretrain_dock import WIDTH, PretrainDock

pytestmark = pytest.mark.gui
Open = Callable[[], PretrainDock]


def close(viewer: Any, dock: PretrainDock) -> None:
    """Close the dock as its cross does, and let Qt delete what was in it."""
    viewer.window.remove_dock_widget(dock)
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def test_a_run_is_started_watched_stopped_and_resumed(open_dock: Open, viewer: Any, scans: Path, qtbot: Any) -> None:
    dock = open_dock()
    assert dock.width() == WIDTH
    job = start(qtbot, dock, scans)
    wait_for_step(qtbot, job, 11)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=10_000)
    layers = list(viewer.layers)
    assert [layer.name for layer in layers] == [f"pretrain_1: {kind}" for kind in ("original", "corrupted", "restored")]
    assert layers[0].data.shape == (16, 34, 16)
    assert tuple(str(unit) for unit in layers[0].units) == ("millimeter",) * 3
    assert layers[2].translate[2] > layers[1].translate[2] > layers[0].translate[2]
    before = np.array(layers[2].data)
    page = dock.page
    assert "Training: step" in page.progress.head.text()
    assert "left, done" in page.progress.left.text()
    shown = {name.text(): value.text() for name, value in page.progress.figures.cells}
    assert {"validation loss", "returning the mean", "returning the input", "spread", "waits for data"} <= set(shown)
    qtbot.waitUntil(lambda: len(page.curves.validation.xData) >= 3)
    level = page.curves.baselines["return_mean"].yData
    assert level[0] == level[-1] == job.view.figures["return_mean"]
    press(qtbot, dock.controls.stop_button)
    assert not dock.controls.stop_button.isEnabled()
    wait_for_state(qtbot, job, "stopped")
    reached = job.view.step
    assert f"Stopped: step {reached}" in page.progress.head.text()
    assert (job.run.checkpoints / "last.pt").is_file()
    press(qtbot, dock.controls.resume_button)
    wait_for_step(qtbot, job, reached + 6)
    # The same layers, with new voxels.
    qtbot.waitUntil(lambda: not np.array_equal(layers[2].data, before), timeout=20_000)
    assert list(viewer.layers) == layers
    # A layer the user deletes stays away, and takes the others along.
    viewer.layers.remove(layers[1])
    assert len(viewer.layers) == 0
    assert not page.previews.isChecked()
    press(qtbot, dock.controls.stop_button)
    wait_for_state(qtbot, job, "stopped")
    assert len(viewer.layers) == 0


def test_two_runs_queue_and_a_second_dock_finds_both(open_dock: Open, viewer: Any, scans: Path, qtbot: Any) -> None:
    dock = open_dock()
    first = start(qtbot, dock, scans)
    wait_for_step(qtbot, first, 6)
    dock.show_run(None)
    set_up(qtbot, dock, scans)
    assert dock.controls.start_button.text() == "Start when free"
    second = start(qtbot, dock, scans)
    assert second.state == "queued"
    assert "Waits for pretrain_1" in dock.page.progress.note.text()
    # The dock goes, the jobs stay; the next dock shows what trains.
    close(viewer, dock)
    again = open_dock()
    assert again.job is first
    qtbot.waitUntil(lambda: len(again.page.curves.validation.xData) >= 1)
    texts = [again.chooser.runs.itemText(row) for row in range(again.chooser.runs.count())]
    assert "pretrain_1 (running)" in texts
    assert "pretrain_2 (queued)" in texts
    again.show_run(second.run.path)
    press(qtbot, again.controls.cancel_button)
    assert second.run.status().state == "stopped"
    press(qtbot, again.controls.resume_button)
    assert second.state == "queued"
    press(qtbot, again.controls.start_now_button)
    wait_for_step(qtbot, second, 1)
    assert first.is_alive
    first.stop()
    second.stop()
    wait_for_state(qtbot, second, "stopped")


def test_a_killed_run_says_why_and_a_deleted_one_that_it_is_gone(open_dock: Open, scans: Path, qtbot: Any) -> None:
    dock = open_dock()
    job = start(qtbot, dock, scans)
    wait_for_step(qtbot, job, 6)
    os.kill(job.view.status.pid, signal.SIGKILL)
    wait_for_state(qtbot, job, "interrupted")
    assert "killed (SIGKILL)" in dock.page.progress.trouble.text()
    assert "Resume goes on from its last checkpoint" in dock.page.progress.trouble.text()
    assert dock.controls.resume_button.isVisible()
    # Deleted while it trains: tests/napari/jobs.
    shutil.rmtree(job.run.path)
    dock.show_run(job.run.path)
    wait_for_state(qtbot, job, "gone")
    assert "folder is gone" in dock.page.progress.head.text()
    press(qtbot, dock.controls.new_button)
    assert dock.job is None


def test_closing_the_viewer_stops_the_run_with_a_checkpoint(
    open_dock: Open, viewer: Any, scans: Path, qtbot: Any
) -> None:
    dock = open_dock()
    job = start(qtbot, dock, scans)
    wait_for_step(qtbot, job, 2)
    run = RunFolder(job.run.path)
    # napari knows of it, and asks in these words before it closes.
    asked = viewer.window._qt_window._window._task_status_manager.get_status()
    assert any("'pretrain_1', which will stop with a checkpoint" in text for text in asked)
    viewer.close()
    qtbot.waitUntil(lambda: run.status().state == "stopped", timeout=30_000)
    assert run.status().step < ENDLESS
    assert (run.checkpoints / "last.pt").is_file()


def test_let_go_on_it_survives_the_viewer_and_is_found_with_its_curves(
    open_dock: Open, viewer: Any, scans: Path, qtbot: Any
) -> None:
    dock = open_dock()
    job = start(qtbot, dock, scans)
    dock.page.end.setCurrentIndex(1)
    dock.page.end.activated.emit(1)
    wait_for_step(qtbot, job, 6)
    asked = viewer.window._qt_window._window._task_status_manager.get_status()
    assert any("goes on without napari" in text for text in asked)
    # As when napari ends: nothing of it is left but the folder.
    close(viewer, dock)
    forget_jobs()
    again = open_dock()
    qtbot.waitUntil(lambda: again.job is not None and again.job.state == "running", timeout=20_000)
    found = again.job
    assert found is not None
    assert found.run.path == job.run.path
    assert not found.is_ours
    wait_for_step(qtbot, found, found.view.step + 3)
    assert found.view.steps[0] == 1
    press(qtbot, again.controls.stop_button)
    wait_for_state(qtbot, found, "stopped")
    assert "stop file" in found.view.status.message


@pytest.mark.slow
def test_a_run_that_others_started_is_found_watched_and_stopped(
    open_dock: Open, scans: Path, tmp_path: Path, qtbot: Any
) -> None:
    child = launch(prepared(scans, tmp_path / "workspace" / "runs" / "from_elsewhere"), "pretrain")
    try:
        run = RunFolder(tmp_path / "workspace" / "runs" / "from_elsewhere")
        qtbot.waitUntil(lambda: run.status().state == "running", timeout=30_000)
        dock = open_dock()
        qtbot.waitUntil(lambda: dock.job is not None, timeout=10_000)
        job = dock.job
        assert job is not None
        wait_for_step(qtbot, job, 3)
        # It is no child of this napari: closing it does nothing to the run.
        assert not dock.page.end_row.isVisible()
        press(qtbot, dock.controls.stop_button)
        qtbot.waitUntil(lambda: child.exit_code() is not None, timeout=30_000)
        wait_for_state(qtbot, job, "stopped")
    finally:
        child.kill()


def test_a_wrong_folder_is_named_before_anything_is_started(open_dock: Open, tmp_path: Path, qtbot: Any) -> None:
    dock = open_dock()
    assert not dock.controls.start_button.isEnabled()
    assert dock.controls.why_not.shown == "Choose a folder of scans to learn from."
    folder = tmp_path / "cohort"
    folder.mkdir()
    drop(dock.setup.data, folder)
    assert dock.setup.data.line.text() == str(folder)
    qtbot.waitUntil(lambda: dock.setup.data.summary.text() == "No scans in this folder.", timeout=20_000)
    (folder / "broken.nii.gz").write_bytes(b"nothing of a scan")
    dock.setup.data.choose(folder)
    qtbot.waitUntil(lambda: "0 usable, 1 refused" in dock.setup.data.summary.text(), timeout=20_000)
    assert "broken.nii.gz" in dock.setup.data.reasons.shown
    dock.setup.data.line.setText(str(tmp_path / "nowhere"))
    dock.setup.data.line.editingFinished.emit()
    qtbot.waitUntil(lambda: "no such file or folder" in dock.setup.data.summary.text(), timeout=20_000)
    assert not dock.controls.start_button.isEnabled()
    assert dock.controls.why_not.shown == "No scan of this folder can be used."
    assert not (tmp_path / "workspace" / "runs").exists()


def test_the_same_as_a_command_is_the_same_run(open_dock: Open, scans: Path, qtbot: Any) -> None:
    dock = open_dock()
    set_up(qtbot, dock, scans, steps=7)
    dock.copy_command()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:2] == ["napari-genesis", "pretrain"]
    done = subprocess.run(
        [sys.executable, "-m", "genesis_core", *words[1:], "--dry-run"], capture_output=True, text=True, check=True
    )
    said = yaml.safe_load(done.stdout)
    expected = dock.setup.draft.settings(None, None).model_dump(mode="json")
    assert {key: said[key] for key in expected if key != "out"} == {
        key: value for key, value in expected.items() if key != "out"
    }
    assert said["out"].endswith("workspace/runs/pretrain_1")


def test_what_was_chosen_is_there_again_the_next_day(open_dock: Open, viewer: Any, scans: Path, qtbot: Any) -> None:
    from napari.settings import get_plugin_settings

    dock = open_dock()
    assert dock.setup.draft.device == "auto"
    get_plugin_settings("napari-genesis").computing.device = "cpu"
    assert dock.setup.draft.device == "cpu"
    qtbot.waitUntil(lambda: dock.setup.device.currentText().startswith("cpu: "), timeout=10_000)
    dock.setup.data.choose(scans)
    dock.setup.budget.setCurrentIndex(2)
    dock.setup.budget.activated.emit(2)
    close(viewer, dock)
    again = open_dock()
    assert again.setup.draft.scans == scans
    assert again.setup.budget.currentText() == "a night (8 h)"
    qtbot.waitUntil(lambda: again.setup.can_start, timeout=30_000)
