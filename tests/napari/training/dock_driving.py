"""Ways to drive a Pretrain dock as a user does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication
from training_runs import ENDLESS, TINY

from napari_genesis.jobs.job import Job
from napari_genesis.training.draft import PretrainDraft
from napari_genesis.training.pretrain_dock import PretrainDock

PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"


def tiny_draft(scans: Path, steps: int = ENDLESS) -> PretrainDraft:
    """A draft whose training takes some milliseconds a step."""
    changed = {
        f"{group}.{key}": value for group in ("training", "network", "sampling") for key, value in TINY[group].items()
    }
    changed["validation_samples"] = 2
    return PretrainDraft(scans=scans, budget="steps", steps=steps, device="cpu", changed=changed)


def set_up(qtbot: Any, dock: PretrainDock, scans: Path, steps: int = ENDLESS) -> None:
    """Choose a tiny training, and wait for the check of its scans."""
    dock.setup.edit(tiny_draft(scans, steps))
    dock.setup.data.choose(scans)
    qtbot.waitUntil(lambda: dock.setup.can_start, timeout=60_000)


def press(qtbot: Any, button: Any) -> None:
    """Press a button that is there to be pressed."""
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def start(qtbot: Any, dock: PretrainDock, scans: Path, steps: int = ENDLESS) -> Job:
    """Set a tiny training up and start it by its button."""
    set_up(qtbot, dock, scans, steps)
    press(qtbot, dock.controls.start_button)
    assert dock.job is not None
    return dock.job


def drop(widget: Any, path: Path) -> None:
    """Drop a file or a folder onto a widget."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, button, modifier = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(widget, QDragEnterEvent(QPoint(5, 5), action, data, button, modifier))
    QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), action, data, button, modifier))


def picture(viewer: Any, name: str) -> None:
    """Keep a screenshot of the whole window."""
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
