"""The Review dock, a widget of napari: it puts the parts together and passes between them what the user does.

What a review is lies in the core; which one is open in `review_choice`, the open case in `case_control`, the ranking in
`ranking`, the next round in `round_control`. Closing the dock, or napari, keeps the draft of the open case.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, QUrl
from qtpy.QtGui import QDesktopServices, QHideEvent, QShowEvent
from qtpy.QtWidgets import QApplication, QSizePolicy, QVBoxLayout, QWidget

from genesis_core.errors import GenesisError
from napari_genesis.contrast import widen_sliders
from napari_genesis.correct.case_control import CaseControl
from napari_genesis.correct.case_work import CaseWork
from napari_genesis.correct.commands import as_line, rank_words
from napari_genesis.correct.keeping import kept_of, show_kept
from napari_genesis.correct.kept import Kept, default_file
from napari_genesis.correct.keys import DECIDING, review_keys
from napari_genesis.correct.parts import WIDTH, PageName, ReviewParts
from napari_genesis.correct.place_box import PlaceBox
from napari_genesis.correct.queue_rows import Row, about_review, queue_rows
from napari_genesis.correct.ranking import Ranking, RankProgress
from napari_genesis.correct.review_choice import ReviewChoice
from napari_genesis.correct.reviews import ReviewRead
from napari_genesis.correct.round_control import RoundControl
from napari_genesis.correct.warming import take_back, warm_review
from napari_genesis.correct.wording import left_out_words
from napari_genesis.dock_state import read_state, write_state
from napari_genesis.docking import delete_when_closed, viewer_itself
from napari_genesis.preferences import on_preferences, read_preferences
from napari_genesis.studio.computing import LatestOnly
from napari_genesis.studio.shortcuts import Shortcuts

if TYPE_CHECKING:
    from napari.viewer import Viewer


class ReviewDock(QWidget):
    """Correct what a model proposes, accept, continue training.

    napari_viewer: the viewer it lives in. state_file: where the state is kept from one day to the next.
    """

    def __init__(self, napari_viewer: Viewer, state_file: Path | None = None) -> None:
        super().__init__()
        viewer = viewer_itself(napari_viewer)
        self._state_file = state_file or default_file()
        self._kept = kept = read_state(self._state_file, Kept)
        self.rows: tuple[Row, ...] = ()
        self.parts = ReviewParts()
        self.cases = CaseControl(viewer, self.parts, lambda: self.choice.read, lambda: self.rows, self)
        self.work, self.edits = self.cases.work, self.cases.edits
        self.choice = ReviewChoice(self.parts, self.work.lane, kept.review, kept.run, self)
        self.round = RoundControl(self.parts, self.work.lane, self)
        self.ranking = Ranking(self)
        self._warming = LatestOnly("genesis-review-warming", self)
        self.lanes = (self._warming, *self.choice.lanes, *self.round.lanes, *self.edits.lanes)
        self.shortcuts = Shortcuts(self, review_keys(self.cases), once=DECIDING)
        # Only while the dock is seen: Qt asks no shortcut of a hidden widget.
        self.shortcuts.reach_window(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        # napari fills the height of a dock that does not ask for it.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        widen_sliders(viewer)
        show_kept(self.parts, kept)
        self._connect()
        delete_when_closed(self)
        end_preferences = on_preferences(self._apply_preferences)
        end = weakref.finalize(self, _end, self.work, self.cases.box, self.lanes, end_preferences)
        self.destroyed.connect(lambda: end())
        self._apply_preferences()
        self.choice.look()

    @property
    def read(self) -> ReviewRead | None:
        """What is known of the review that is open."""
        return self.choice.read

    def open_review(self, folder: Path | None) -> None:
        """Show a review; None: the form of a new one. The draft of the open case is kept before."""
        self.choice.open(folder)

    def review_model(self, run: Path) -> None:
        """Show the form of a new review, with a run chosen."""
        self.open_review(None)
        self.parts.setup.choose_model(run)

    # The review and its queue.

    def _review_opened(self, folder: Path | None) -> None:
        review = None if self.work.review is None else self.work.review.folder
        if review != folder:
            self.work.close()
            self.work.review = None
            self.rows = ()
        self.parts.say("")
        self.show_page("setup" if folder is None else "queue")
        self._show_rows()

    def _read_again(self) -> None:
        read = self.read
        self.work.review = None if read is None else read.review
        self.round.show_review(read)
        self._show_rows()

    def _begun(self, folder: Path, scans: Path, run: Path) -> None:
        self._start_ranking(rank_words(scans, run, folder, read_preferences().device), folder.name)

    def rank(self) -> None:
        """Let the newest model draw on what it has not drawn on yet."""
        read = self.read
        if read is not None:
            words = rank_words(read.review.scans, read.run, read.review.folder, read_preferences().device)
            self._start_ranking(words, read.review.name)

    def _start_ranking(self, words: Sequence[str], name: str) -> None:
        if self.ranking.busy:
            return
        self.parts.say("")
        if self.ranking.start(words, name):
            self.parts.queue.show_ranking(RankProgress())
        self._show_rows()

    def _ranked(self, problem: str) -> None:
        self.parts.queue.show_ranking(None)
        left_out = (*self.ranking.latest.failed, *self.ranking.latest.left_out)
        if problem:
            self.parts.show_trouble(problem)
        elif left_out:
            states = {} if self.read is None else self.read.states
            self.parts.say(left_out_words(left_out, {case for case, one in states.items() if one.state == "accepted"}))
        self.choice.reload()
        self._show_rows()

    def _show_rows(self) -> None:
        read, parts = self.read, self.parts
        if read is None:
            self.rows = ()
            parts.queue.show_rows((), None, "" if self.choice.folder is None else "Reading the review…")
            parts.facts.show_text("")
        else:
            self.rows = queue_rows(read, parts.queue.order, parts.queue.filter)
            parts.queue.show_rows(self.rows, self.cases.name, self._why_empty(read))
            parts.facts.show_text(about_review(read))
        self._show_actions()

    def _why_empty(self, read: ReviewRead) -> str:
        if read.proposals:
            return "No case here; choose another filter."
        if self.ranking.busy:
            return "Cases appear here as they are ranked; you can begin with the first."
        return "Press Rank: the model draws on every scan that is not decided on, and the cases appear here."

    # What is shown.

    def show_page(self, name: PageName) -> None:
        """Show a page."""
        self.parts.show_page(name)
        if name == "continue":
            self.round.ask_devices()
        self._show_actions()

    def _case_shown(self) -> None:
        if self.work.case is not None:
            self.show_page("case")
        self._show_rows()

    def _show_actions(self) -> None:
        parts, actions, read, case = self.parts, self.parts.buttons, self.read, self.work.case
        actions.copy_action.setEnabled(read is not None or parts.page == "setup")
        actions.undo_action.setEnabled(read is not None)
        actions.folder_action.setEnabled(read is not None)
        actions.give_up_action.setEnabled(case is not None and not case.decided)
        if parts.page == "setup":
            actions.show_setup(parts.setup.why_not() or ("A ranking is running." if self.ranking.busy else ""))
        elif parts.page == "queue":
            anew = read is not None and len(read.rounds) > 1 and not read.proposals
            actions.show_queue(
                ranking=self.ranking.busy,
                stopping=self.ranking.stopping,
                chosen=bool(self.rows),
                words="Rank with the new model" if anew else "Rank",
            )
            actions.rank_button.setEnabled(read is not None)
        elif parts.page == "case":
            accepted = case is not None and case.decided
            actions.show_case(can_decide=case is not None, accepted=accepted, flagged=self.cases.flagged)
        else:
            self.round.show_actions()

    def _apply_preferences(self) -> None:
        self.choice.apply_preferences()
        self.parts.continuing.prefer_device(read_preferences().device)

    # What is kept and copied.

    def keep(self) -> None:
        """Write the state to its file; a problem is shown, nothing is raised."""
        review = self.choice.folder if self.choice.has_looked else self._kept.review
        try:
            write_state(self._state_file, kept_of(self.parts, review, self._kept.run))
        except GenesisError as problem:
            self.parts.show_trouble(str(problem))

    def copy_command(self) -> None:
        """Put the same as a command on the clipboard."""
        clipboard, words = QApplication.clipboard(), self.command_words()
        if clipboard is not None and words:
            clipboard.setText(as_line(words))
            self.parts.say("Copied to the clipboard.")

    def command_words(self) -> list[str]:
        """Return the words of the command that does what the page does; none if there is nothing to do yet."""
        read, setup, device = self.read, self.parts.setup, read_preferences().device
        if self.parts.page == "setup":
            return rank_words(setup.folder or Path("SCANS"), setup.run or Path("RUN"), self.choice.planned(), device)
        if read is None:
            return []
        if self.parts.page == "continue":
            return self.round.words(read, self.choice.workspace / "runs")
        return rank_words(read.review.scans, read.run, read.review.folder, device)

    def _open_folder(self) -> None:
        folder = self.round.run if self.parts.page == "continue" else None
        folder = folder or self.choice.folder
        if folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    # Putting together.

    def _connect(self) -> None:
        parts, actions, choice = self.parts, self.parts.buttons, self.choice
        choice.opened.connect(self._review_opened)
        choice.read_again.connect(self._read_again)
        choice.begun.connect(self._begun)
        choice.trouble.connect(parts.show_trouble)
        parts.page_chosen.connect(self.show_page)
        parts.setup.changed.connect(self._show_actions)
        parts.queue.chosen.connect(self._show_rows)
        parts.queue.opened.connect(self.cases.open)
        self.cases.shown.connect(self._case_shown)
        self.cases.decided.connect(choice.reload)
        self.ranking.progressed.connect(lambda progress: parts.queue.show_ranking(progress, self.ranking.stopping))
        self.ranking.ranked.connect(choice.reload)
        self.ranking.ended.connect(self._ranked)
        self.round.changed.connect(self._show_actions)
        self.round.finished.connect(choice.reload)
        actions.begin.connect(choice.begin)
        actions.rank.connect(self.rank)
        actions.stop_ranking.connect(self.ranking.stop)
        actions.stop_ranking.connect(self._show_actions)
        actions.open.connect(lambda: self.cases.open(parts.queue.list.chosen))
        actions.accept.connect(self.cases.accept)
        actions.reject.connect(self.cases.reject)
        actions.flag.connect(self.cases.flag)
        actions.undo.connect(self.cases.deciding.undo)
        actions.give_up.connect(self.cases.give_up)
        for signal in (actions.copy_command, actions.jobs.copy_command):
            signal.connect(self.copy_command)
        for signal in (actions.open_folder, actions.jobs.open_folder):
            signal.connect(self._open_folder)
        actions.jobs.start.connect(lambda: self.round.start(choice.workspace / "runs"))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for the width it is made for, and no more of the canvas."""
        return QSize(WIDTH, super().sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the workspace while it is seen."""
        super().showEvent(event)
        self.choice.keep_looking(True)
        self._warming.submit(warm_review)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Keep the state and the draft; what runs goes on."""
        super().hideEvent(event)
        self.choice.keep_looking(False)
        self.work.keep()
        self.keep()


def _end(work: CaseWork, box: PlaceBox, lanes: Sequence[LatestOnly], preferences: Callable[[], None]) -> None:
    # The draft first: nothing that goes wrong after it may cost it.
    work.leave()
    for lane in lanes:
        lane.close()
    preferences()
    box.close()
    take_back()
