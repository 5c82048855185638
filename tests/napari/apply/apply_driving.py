"""Tiny models to apply, ways to drive an Apply dock as a user does, and to wait until it is at rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

import genesis_core as gc
from genesis_core.inference.restore import Restoration
from genesis_core.inference.segment import Segmentation
from genesis_core.volumes.volume import Volume
from napari_genesis.apply.apply_dock import ApplyDock

PICTURES = Path(__file__).resolve().parents[3] / "build" / "screenshots"
PATCH = (16, 32, 32)


def write_model(folder: Path, task: str, *, channels: Sequence[str] = (), seed: int = 0, **changes: Any) -> Path:
    """Write an untrained model of width 2; its structures are "lung" and "heart"."""
    import torch

    from genesis_core.model.card import LabelEntry, ModelCard
    from genesis_core.model.folder import save_model
    from genesis_core.networks.registry import create_network
    from genesis_core.networks.settings import UNet3DSettings
    from genesis_core.volumes.preprocessing import Preprocessing

    torch.manual_seed(seed)
    segments = task == "segmentation"
    network = UNet3DSettings(
        width=2, norm="instance", in_channels=max(1, len(channels)), out_channels=3 if segments else 1
    )
    card = ModelCard.model_validate(
        {
            "name": folder.name,
            "task": task,
            "network": network,
            "activation": "softmax" if segments else "sigmoid",
            "preprocessing": Preprocessing.model_validate({"modality": "ct"}),
            "patch_size": PATCH,
            "channels": tuple(channels),
            "structures": (LabelEntry(name="lung", value=2, colour=(10, 200, 30)), LabelEntry(name="heart", value=5))
            if segments
            else (),
            "data": {"modality": "ct", "training_scans": 8, "validation_scans": 2},
            "metrics": {"dice": 0.5},
            "licence": "CC BY 4.0",
            **changes,
        }
    )
    save_model(folder, create_network(card.network), card)
    return folder


def core_segments(model: Path, volume: Volume | Sequence[Volume], **options: Any) -> Segmentation:
    """Return what the core finds by itself."""
    _one_thread()
    return gc.segment(gc.load_model(model), volume, **options)


def core_restores(model: Path, volume: Volume, **options: Any) -> Restoration:
    """Return what the core restores by itself."""
    _one_thread()
    return gc.restore(gc.load_model(model), volume, **options)


def _one_thread() -> None:
    import torch

    # napari draws labels by a parallel kernel, which gives the main thread as many OpenMP threads as there are cores,
    # and tiny networks then wait for one another most of the time.
    torch.set_num_threads(1)


def rest(qtbot: Any, dock: ApplyDock) -> None:
    """Wait until nothing is computed and everything computed is shown."""
    lanes = (*dock.choice.lanes, dock.parts.residual.lane)
    for _ in range(3):
        qtbot.waitUntil(lambda: not dock.running.busy and not any(lane.busy for lane in lanes), timeout=120_000)
        QApplication.processEvents()


def run(qtbot: Any, dock: ApplyDock) -> None:
    """Press the button, and wait for what comes of it."""
    assert dock.parts.start.isEnabled(), dock.parts.status.text()
    qtbot.mouseClick(dock.parts.start, Qt.MouseButton.LeftButton)
    assert dock.running.busy
    rest(qtbot, dock)


def close(viewer: Any, dock: ApplyDock) -> None:
    """Close the dock as its cross does, and let Qt delete what was in it."""
    if hasattr(viewer, "window"):
        viewer.window.remove_dock_widget(dock)
    else:
        dock.close()
        dock.deleteLater()
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def picture(viewer: Any, name: str) -> None:
    """Keep a screenshot of the whole window."""
    QApplication.processEvents()
    PICTURES.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(PICTURES / f"{name}.png"), canvas_only=False, flash=False)
