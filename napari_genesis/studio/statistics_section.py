"""What many samples of this place do, measured in a thread beside the work: a histogram, and the speed here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.statistics import DrawStatistics, Throughput, draw_statistics, sub_volumes_per_second
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.preview import Preview
from napari_genesis.studio.scan import Index
from napari_genesis.studio.statistics_plot import StatisticsPlot

# Enough for a steady median, few enough for a fifth of a second at the published size.
DRAWS = 200
_AT_ONCE = 10


class StatisticsSection(QWidget):
    """Measures the recipe of a preview while it is visible; `lane` is its thread, to be closed with the Studio."""

    _arrived = Signal(int, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = StatisticsPlot()
        self.lane = LatestOnly("genesis-studio-statistics", self)
        self._stop = threading.Event()
        self._number = 0
        self._measured: tuple[Recipe, Index] | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)
        self._arrived.connect(self._add)
        self.lane.finished.connect(self._finished)

    def measure(self, preview: Preview) -> None:
        """Measure the recipe on a sub-volume anew; what runs for an earlier one stops."""
        self.plot.show_current(preview.changed)
        wanted, original = preview.wanted, preview.original
        if not self.isVisible() or wanted.slab is not None:
            return
        self.stop()
        self._stop, self._number = threading.Event(), self._number + 1
        stop, number = self._stop, self._number
        self.plot.start(DRAWS)
        # The speed does not depend on the place.
        known = self._measured == (wanted.recipe, wanted.box.size)

        def work() -> tuple[Recipe, Index, Throughput] | None:
            drawn = draw_statistics(wanted.recipe, original, range(wanted.seed, wanted.seed + DRAWS))
            while batch := list(islice(drawn, _AT_ONCE)):
                if stop.is_set():
                    return None
                self._arrived.emit(number, batch)
            if known or stop.is_set():
                return None
            return wanted.recipe, wanted.box.size, sub_volumes_per_second(wanted.recipe, wanted.box.size)

        self.lane.submit(work)

    def stop(self) -> None:
        """Stop what is being measured."""
        self._stop.set()
        self.lane.discard()

    def _add(self, number: int, batch: Sequence[DrawStatistics]) -> None:
        if number == self._number:
            for one in batch:
                self.plot.add(one)

    def _finished(self, result: tuple[Recipe, Index, Throughput] | None) -> None:
        if result is not None:
            recipe, size, speed = result
            self._measured = (recipe, size)
            self.plot.show_speed(speed)
