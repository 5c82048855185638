"""Looking around while a dock is seen: the runs of the workspace, and the devices with their free memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_genesis.jobs.devices import find_devices
from napari_genesis.jobs.found_runs import find_runs
from napari_genesis.studio.computing import LatestOnly

# Milliseconds between two looks at the workspace, and at the devices' free memory.
_LIST_EVERY, _DEVICES_EVERY = 2000, 30_000


class Surroundings(QObject):
    """runs_found(runs): those of the folder, see `find_runs`. devices_found(devices): see `find_devices`.

    runs_failed, devices_failed(exception): why they are not known. folder: asked for at each look where the runs are.
    """

    runs_found = Signal(object)
    runs_failed = Signal(object)
    devices_found = Signal(object)
    devices_failed = Signal(object)

    def __init__(self, folder: Callable[[], Path], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._listing = LatestOnly("genesis-runs", self)
        self._asking = LatestOnly("genesis-devices", self)
        self._listing.finished.connect(self.runs_found)
        self._asking.finished.connect(self.devices_found)
        self._listing.failed.connect(self.runs_failed)
        self._asking.failed.connect(self.devices_failed)
        self._list_timer = _timer(self, _LIST_EVERY, self.list_runs)
        self._devices_timer = _timer(self, _DEVICES_EVERY, self.ask_devices)

    @property
    def lanes(self) -> tuple[LatestOnly, ...]:
        """The threads it looks in; they end with the dock."""
        return (self._listing, self._asking)

    def start(self) -> None:
        """Look at the runs now, and again and again."""
        self._list_timer.start()
        self.list_runs()

    def stop(self) -> None:
        """Look no more."""
        self._list_timer.stop()
        self._devices_timer.stop()

    def look_at_devices(self, wanted: bool) -> None:
        """Look at the devices now, and again and again, or no more: a look takes some memory of every GPU."""
        if not wanted:
            self._devices_timer.stop()
        elif not self._devices_timer.isActive():
            self._devices_timer.start()
            self.ask_devices()

    def list_runs(self) -> None:
        """Look at the runs now."""
        folder = self._folder()
        self._listing.submit(lambda: find_runs(folder))

    def ask_devices(self) -> None:
        """Look at the devices now."""
        self._asking.submit(find_devices)


def _timer(parent: QObject, milliseconds: int, called: Any) -> QTimer:
    timer = QTimer(parent)
    timer.setInterval(milliseconds)
    timer.timeout.connect(called)
    return timer
