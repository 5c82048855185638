"""Run folders as trainings leave them, a window that only remembers, and ways to drive a Runs dock as a user does."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from napari_genesis.runs.runs_dock import RunsDock


def write_run(folder: Path, task: str = "restoration", state: str = "finished", step: int = 100, **more: Any) -> Path:
    """Write a run folder as a training leaves it. more: loss, mean, dice, held_out, host, pid, age (s), source."""
    folder.mkdir(parents=True)
    settings = {
        "schema": 1,
        "task": task,
        "data": {"scans": "../../scans"} if task == "restoration" else {"labelled": "../../labelled"},
        "training": {"batch_size": 2, "learning_rate": more.get("rate", 0.001)},
        "seed": more.get("seed", 0),
        "device": "cpu",
    }
    if task == "segmentation":
        settings["source"] = more.get("source")
    (folder / "run.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    now = time.time() - more.get("age", 0)
    status = {"state": state, "step": step, "total_steps": more.get("total", 100), "pid": more.get("pid", 0)}
    status |= {"host": more.get("host", socket.gethostname()), "heartbeat": now, "message": more.get("message", "")}
    (folder / "status.json").write_text(json.dumps(status))
    events: list[dict[str, Any]] = [{"event": "started", "time": now - 60, "step": 0, "total_steps": 100}]
    for at in range(step // 10 + 1):
        loss = more.get("loss", 0.02) * (2 - at / (step // 10 or 1))
        events.append({"event": "step", "step": at * 10, "loss": loss, "time": now})
        figures = {"loss": loss, "return_mean": more.get("mean", 0.05)} if task == "restoration" else {"loss": loss}
        if task == "segmentation":
            figures["mean_dice"] = more.get("dice", 0.8) * at / (step // 10 or 1)
        events.append({"event": "validation", "step": at * 10, **figures})
    if state in ("finished", "stopped"):
        events.append({"event": state, "step": step, "seconds": 60.0, "time": now})
    with open(folder / "events.jsonl", "w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps({"v": 1, **event}) + "\n")
    if more.get("held_out"):
        (folder / "held_out.json").write_text(json.dumps({"v": 1, "means": {"mean_dice": more["held_out"]}}))
    return folder


class Docks:
    """Stands for the viewer's window: remembers which docks were opened, and hands out what they would be."""

    def __init__(self) -> None:
        self.window = self
        self.opened: list[str] = []
        self.dock = _Recorder()

    def add_plugin_dock_widget(self, plugin: str, title: str, *, tabify: bool) -> tuple[Any, Any]:
        assert tabify, "a dock of its own would halve the others"
        self.opened.append(f"{plugin}: {title}")
        return SimpleNamespace(raise_=lambda: None), self.dock


class _Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, Path]] = []
        self.choice = self

    def __getattr__(self, name: str) -> Callable[[Path], None]:
        return lambda path: self.calls.append((name, path))


def texts(dock: RunsDock, column: int = 0) -> list[str]:
    """What a column shows, from the top."""
    return [row.cells[column].text for row in dock.parts.runs.table.rows]


def choose(qtbot: Any, dock: RunsDock, *names: str) -> None:
    """Select runs by their names, and wait until what is told of them is there."""
    folder = dock.runs_folder
    qtbot.waitUntil(lambda: set(names) <= set(texts(dock)), timeout=10_000)
    dock.parts.runs.choose([folder / name for name in names])
    qtbot.waitUntil(lambda: not dock.parts.runs.is_settling and not dock.chosen.lane.busy, timeout=20_000)
    panel = dock.parts.facts if len(names) == 1 else dock.parts.settings
    qtbot.waitUntil(panel.isVisible, timeout=20_000)
