"""The row of actions at the bottom of a training dock: what can be done to a run in the state it is in."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_genesis.forms.actions import add_action, make_button, make_more
from napari_genesis.forms.control import SmallLabel
from napari_genesis.jobs.job import ALIVE, RESUMABLE, State


class JobControls(QWidget):
    """Emits the action of each button's name; `show_setup` or `show_state` decides which are there."""

    start = Signal()
    stop = Signal()
    pause = Signal()
    resume = Signal()
    start_now = Signal()
    cancel = Signal()
    stop_now = Signal()
    new = Signal()
    copy_command = Signal()
    open_folder = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.start_button = make_button("Start", "Train in the background; napari stays free.", self.start)
        self.stop_button = make_button(
            "Stop and keep", "Write a checkpoint after this step and stop; the model is usable.", self.stop
        )
        self.pause_button = make_button(
            "Pause and free",
            "Write a checkpoint and free the memory; the queue waits on.",
            self.pause,
        )
        self.resume_button = make_button(
            "Resume", "Go on from the last checkpoint, as if it never stopped.", self.resume
        )
        self.start_now_button = make_button("Start now", "Do not wait for the runs before it.", self.start_now)
        self.cancel_button = make_button("Cancel", "Take it out of the queue; its folder stays.", self.cancel)
        self.new_button = make_button("New run", "Set up another run.", self.new)
        menu = QMenu()
        self.stop_now_action = add_action("Stop now, back to the last checkpoint", self.stop_now, menu)
        self.copy_action = add_action("Copy the same as a command", self.copy_command, menu)
        self.folder_action = add_action("Show the run's folder", self.open_folder, menu)
        self.more = make_more(menu)
        self._buttons = (
            self.start_button, self.stop_button, self.pause_button, self.resume_button, self.start_now_button,
            self.cancel_button, self.new_button,
        )  # fmt: skip
        # Why the run cannot be started, where everybody sees it.
        self.why_not = SmallLabel()
        self.why_not.setAccessibleName("why it cannot start")
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in self._buttons:
            row.addWidget(button, 1)
        row.addWidget(self.more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.why_not)
        layout.addLayout(row)

    def show_setup(self, can_start: bool, words: str = "Start", why_not: str = "") -> None:
        """Show the actions of a run that is being set up. words: on the button that starts it.

        why_not: what is missing where it cannot start yet, in a sentence.
        """
        self.start_button.setText(words)
        self.start_button.setEnabled(can_start)
        self.why_not.show_text("" if can_start else why_not)
        self._show(self.start_button)
        self.stop_now_action.setVisible(False)
        self.folder_action.setVisible(False)

    def show_state(self, state: State, *, can_resume: bool, can_kill: bool) -> None:
        """Show the actions of a run. can_resume: if it is stopped. can_kill: whether its process is on this machine."""
        self.why_not.show_text("")
        self.folder_action.setVisible(state != "gone")
        self.stop_now_action.setVisible(state in ALIVE and can_kill)
        if state == "queued":
            self._show(self.start_now_button, self.cancel_button, self.new_button)
        elif state in ALIVE:
            asked = state in ("pausing", "stopping")
            self.stop_button.setEnabled(not asked)
            self.pause_button.setEnabled(not asked)
            self._show(self.stop_button, self.pause_button)
        elif state in RESUMABLE and can_resume:
            self._show(self.resume_button, self.new_button)
        else:
            self._show(self.new_button)

    def _show(self, *shown: QPushButton) -> None:
        for button in self._buttons:
            button.setVisible(button in shown)
