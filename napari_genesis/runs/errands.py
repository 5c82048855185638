"""The actions of the Runs dock, from the question to what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer, QUrl, Signal
from qtpy.QtGui import QAction, QDesktopServices
from qtpy.QtWidgets import QApplication

from genesis_core.errors import GenesisError
from napari_genesis.jobs.json_lines import Answer, JsonLines
from napari_genesis.jobs.queues import application_jobs
from napari_genesis.runs import doing
from napari_genesis.runs.actions import ACTIONS
from napari_genesis.runs.asking import ExportChoice, ExportDialogue
from napari_genesis.runs.listing import RunSummary
from napari_genesis.runs.parts import RunsParts
from napari_genesis.runs.removals import Removals
from napari_genesis.runs.table_model import Row
from napari_genesis.runs.tensorboard import TensorBoard, has_records
from napari_genesis.training.wording import place

if TYPE_CHECKING:
    from napari.viewer import Viewer

# How often, in milliseconds, a TensorBoard that starts is asked, and for how long.
_ASK_EVERY, _ASK_FOR = 200, 40_000


class Errands(QObject):
    """changed(): runs came or went. choose(paths): runs that are to be selected.

    rows: of the whole table, set by the dock, as are runs_folder and export_folder (where the last one went).
    """

    changed = Signal()
    choose = Signal(object)

    def __init__(self, viewer: Viewer, parts: RunsParts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._parts = parts
        self.rows: Sequence[Row] = ()
        self.export_folder = ""
        self._jobs = application_jobs()
        self.boards: list[TensorBoard] = []
        self._exported_run: tuple[RunSummary, ExportChoice] | None = None
        self._undo: Callable[[], None] = lambda: None
        self.removals = Removals(parts, self._done, self._say, self)
        self.removals.changed.connect(self.changed)
        self.removals.choose.connect(self.choose)
        self.exporting = JsonLines("genesis-runs-export", self)
        self.exporting.answered.connect(self._exported)
        self.columns_action = QAction("Columns…", parts)
        parts.run_actions.menu.addAction(self.columns_action)
        self.columns_action.triggered.connect(self._columns)
        parts.done.button.clicked.connect(lambda: self._undo())
        parts.work.cancel.clicked.connect(self._cancel_export)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    @property
    def runs_folder(self) -> Path:
        """Where the runs lie."""
        return self.removals.runs_folder

    @runs_folder.setter
    def runs_folder(self, folder: Path) -> None:
        self.removals.runs_folder = folder

    def do(self, name: Any) -> None:
        """Do one of the actions with the selected runs; what does not work is said in the dock."""
        rows = self._parts.runs.chosen
        reason = ACTIONS[name].why_not(rows)
        if reason:
            self._parts.trouble.say([reason])
            return
        self._parts.trouble.say([])
        try:
            getattr(self, f"_{name}")(rows)
        except (GenesisError, OSError) as problem:
            self._say(problem)

    def close(self) -> None:
        """End what was started here: TensorBoards, and an export that is not done."""
        self.exporting.stop()
        for board in self.boards:
            board.close()
        self.boards.clear()

    # With jobs and other docks.

    def _resume(self, rows: Sequence[Row]) -> None:
        doing.resume(self._jobs, rows)
        self.changed.emit()

    def _stop(self, rows: Sequence[Row]) -> None:
        doing.stop(self._jobs, rows)
        self.changed.emit()

    def _watch(self, rows: Sequence[Row]) -> None:
        doing.watch(self._viewer, rows[0].run)

    def _duplicate(self, rows: Sequence[Row]) -> None:
        doing.duplicate(self._viewer, rows[0].run)

    def _apply(self, rows: Sequence[Row]) -> None:
        doing.apply(self._viewer, rows[0].run)

    def _review(self, rows: Sequence[Row]) -> None:
        doing.review(self._viewer, rows[0].run)

    def _folder(self, rows: Sequence[Row]) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(rows[0].run.path)))

    def _command(self, rows: Sequence[Row]) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(doing.as_commands(rows))
            self._done("Copied to the clipboard.")

    # TensorBoard.

    def _tensorboard(self, rows: Sequence[Row]) -> None:
        paths = tuple(row.run.path for row in rows if has_records(row.run.path))
        if not paths:
            self._parts.trouble.say(
                ["There are no records for TensorBoard: it was not installed where this was trained."]
            )
            return
        board = next((one for one in self.boards if one.paths == paths and not one.ended), None)
        if board is None:
            board = TensorBoard(paths)
            self.boards.append(board)
        self._done("TensorBoard starts…")
        self._open_when_it_answers(board, _ASK_FOR // _ASK_EVERY)

    def _open_when_it_answers(self, board: TensorBoard, tries: int) -> None:
        if board not in self.boards:
            return
        if board.answers():
            self._done(f"TensorBoard: {board.address} (until napari closes)", "Open", lambda: _browse(board.address))
            _browse(board.address)
        elif board.ended or not tries:
            self._parts.done.hide()
            self._parts.trouble.say([board.ended or "TensorBoard does not answer."])
            self.boards.remove(board)
            board.close()
        else:
            QTimer.singleShot(_ASK_EVERY, lambda: self._open_when_it_answers(board, tries - 1))

    # Export.

    def _export_to(self) -> Path:
        return Path(self.export_folder) if self.export_folder else self.runs_folder.parent / "exports"

    def _export(self, rows: Sequence[Row]) -> None:
        if self.exporting.busy:
            self._parts.trouble.say(["A model is being exported already."])
            return
        dialogue = ExportDialogue(rows[0].run, self._export_to(), self._parts)
        if dialogue.exec() == ExportDialogue.DialogCode.Accepted:
            self.export(rows[0].run, dialogue.choice)
        dialogue.deleteLater()

    def export(self, run: RunSummary, choice: ExportChoice) -> None:
        """Export the model of a run, in a process of its own."""
        self.export_folder = str(choice.out.parent)
        self._exported_run = (run, choice)
        self._parts.work.show_progress(f"Exporting {run.name}: starting")
        self.exporting.start([*choice.words(run.path), "--json"])

    def _exported(self, answer: Answer) -> None:
        if self._exported_run is None:
            return
        run, choice = self._exported_run
        told = [record for record in answer.records if record.get("event") == "progress"]
        if not answer.done:
            if told:
                latest = told[-1]
                fold = f"model {latest['done'] + 1} of {latest['total']}, " if latest["total"] > 1 else ""
                self._parts.work.show_progress(
                    f"Exporting {run.name}: {fold}{latest['what']}", latest["done"], latest["total"] if fold else 0
                )
            return
        self._exported_run = None
        self._parts.work.hide()
        if answer.problem:
            self._parts.trouble.say([answer.problem])
            return
        self._done(_exported_words(run, choice, answer), "Open", lambda: _browse(str(choice.out), file=True))

    def _cancel_export(self) -> None:
        self.exporting.stop()
        self._exported_run = None
        self._parts.work.hide()
        self._done("The export was ended; nothing was written.")

    def _delete(self, rows: Sequence[Row]) -> None:
        self.removals.delete([row.run for row in rows], [row.run for row in self.rows])

    # The rest.

    def _columns(self) -> None:
        runs = self._parts.runs
        menu = runs.columns_menu()
        menu.exec(runs.mapToGlobal(runs.rect().topLeft()))
        menu.deleteLater()

    def _done(self, text: str, button: str = "", undo: Callable[[], None] = lambda: None) -> None:
        self._undo = undo
        self._parts.done.say(text, button)

    def _say(self, problem: Exception) -> None:
        known = isinstance(problem, GenesisError | OSError)
        self._parts.trouble.say([str(problem) if known else f"{type(problem).__name__}: {problem}"])


def _browse(address: str, *, file: bool = False) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(address) if file else QUrl(address))


def _exported_words(run: RunSummary, choice: ExportChoice, answer: Answer) -> str:
    made = next((record for record in answer.records if record.get("event") == "exported"), {})
    found = [one["max_abs_difference"] for inputs in made.get("parity", {}).values() for one in inputs]
    exact = f" At most {max(found):.1g} from torch's logits." if found else ""
    return f"{run.name} was exported to {place(choice.out)}.{exact}"
