"""A frame around the corruptions of a recipe that exclude each other, with the probability that one is applied."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.drawing import paint_frame
from napari_genesis.studio.arrangement import outcomes, published_group
from napari_genesis.studio.card import Card, move_buttons
from napari_genesis.studio.card_header import PROBABILITY, RateEditor
from napari_genesis.studio.recipe_draft import RecipeDraft


class GroupFrame(QFrame):
    """Shows one group of a draft around its members' cards. rate_moved(probability, settled), move_wanted(by)."""

    rate_moved = Signal(object, bool)
    move_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Any = None
        header = QWidget(self)
        self.title = QLabel("one of these", header)
        self.rate = RateEditor("one of these", PROBABILITY, header)
        self.words = SmallLabel(self)
        self.words.setAccessibleName("what follows from the shares")
        self.problem = SmallLabel(self)
        self.up, self.down = move_buttons("one of these", header, self.move_wanted)
        first = QHBoxLayout(header)
        first.setContentsMargins(0, 0, 0, 0)
        first.setSpacing(4)
        first.addWidget(self.title)
        first.addWidget(self.up)
        first.addWidget(self.down)
        first.addStretch(1)
        first.addWidget(self.rate)
        caption = SmallLabel(self)
        caption.show_text("share of the choice")
        caption.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.members = QVBoxLayout()
        self.members.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 4, 5, 5)
        layout.setSpacing(3)
        layout.addWidget(header)
        layout.addWidget(self.problem)
        layout.addWidget(self.words)
        layout.addWidget(caption)
        layout.addLayout(self.members)
        self.rate.moved.connect(self.rate_moved)
        self.rate.refused.connect(self.problem.show_text)

    @property
    def parts(self) -> tuple[QWidget, ...]:
        """The widgets of the header that take the keyboard's focus, in their order."""
        return (self.up, self.down, *self.rate.parts)

    def hold(self, cards: list[Card]) -> None:
        """Take these cards into the frame, in this order."""
        while self.members.count():
            self.members.takeAt(0)
        for card in cards:
            self.members.addWidget(card)

    def show_group(self, draft: RecipeDraft, group: int, moves: tuple[bool, bool]) -> None:
        """Show a group of a draft. moves: whether it can go up, and down. What is shown already costs nothing."""
        state = (draft.groups[group], published_group(draft, group), outcomes(draft, group), moves)
        if state == self._shown:
            return
        self._shown = state
        self.rate.show_value(state[0])
        self.rate.set_published(state[1])
        self.words.show_text(state[2])
        self.up.setEnabled(moves[0])
        self.down.setEnabled(moves[1])

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        super().paintEvent(event)
        paint_frame(self, 0.45)
