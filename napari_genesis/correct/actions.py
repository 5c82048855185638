"""The row of actions at the bottom of the Review dock: those of the page that is shown, and a menu of the rest."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_genesis.correct.keys import KEYS
from napari_genesis.forms.actions import add_action, make_button, make_more
from napari_genesis.forms.control import SmallLabel
from napari_genesis.training.job_controls import JobControls

_BEGIN = "Make the review, and let the model draw on every scan."


class Actions(QWidget):
    """Emits what is pressed. `jobs` are the actions of a training."""

    begin = Signal()
    rank = Signal()
    stop_ranking = Signal()
    open = Signal()
    accept = Signal()
    reject = Signal()
    flag = Signal()
    undo = Signal()
    give_up = Signal()
    copy_command = Signal()
    open_folder = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.begin_button = make_button("Begin and rank", _BEGIN, self.begin)
        self.rank_button = make_button("Rank", "Let the model draw on every scan that has no proposal yet.", self.rank)
        self.stop_button = make_button("Stop", "What is ranked stays, and Rank goes on.", self.stop_ranking)
        self.open_button = make_button("Open", "Open the chosen case (double click, Return).", self.open)
        self.accept_button = make_button(
            "Accept",
            f"Copy image and labels into the training set, with who, when and what changed: {KEYS['accept']}\n"
            "Nothing is overwritten, it can be undone, and no training begins by it.",
            self.accept,
        )
        self.reject_button = make_button(
            "Reject", f"Not to be used for training; the draft is kept: {KEYS['reject']}", self.reject
        )
        self.flag_button = make_button("Flag", f"Mark the case, to come back to it: {KEYS['flag']}", self.flag)
        self.jobs = JobControls()
        menu = QMenu()
        self.undo_action = add_action(f"Undo the last decision\t{KEYS['undo']}", self.undo, menu)
        self.give_up_action = add_action("Give up the draft, back to the proposal…", self.give_up, menu)
        self.copy_action = add_action("Copy the same as a command", self.copy_command, menu)
        self.folder_action = add_action("Show the review's folder", self.open_folder, menu)
        self.more = make_more(menu)
        self._buttons = (
            self.begin_button, self.rank_button, self.stop_button, self.open_button, self.accept_button,
            self.reject_button, self.flag_button,
        )  # fmt: skip
        # Why a button cannot be pressed, where everybody sees it.
        self.why_not = SmallLabel()
        self.why_not.setAccessibleName("why it cannot be done")
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self._buttons:
            row.addWidget(button, 1)
        row.addWidget(self.jobs, 1)
        row.addWidget(self.more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.why_not)
        layout.addLayout(row)

    def show_setup(self, why_not: str) -> None:
        """Show the actions of a review that is being set up. why_not: what is missing for it to begin."""
        self.why_not.show_text(why_not)
        self.begin_button.setEnabled(not why_not)
        self._show(self.begin_button)

    def show_queue(self, *, ranking: bool, stopping: bool, chosen: bool, words: str) -> None:
        """Show the actions of the queue, whose page says why there is nothing to open. words: on the button to rank."""
        self.why_not.show_text("")
        self.rank_button.setText(words)
        self.stop_button.setEnabled(not stopping)
        self.open_button.setEnabled(chosen)
        self._show(self.open_button, self.stop_button if ranking else self.rank_button)

    def show_case(self, *, can_decide: bool, accepted: bool, flagged: bool) -> None:
        """Show the actions of a case."""
        locked = f"Accepted, and locked: undo that first ({KEYS['undo']}) to change it."
        self.why_not.show_text(locked if accepted else "")
        self.accept_button.setEnabled(can_decide and not accepted)
        self.accept_button.setText("Accepted" if accepted else "Accept")
        self.reject_button.setEnabled(can_decide and not accepted)
        self.flag_button.setEnabled(can_decide)
        self.flag_button.setText("Unflag" if flagged else "Flag")
        self._show(self.accept_button, self.reject_button, self.flag_button)

    def show_jobs(self) -> None:
        """Show the actions of a training, which has a menu of its own, and says itself what is missing."""
        self.why_not.show_text("")
        self._show()
        self.jobs.show()
        self.more.hide()

    def _show(self, *shown: QPushButton) -> None:
        for button in self._buttons:
            button.setVisible(button in shown)
        self.jobs.hide()
        self.more.show()
