"""What can be done with the selected runs: a row of buttons that is always there, and a menu with all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_genesis.forms.actions import make_more
from napari_genesis.jobs.job import RESUMABLE, State
from napari_genesis.runs.table_model import Row

Name = Literal[
    "resume", "stop", "watch", "duplicate", "apply", "review", "export", "folder", "tensorboard", "command", "delete",
]  # fmt: skip
# States in which a process works on a run, or is about to.
_BUSY: tuple[str, ...] = ("queued", "starting", "preparing", "running", "pausing", "stopping")
_STOPPABLE: tuple[str, ...] = ("queued", "starting", "preparing", "running")
# A run whose folder waits to be trained, in the words of the folder itself.
NOT_STARTED = "not started"


@dataclass(frozen=True)
class _Action:
    text: str
    tip: str
    # Why it cannot be done with these runs, in words; empty if it can.
    why_not: Callable[[Sequence[Row]], str]


def _one(then: Callable[[Row], str] = lambda _row: "") -> Callable[[Sequence[Row]], str]:
    return lambda rows: "Choose one run." if len(rows) != 1 else then(rows[0])


def _any(then: Callable[[Row], str]) -> Callable[[Sequence[Row]], str]:
    """Allow it if it can be done with at least one of the runs."""

    def why_not(rows: Sequence[Row]) -> str:
        reasons = [then(row) for row in rows]
        return "Choose a run." if not rows else "" if "" in reasons else reasons[0]

    return why_not


def can_resume(row: Row) -> str:
    """Return why a run cannot go on, in words; empty if it can."""
    if row.run.task not in ("restoration", "segmentation"):
        return "Its settings cannot be read."
    known: tuple[State | str, ...] = (*RESUMABLE, NOT_STARTED)
    if row.state in known:
        return ""
    return "It has finished." if row.state == "finished" else f"It is {row.state}."


def can_stop(row: Row) -> str:
    """Return why a run cannot be stopped, in words; empty if it can."""
    return "" if row.state in _STOPPABLE else "It is stopping." if row.state in _BUSY else "It does not train."


def can_delete(row: Row) -> str:
    """Return why a run cannot be deleted, in words; empty if it can."""
    if row.state == "queued":
        return f"{row.run.name} waits for its turn: stop it first."
    return f"{row.run.name} trains: stop it first." if row.state in _BUSY else ""


def _has_model(row: Row) -> str:
    return "" if row.run.has_model else "It has written no model yet."


def _can_review(row: Row) -> str:
    if row.run.task != "segmentation":
        return "Only what segments proposes anything to review."
    return _has_model(row)


def _has_task(row: Row) -> str:
    return "" if row.run.task in ("restoration", "segmentation") else "Its settings cannot be read."


def _all_free(rows: Sequence[Row]) -> str:
    return "Choose a run." if not rows else next((why for row in rows if (why := can_delete(row))), "")


ACTIONS: dict[Name, _Action] = {
    "resume": _Action("Resume", "Go on from the last checkpoint, as if it never stopped.", _any(can_resume)),
    "stop": _Action("Stop", "Write a checkpoint and stop; a waiting one leaves its queue.", _any(can_stop)),
    "watch": _Action("Watch in its dock", "Open the dock that trains such runs, and show this one.", _one(_has_task)),
    "duplicate": _Action(
        "Duplicate…", "Set up a new run with the settings of this one, and change what you like.", _one(_has_task)
    ),
    "apply": _Action("Apply", "Open the Apply dock with this model.", _one(_has_model)),
    "review": _Action(
        "Review",
        "Correct what this model draws on new scans, and train on with them, in the Review dock.",
        _one(_can_review),
    ),
    "export": _Action("Export…", "Write its model to a folder, or as ONNX.", _one(_has_model)),
    "folder": _Action("Open the folder", "Show the run's files.", _one()),
    "tensorboard": _Action(
        "TensorBoard",
        "Open the curves of the selected runs in the browser.",
        lambda rows: "" if rows else "Choose runs.",
    ),
    "command": _Action("Copy as a command", "The same as a command, for a terminal.", _any(_has_task)),
    "delete": _Action("Delete…", "Set the selected runs aside, after asking. They can be put back.", _all_free),
}
_BUTTONS: tuple[Name, ...] = ("resume", "stop", "apply", "review", "duplicate")
_MENU: tuple[Name | None, ...] = (
    "resume", "stop", "watch", None, "apply", "review", "export", None, "duplicate", "command", "folder", "tensorboard",
    None, "delete",
)  # fmt: skip


class RunActions(QObject):
    """wanted(name): an action was chosen, by button or menu. It is enabled only where it can be done."""

    wanted = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.actions: dict[Name, QAction] = {}
        for name, action in ACTIONS.items():
            made = QAction(action.text, parent)
            made.triggered.connect(lambda _=False, name=name: self.wanted.emit(name))
            self.actions[name] = made
        self.bar = QWidget(parent)
        self.buttons: dict[Name, QPushButton] = {name: self._button(name) for name in _BUTTONS}
        self.menu = QMenu()
        for entry in _MENU:
            self.menu.addSeparator() if entry is None else self.menu.addAction(self.actions[entry])
        # What concerns the workspace, whatever is selected, is added here.
        self.menu.addSeparator()
        self.menu.setToolTipsVisible(True)
        self.more = make_more(self.menu, "All that can be done with the selected runs.")
        layout = QHBoxLayout(self.bar)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for button in self.buttons.values():
            layout.addWidget(button, 1)
        layout.addWidget(self.more)
        self.show_for(())

    def show_for(self, rows: Sequence[Row]) -> None:
        """Enable what can be done with these runs; of what cannot, the tip says why."""
        for name, action in ACTIONS.items():
            reason = action.why_not(rows)
            self.actions[name].setEnabled(not reason)
            self.actions[name].setToolTip(reason or action.tip)
            if name in self.buttons:
                self.buttons[name].setEnabled(not reason)
                self.buttons[name].setToolTip(reason or action.tip)
        stops = bool(rows) and not ACTIONS["stop"].why_not(rows) and bool(ACTIONS["resume"].why_not(rows))
        self.buttons["stop"].setVisible(stops)
        self.buttons["resume"].setVisible(not stops)

    def _button(self, name: Name) -> QPushButton:
        button = QPushButton(ACTIONS[name].text)
        button.clicked.connect(lambda: self.wanted.emit(name))
        return button
