"""The recipe as cards: one for each corruption, in its order, those that exclude each other framed together.

The cards keep no truth of their own: a control that moves makes a changed draft and hands it out, and what is shown is
always the draft last given to `show_draft`.
"""

from __future__ import annotations

import re
from itertools import pairwise

from pydantic import ValidationError
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from genesis_core.corruptions.corruption import Corruption
from genesis_core.errors import RecipeError
from napari_genesis.forms.control import SmallLabel
from napari_genesis.forms.fields import FormField, reasons
from napari_genesis.studio.arrangement import Shape3, Spacing, list_units, moved, moved_group, with_share
from napari_genesis.studio.card import Card
from napari_genesis.studio.group_frame import GroupFrame
from napari_genesis.studio.recipe_draft import RecipeDraft

# What a card is known by while entries change places: its class, whether it is in a group, and which of several.
_Key = tuple[type[Corruption], bool, int]


class RecipeCards(QWidget):
    """All cards of a recipe.

    edited(draft, merge key, settled): the user changed something. The key names what was moved ("2.max_window",
    "2:rate", "2:enabled", "2:defaults", "group 0", "order"); settled is False while a slider is dragged, so that a drag
    can be undone as one step.
    """

    edited = Signal(object, str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draft = RecipeDraft("", ())
        self._structure: object = None
        self._cards: dict[_Key, Card] = {}
        self._frames: dict[int, GroupFrame] = {}
        self._in_order: list[Card] = []
        # The key of a drag whose end was not handed out yet.
        self._open: str | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(5)
        self._caption = SmallLabel(self)
        self._caption.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._caption.show_text("probability")
        self._to_see: QWidget | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._scroll)

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards, in the order of the draft's entries."""
        return tuple(self._in_order)

    @property
    def frames(self) -> tuple[GroupFrame, ...]:
        """The frames of the groups, in the order of the draft's groups."""
        return tuple(self._frames[group] for group in sorted(self._frames))

    def show_draft(self, draft: RecipeDraft, box_shape: Shape3, spacing: Spacing | None) -> None:
        """Show a draft, without a signal.

        box_shape: the sub-volume's voxels (z, y, x), for sizes. spacing: mm (x, y, z), or None if it is not known.
        Values change in place; widgets are made or moved only if entries came, went or changed places.
        """
        self._draft = draft
        structure = [(type(entry.corruption), entry.group) for entry in draft.entries]
        if structure != self._structure:
            self._structure = structure
            self._rebuild(draft)
        units = list_units(draft)
        for place, unit in enumerate(units):
            ends = (place > 0, place < len(units) - 1)
            if unit.group is not None:
                self._frames[unit.group].show_group(draft, unit.group, ends)
            for at, index in enumerate(unit.entries):
                moves = ends if unit.group is None else (at > 0, at < len(unit.entries) - 1)
                self._in_order[index].show_entry(draft, index, box_shape, spacing, moves)

    def _rebuild(self, draft: RecipeDraft) -> None:
        first_time = not self._cards
        known, self._cards = self._cards, {}
        self._in_order = []
        for entry in draft.entries:
            kind, in_group = type(entry.corruption), entry.group is not None
            count = sum(key[:2] == (kind, in_group) for key in self._cards)
            key = (kind, in_group, count)
            card = known.pop(key) if key in known else self._new_card(kind, in_group)
            self._cards[key] = card
            self._in_order.append(card)
        units = list_units(draft)
        groups = [unit.group for unit in units if unit.group is not None]
        old_frames, self._frames = self._frames, {}
        for group in groups:
            self._frames[group] = old_frames.pop(group) if group in old_frames else self._new_frame(group)
        # Taken out of the layout and put back, a widget keeps the keyboard's focus.
        while self._layout.count():
            self._layout.takeAt(0)
        self._layout.addWidget(self._caption)
        parts: list[QWidget] = []
        for unit in units:
            cards = [self._in_order[index] for index in unit.entries]
            if unit.group is None:
                self._layout.addWidget(cards[0])
            else:
                frame = self._frames[unit.group]
                frame.hold(cards)
                self._layout.addWidget(frame)
                parts += frame.parts
            parts += [part for card in cards for part in card.parts]
        for before, after in pairwise(parts):
            QWidget.setTabOrder(before, after)
        for left in (*known.values(), *old_frames.values()):
            left.hide()
            left.deleteLater()
        if first_time:
            enabled = (card for card, entry in zip(self._in_order, draft.entries, strict=True) if entry.enabled)
            for card in list(enabled)[:1]:
                card.unfold()

    def _new_card(self, kind: type[Corruption], in_group: bool) -> Card:
        card = Card(kind, in_group=in_group, parent=self)
        card.setting_moved.connect(lambda name, value, settled: self._set(card, name, value, settled))
        card.rate_moved.connect(lambda rate, settled: self._rate(card, rate, settled))
        card.switched.connect(
            lambda on: self._emit(self._draft.with_enabled(card.index, on), f"{card.index}:enabled", True)
        )
        card.restore_wanted.connect(
            lambda: self._emit(self._draft.with_defaults(card.index), f"{card.index}:defaults", True)
        )
        card.move_wanted.connect(lambda by: self._move(moved(self._draft, card.index, by), card))
        return card

    def _new_frame(self, group: int) -> GroupFrame:
        frame = GroupFrame(self)
        frame.rate_moved.connect(
            lambda rate, settled: self._emit(self._draft.with_group(group, rate), f"group {group}", settled)
        )
        frame.move_wanted.connect(lambda by: self._move(moved_group(self._draft, group, by), frame))
        return frame

    def _set(self, card: Card, name: str, value: object, settled: bool) -> None:
        key = f"{card.index}.{name}"
        try:
            draft = self._draft.with_setting(card.index, name, value)
        except RecipeError as problem:
            card.show_problem(_reason(problem, card))
            if settled:
                card.show_setting_again(name)
                # The drag ends here, with the last draft that could be.
                if self._open == key:
                    self._emit(self._draft, key, True)
            return
        card.show_problem("")
        self._emit(draft, key, settled)

    def _rate(self, card: Card, rate: float, settled: bool) -> None:
        index = card.index
        draft = with_share(self._draft, index, rate) if card.in_group else self._draft.with_rate(index, rate)
        self._emit(draft, f"{index}:rate", settled)

    def _move(self, draft: RecipeDraft | None, widget: QWidget) -> None:
        if draft is not None:
            self._emit(draft, "order", True)
            self._to_see = widget
            self._later.start()

    def _emit(self, draft: RecipeDraft, key: str, settled: bool) -> None:
        self._open = None if settled else key
        self.edited.emit(draft, key, settled)

    def _scroll(self) -> None:
        """Follow what was moved, where the cards lie in a scrolled area."""
        ancestor = self.parentWidget()
        while ancestor is not None and not isinstance(ancestor, QScrollArea):
            ancestor = ancestor.parentWidget()
        if ancestor is not None and self._to_see is not None:
            ancestor.ensureWidgetVisible(self._to_see)
        self._to_see = None


def _reason(problem: RecipeError, card: Card) -> str:
    """Return why a draft was refused, with labels and numbers as the form shows them."""
    cause = problem.__context__
    text = reasons(cause) if isinstance(cause, ValidationError) else str(problem)
    for name, control in card.form.controls.items():
        text = _as_shown(text, name, control.field)
    return text


def _as_shown(text: str, name: str, field: FormField) -> str:
    def written(found: re.Match[str]) -> str:
        return f"{field.label} {field.text(float(found[1]))}"

    if field.kind == "number":
        text = re.sub(rf"\b{name} (-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)", written, text)
    return re.sub(rf"\b{name}\b", field.label, text)
