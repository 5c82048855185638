"""Hundreds of runs do not hold the window up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QObject, QTimer
from runs_driving import texts, write_run

from napari_genesis.runs.runs_dock import RunsDock

pytestmark = pytest.mark.gui
COUNT = 300
# Milliseconds; what the window may take at most is 100, and a busy machine gets as much again.
LONGEST = 200


class Heartbeat(QObject):
    """Beats every few milliseconds; the longest silence between two beats is how long the window did not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.silences: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._beat)
        self._timer.start(2)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.silences.append(1000 * (now - self._last))
        self._last = now


def test_three_hundred_runs_are_listed_sorted_and_refreshed_without_a_stall(
    qtbot: Any, open_dock: Callable[[], RunsDock], workspace: Path
) -> None:
    dock = open_dock()
    for number in range(COUNT):
        task = "segmentation" if number % 3 else "restoration"
        write_run(workspace / "runs" / f"run_{number:03}", task, step=1000, total=1000, age=number, rate=number / 1e5)
    heart = Heartbeat()
    dock.look()
    qtbot.waitUntil(lambda: len(texts(dock)) == COUNT, timeout=60_000)
    qtbot.waitUntil(lambda: dock.parts.runs.table.rows[0].run.size is not None, timeout=30_000)
    dock.parts.runs.choose([dock.runs_folder / f"run_{number:03}" for number in range(6)])
    qtbot.waitUntil(dock.parts.settings.isVisible, timeout=20_000)
    for word in ("fine", "fine-tune 1", ""):
        dock.parts.filter.setText(word)
        qtbot.wait(30)
    for _ in range(3):
        dock.look()
        qtbot.waitUntil(lambda: not dock._looking.busy, timeout=20_000)
        qtbot.wait(30)
    assert len(texts(dock)) == COUNT
    assert max(heart.silences) < LONGEST, sorted(heart.silences)[-5:]
