"""The Runs dock: every run of the workspace in one table, what is selected below it, and what can be done with it.

It reads folders in threads and only while it is seen; trainings belong to `jobs.queues`, for the whole application.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QVBoxLayout

from genesis_core.errors import GenesisError
from napari_genesis.dock_state import read_state, write_state
from napari_genesis.docking import delete_when_closed, viewer_itself
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.preferences import on_preferences, read_preferences
from napari_genesis.runs import kept as keeping
from napari_genesis.runs.cells import cells_of, size_text
from napari_genesis.runs.chosen import ChosenRuns
from napari_genesis.runs.doing import state_of
from napari_genesis.runs.errands import Errands
from napari_genesis.runs.listing import Listing, RunListing
from napari_genesis.runs.parts import RunsParts
from napari_genesis.runs.table_model import Row
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.training.narrow_dock import NarrowDock
from napari_genesis.training.wording import place

if TYPE_CHECKING:
    from napari.viewer import Viewer

# Milliseconds between two looks at the workspace, and between a change of the columns and its being kept.
_LIST_EVERY, _KEEP_AFTER = 3000, 1500


class RunsDock(NarrowDock):
    """All runs of the workspace.

    napari_viewer: the viewer it lives in. state_file: where its state is kept from one day to the next.
    """

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None) -> None:
        super().__init__()
        self._state_file = state_file or keeping.default_file()
        self._kept = read_state(self._state_file, keeping.KeptRuns)
        self._workspace = read_preferences().workspace
        self.jobs = application_jobs()
        self.listing = Listing(self.runs_folder)
        self.has_looked = False
        self._reader = RunListing()
        self._rows: dict[Path, tuple[int, Row]] = {}
        self._sizes: dict[Path, int] = {}
        self.parts = RunsParts()
        self._looking = LatestOnly("genesis-runs-table", self)
        self._measuring = LatestOnly("genesis-runs-sizes", self)
        self.chosen = ChosenRuns(self.parts, self)
        self.errands = Errands(viewer_itself(napari_viewer), self.parts, self)
        self._timer = QTimer(self)
        self._timer.setInterval(_LIST_EVERY)
        self._timer.timeout.connect(self._look_if_free)
        self._keep_timer = QTimer(self)
        self._keep_timer.setSingleShot(True)
        self._keep_timer.setInterval(_KEEP_AFTER)
        self._keep_timer.timeout.connect(self.keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        self.parts.runs.arrange(self._kept.columns)
        if len(self._kept.split) == 2:
            self.parts.split.setSizes(list(self._kept.split))
        self._connect()
        lanes = (self._looking, self._measuring, self.chosen.lane, self.errands.removals.lane)
        delete_when_closed(self)
        preferences = on_preferences(self._apply_preferences)
        end = weakref.finalize(self, _end, lanes, self.errands.close, preferences)
        self.destroyed.connect(lambda: end())

    @property
    def runs_folder(self) -> Path:
        """The folder whose runs are listed."""
        return self._workspace / "runs"

    def look(self) -> None:
        """Read the workspace again, in a thread."""
        folder, reader = self.runs_folder, self._reader
        self._looking.submit(lambda: reader.read(folder))

    def keep(self) -> None:
        """Write the state to its file; a problem is shown."""
        self._keep_timer.stop()
        sizes = tuple(self.parts.split.sizes())
        self._kept = self._kept.model_copy(
            update={
                "columns": self.parts.runs.arrangement(),
                "split": sizes if any(sizes) else self._kept.split,
                "export_folder": self.errands.export_folder,
            }
        )
        try:
            write_state(self._state_file, self._kept)
        except GenesisError as problem:
            self.parts.trouble.say([str(problem)])

    # What is shown.

    def _look_if_free(self) -> None:
        if not self._looking.busy:
            self.look()

    def _take(self, listing: Listing) -> None:
        """Show what was read, and have what has no size yet measured."""
        self.has_looked = True
        self.listing = listing
        self.parts.unreadable.say([listing.trouble] if listing.trouble else [])
        self._show_rows()
        paths, reader = tuple(run.path for run in listing.runs), self._reader
        if paths and not self._measuring.busy:
            self._measuring.submit(lambda: reader.measure(paths))

    def _take_sizes(self, sizes: dict[Path, int]) -> None:
        if sizes != self._sizes:
            self._sizes = sizes
            self._show_rows()

    def _failed(self, problem: Exception) -> None:
        self.has_looked = True
        self.parts.unreadable.say([f"The runs cannot be read ({type(problem).__name__}: {problem})"])

    def _show_rows(self) -> None:
        now = time.time()
        minute = int(now // 60)
        rows = []
        for run in self.listing.runs:
            run = replace(run, size=self._sizes.get(run.path, run.size))
            state = state_of(run, self.jobs)
            made, row = self._rows.get(run.path, (-1, None))
            if row is None or made != minute or row.run != run or row.state != state:
                row = Row(run, state, cells_of(run, state, now))
            rows.append(row)
        self._rows = {row.run.path: (minute, row) for row in rows}
        self.errands.rows = rows
        self.parts.runs.show_rows(rows)
        self._count(rows)
        self._show_chosen()

    def _count(self, rows: Sequence[Row]) -> None:
        shown, count = len(self.parts.runs.table.rows), len(rows)
        number = f"{shown} of {count}" if shown != count else f"{count}"
        size = sum(row.run.size or 0 for row in self.parts.runs.table.rows)
        words = "run" if count == 1 else "runs"
        self.parts.count.setText(f"{number} {words}" + (f", {size_text(size)}" if size else ""))

    def _show_chosen(self) -> None:
        rows = self.parts.runs.chosen
        self.parts.run_actions.show_for(rows)
        if rows:
            self.chosen.show(tuple(row.run for row in rows))
            return
        nothing = f"No runs in {place(self.runs_folder)} yet: train one in Pretrain or Fine-tune."
        some = "Choose a run; several with Ctrl or Shift are compared."
        self.chosen.show_nothing("" if not self.has_looked else some if self.listing.runs else nothing)

    def _filter(self, text: str) -> None:
        self.parts.runs.table.set_filter(text)
        self._count([row for _, row in self._rows.values()])
        self._show_chosen()

    def _open_details(self) -> None:
        self.parts.unfold_details()
        self.parts.area.setFocus()

    def _apply_preferences(self) -> None:
        workspace = read_preferences().workspace
        if workspace != self._workspace:
            self._workspace = workspace
            self.errands.runs_folder = self.runs_folder
            self.look()

    # Putting together.

    def _connect(self) -> None:
        parts, runs = self.parts, self.parts.runs
        self._looking.finished.connect(self._take)
        self._looking.failed.connect(self._failed)
        self._measuring.finished.connect(self._take_sizes)
        self.jobs.changed.connect(self._look_if_seen)
        self.errands.runs_folder = self.runs_folder
        self.errands.export_folder = self._kept.export_folder
        self.errands.changed.connect(self.look)
        self.errands.choose.connect(runs.choose)
        parts.filter.textChanged.connect(self._filter)
        parts.refresh.clicked.connect(self.look)
        parts.split.splitterMoved.connect(lambda *_: self._keep_timer.start())
        runs.selected.connect(self._show_chosen)
        runs.opened.connect(self._open_details)
        runs.refresh_wanted.connect(self.look)
        runs.delete_wanted.connect(lambda: self.errands.do("delete"))
        runs.menu_wanted.connect(parts.run_actions.menu.popup)
        runs.arranged.connect(self._keep_timer.start)
        parts.run_actions.wanted.connect(self.errands.do)

    def _look_if_seen(self) -> None:
        if self.isVisible():
            self.look()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the workspace while it is seen."""
        super().showEvent(event)
        self._timer.start()
        self.look()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Keep the state, and look no more."""
        super().hideEvent(event)
        self._timer.stop()
        self.keep()


def _end(lanes: Sequence[LatestOnly], errands: Callable[[], None], preferences: Callable[[], None]) -> None:
    for lane in lanes:
        lane.close()
    errands()
    preferences()
