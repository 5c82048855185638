"""That what is set up continues another run, and what stays as it was there; with a way to train anew instead."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from genesis_core.training.finetune_settings import RoundSettings
from napari_genesis.training.progress_panel import Notice

_STARTS = {"previous": "goes on from its models", "source": "begins again as it began"}


class RoundNote(QWidget):
    """Shows what is continued; hidden where nothing is. left(): it shall be a training of its own."""

    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = Notice("what is continued")
        self.leave = QPushButton("Do not continue")
        self.leave.setToolTip("Train anew: other structures, another network, others held out.")
        self.leave.clicked.connect(self.left)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.leave, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def show_round(self, rounds: RoundSettings | None) -> None:
        """Show how a run is continued; None: none is."""
        self.text.say([] if rounds is None else [round_in_words(rounds)])
        self.setVisible(rounds is not None)


def round_in_words(rounds: RoundSettings) -> str:
    """Return what is continued, how, and what cannot be changed therefore."""
    folder = rounds.corrected
    # That of a review is named after the review.
    corrected = "" if folder is None else f", with the cases of {'/'.join(folder.parts[-2:])}"
    return (
        f"Continues {rounds.previous.name}: {_STARTS[rounds.start]}{corrected}. Its structures, its network and whom "
        "it held out stay as they are."
    )
