"""Other runs whose curves are drawn beside those of the run that is shown: offered, chosen and followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject

from napari_genesis.jobs.job import Job
from napari_genesis.jobs.queues import Jobs
from napari_genesis.training.loss_curves import LossCurves


class Comparing(QObject):
    """Follows the runs that are chosen in `curves`."""

    def __init__(self, jobs: Jobs, curves: LossCurves, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._curves = curves
        self._compared: list[Job] = []
        curves.compare_wanted.connect(self._compare)

    def offer(self, runs: Sequence[Path], shown: Path | None) -> None:
        """Offer all runs but the one that is shown."""
        self._curves.offer([path for path in runs if path != shown])

    def _compare(self, paths: Sequence[Path]) -> None:
        before, self._compared = self._compared, [self._jobs.look_at(path) for path in paths]
        for job in before:
            job.changed.disconnect(self._changed)
            self._jobs.look_away(job)
        for job in self._compared:
            job.changed.connect(self._changed)
        self._changed()

    def _changed(self) -> None:
        self._curves.show_others([job.view.training_now for job in self._compared])
