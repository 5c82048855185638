"""Deleting runs from the dock: the question, the undo, the menu of those that can be put back, and the end of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu

from genesis_core.errors import GenesisError
from napari_genesis.runs.asking import confirm_delete, confirm_empty, delete_words
from napari_genesis.runs.deleting import SetAside, deleted_size, empty, list_deleted, needed_by, put_back, set_aside
from napari_genesis.runs.listing import RunSummary, folder_size
from napari_genesis.runs.parts import RunsParts
from napari_genesis.studio.computing import LatestOnly

_PUT_BACK_SHOWN = 12
Done = Callable[[str, str, Callable[[], None]], None]


@dataclass(frozen=True)
class _ToDelete:
    runs: tuple[RunSummary, ...]
    sizes: tuple[int, ...]
    needed: dict[str, list[str]]


@dataclass(frozen=True)
class _ToEmpty:
    runs: tuple[SetAside, ...]
    size: int


@dataclass(frozen=True)
class _Emptied:
    count: int


class Removals(QObject):
    """changed(): runs came or went. choose(paths): those that were put back.

    done(text, button, what it does): says what was done. say(problem): says what went wrong.
    """

    changed = Signal()
    choose = Signal(object)

    def __init__(
        self, parts: RunsParts, done: Done, say: Callable[[Exception], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._parts, self._done, self._say = parts, done, say
        self.runs_folder = Path()
        self.lane = LatestOnly("genesis-runs-removals", self)
        self.lane.finished.connect(self._take)
        self.lane.failed.connect(say)
        menu = parts.run_actions.menu
        self.put_back_menu = QMenu("Put back a deleted run", parts)
        self.empty_action = QAction("Remove deleted runs for good…", parts)
        menu.addMenu(self.put_back_menu)
        menu.addAction(self.empty_action)
        menu.aboutToShow.connect(self._list_deleted)
        self.empty_action.triggered.connect(self._measure_deleted)

    def delete(self, chosen: Sequence[RunSummary], everyone: Sequence[RunSummary]) -> None:
        """Find out what is lost with these runs, ask, and set them aside. everyone: all runs of the workspace."""
        runs, reviews = tuple(chosen), self.runs_folder.parent / "reviews"

        def judge() -> _ToDelete:
            gone = {run.path for run in runs}
            rest = [run for run in everyone if run.path not in gone]
            needed = {run.name: users for run in runs if (users := needed_by(run.path, rest, reviews))}
            return _ToDelete(runs, tuple(folder_size(run.path) for run in runs), needed)

        self.lane.submit(judge)

    def _take(self, result: object) -> None:
        if isinstance(result, _ToDelete):
            if confirm_delete(self._parts, *delete_words(result.runs, result.sizes, result.needed)):
                self._set_aside(result.runs)
        elif isinstance(result, _ToEmpty):
            if result.runs and confirm_empty(self._parts, result.runs, result.size):
                runs = result.runs
                self.lane.submit(lambda: _empty(runs))
        elif isinstance(result, _Emptied):
            self._done(f"{result.count} deleted runs were removed for good.", "", lambda: None)

    def _set_aside(self, runs: Sequence[RunSummary]) -> None:
        done, problems = [], []
        for run in runs:
            try:
                done.append(set_aside(run.path))
            except GenesisError as problem:
                problems.append(str(problem))
        if problems:
            self._parts.trouble.say(problems)
        if done:
            words = f"{done[0].name} was deleted." if len(done) == 1 else f"{len(done)} runs were deleted."
            self._done(words, "Undo", lambda: self._put_back(done))
        self.changed.emit()

    def _put_back(self, runs: Sequence[SetAside]) -> None:
        paths = []
        try:
            for one in runs:
                paths.append(put_back(one))
        except GenesisError as problem:
            self._say(problem)
        if paths:
            names = paths[0].name if len(paths) == 1 else f"{len(paths)} runs"
            self._done(f"{names} is back." if len(paths) == 1 else f"{names} are back.", "", lambda: None)
            QTimer.singleShot(0, lambda: self.choose.emit(paths))
        self.changed.emit()

    def _list_deleted(self) -> None:
        """Offer what was deleted lately, just before the menu opens."""
        found = list_deleted(self.runs_folder)
        self.put_back_menu.clear()
        for one in found[:_PUT_BACK_SHOWN]:
            action = self.put_back_menu.addAction(one.name.replace("&", "&&"))
            assert action is not None
            action.triggered.connect(lambda _=False, one=one: self._put_back([one]))
        self.put_back_menu.setEnabled(bool(found))
        self.empty_action.setEnabled(bool(found))

    def _measure_deleted(self) -> None:
        folder = self.runs_folder
        self.lane.submit(lambda: _ToEmpty(tuple(list_deleted(folder)), deleted_size(folder)))


def _empty(runs: Sequence[SetAside]) -> _Emptied:
    empty(runs)
    return _Emptied(len(runs))
