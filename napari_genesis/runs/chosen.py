"""What is shown of the selected runs: read in a thread when they, or what is known of them, change."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qtpy.QtCore import QObject

from napari_genesis.runs.curves import CurveReader, RunCurve
from napari_genesis.runs.curves_plot import MOST
from napari_genesis.runs.details import RunDetails, read_details
from napari_genesis.runs.listing import RunSummary
from napari_genesis.runs.parts import RunsParts
from napari_genesis.runs.settings_table import Comparison, compare
from napari_genesis.studio.computing import LatestOnly

# A table of more would be wider than any window.
_COMPARED = 24


@dataclass(frozen=True, eq=False)
class _Told:
    """What was read. Exactly one of details and comparison is there."""

    runs: tuple[RunSummary, ...]
    curves: tuple[RunCurve, ...]
    details: RunDetails | None = None
    comparison: Comparison | None = None


class ChosenRuns(QObject):
    """Fills the lower half of the dock. What belongs to other runs than those selected is never shown."""

    def __init__(self, parts: RunsParts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._parts = parts
        self._runs: tuple[RunSummary, ...] = ()
        self._reader = CurveReader()
        self.lane = LatestOnly("genesis-runs-details", self)
        self.lane.finished.connect(self._take)
        self.lane.failed.connect(self._failed)

    def show(self, runs: tuple[RunSummary, ...]) -> None:
        """Show one run, or compare several; nothing is read again while nothing has changed."""
        # A run that trains gives a sign of life every two seconds, and most of them tell nothing new.
        runs = tuple(replace(run, latest=0.0, seconds=_told_seconds(run)) for run in runs)
        if runs == self._runs:
            return
        if [run.path for run in runs] != [run.path for run in self._runs]:
            self._parts.area.to_top()
        self._runs = runs
        names = runs[0].name if len(runs) == 1 else f"{len(runs)} runs compared"
        self._parts.say_head(names, bold=True)
        figure = runs[0].figure
        self._parts.result.setText(figure.words if figure is not None else "Nothing was validated yet.")
        self._parts.result.setVisible(len(runs) == 1)
        reader = self._reader
        self.lane.submit(lambda: _read(reader, runs))

    def show_nothing(self, words: str) -> None:
        """Show no run. words: what to do."""
        self._runs = ()
        self.lane.discard()
        self._parts.show_nothing(words)

    def _take(self, told: _Told) -> None:
        if told.runs != self._runs:
            return
        parts = self._parts
        if told.details is not None:
            parts.facts.show_details(told.details)
        if told.comparison is not None:
            parts.settings.show_comparison(told.comparison)
        parts.facts.setVisible(told.details is not None)
        parts.settings.setVisible(told.comparison is not None)
        parts.curves.show_curves(told.curves)
        if len(told.runs) > MOST:
            parts.head.setText(f"{len(told.runs)} runs compared; curves of the first {MOST}")

    def _failed(self, problem: Exception) -> None:
        self._parts.show_nothing(f"This cannot be shown ({type(problem).__name__}: {problem})")


def _read(reader: CurveReader, runs: tuple[RunSummary, ...]) -> _Told:
    curves = reader.read(runs[:MOST])
    if len(runs) == 1:
        return _Told(runs, curves, details=read_details(runs[0]))
    return _Told(runs, curves, comparison=compare(runs[:_COMPARED]))


def _told_seconds(run: RunSummary) -> float:
    """Return the seconds spent on training, of a run that trains in steps of ten, lest each step be told."""
    return run.seconds // 10 * 10 if run.is_alive else run.seconds
