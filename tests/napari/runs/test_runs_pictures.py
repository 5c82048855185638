"""The dock with a workspace as people have them, as pictures to look at: the table, one run, several, the questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog
from runs_driving import choose, write_run

pytestmark = [pytest.mark.gui, pytest.mark.slow]
PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"


def write_workspace(runs: Path) -> None:
    write_run(runs / "lung_genesis", state="running", step=480, total=2000, host="gpu-server", pid=1)
    write_run(runs / "lung_paper", state="stopped", step=800, total=2000, age=90_000, message="asked to stop")
    write_run(runs / "liver", "segmentation", held_out=0.91, source="../lung_paper", age=4000)
    write_run(runs / "liver_scratch", "segmentation", held_out=0.84, rate=0.0003, loss=0.03, age=9000)
    message = "not enough memory for a batch of 8: lower training.batch_size to 4"
    write_run(runs / "spleen_wide", "segmentation", "failed", step=120, total=1000, message=message, dice=0.6)
    write_run(runs / "tumour_regions", "segmentation", "queued", step=0, age=50)
    (write_run(runs / "cut_off", age=3 * 86_400) / "status.json").write_text("{")
    folds = write_run(runs / "kidney_folds", "segmentation", "running", host="gpu-server", pid=1)
    events = [{"event": "fold", "step": 100 * number, "fold": number + 1, "folds": 5} for number in range(3)]
    (folds / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for number in range(3):
        write_run(folds / "folds" / str(number), "segmentation", dice=0.78 + number / 50, loss=0.3 + number / 30)


def picture(viewer: Any, name: str) -> None:
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_view_has_its_picture(
    viewer: Any,
    qtbot: Any,
    workspace: Path,
    add_trained: Callable[..., Path],
    theme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.theme = theme
    write_workspace(workspace / "runs")
    add_trained("trained")
    _, dock = viewer.window.add_plugin_dock_widget("napari-genesis", "Runs")
    qtbot.waitUntil(lambda: dock.has_looked, timeout=20_000)
    for name, chosen in {
        "running": ("lung_genesis",),
        "failed": ("spleen_wide",),
        "folds": ("kidney_folds",),
        "trained": ("trained",),
        "compared": ("liver", "liver_scratch"),
        "compared_tasks": ("liver", "lung_genesis"),
    }.items():
        choose(qtbot, dock, *chosen)
        qtbot.wait(300)
        picture(viewer, f"runs_{name}_{theme}")
    choose(qtbot, dock, "trained")

    def show_and_leave(dialogue: QDialog) -> int:
        dialogue.show()
        qtbot.waitExposed(dialogue)
        QTimer.singleShot(300, dialogue.reject)
        dialogue.grab().save(str(PICTURES / f"runs_{type(dialogue).__name__.lower()}_{theme}.png"))
        return 0

    monkeypatch.setattr("napari_genesis.runs.asking.ExportDialogue.exec", show_and_leave)
    dock.errands.do("export")
    monkeypatch.setattr("napari_genesis.runs.removals.confirm_delete", lambda *_: True)
    dock.errands.do("delete")
    qtbot.waitUntil(dock.parts.done.isVisible, timeout=10_000)
    picture(viewer, f"runs_deleted_{theme}")
    assert (workspace / "runs" / ".deleted").is_dir()
