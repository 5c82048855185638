"""The recipe cards as a user meets them; the session around them is a list of the drafts they hand out."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

import pytest
from napari._qt.qt_resources import get_stylesheet
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from genesis_core.corruptions.corruption import Corruption, Decided
from genesis_core.corruptions.nonlinear import Nonlinear
from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.settings import setting
from napari_genesis.studio.cards import RecipeCards
from napari_genesis.studio.recipe_draft import RecipeDraft

LEFT, ALT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.AltModifier
BOX, SPACING = (32, 64, 64), (0.73, 0.73, 2.0)


class Session:
    """Shows every draft that is handed out, as the Studio does, and keeps what it heard."""

    def __init__(self, cards, draft):
        self.cards, self.draft = cards, draft
        self.heard = []
        cards.edited.connect(self._take)
        self.show()

    def show(self, box=BOX, spacing=SPACING):
        self.cards.show_draft(self.draft, box, spacing)

    def _take(self, draft, key, settled):
        self.heard.append((key, settled))
        self.draft = draft
        self.show()

    @property
    def kinds(self):
        return [entry.corruption.kind for entry in self.draft.entries]


def published_four():
    """The preset alone, without the corruptions that are switched off in it."""
    draft = RecipeDraft.of(Recipe.genesis())
    return replace(draft, entries=draft.entries[:4])


@pytest.fixture
def open_cards(qtbot):
    hosts = []

    def open_them(draft=None, stylesheet=""):
        host = QScrollArea()
        host.setStyleSheet(stylesheet)
        host.setWidgetResizable(True)
        host.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 0, 0, 0)
        cards = RecipeCards()
        layout.addWidget(cards)
        layout.addStretch(1)
        host.setWidget(inner)
        host.resize(340, 700)
        qtbot.addWidget(host)
        hosts.append(host)
        session = Session(cards, draft or published_four())
        host.show()
        qtbot.waitExposed(host)
        host.activateWindow()
        qtbot.waitUntil(host.isActiveWindow)
        return session

    return open_them


def card_of(session, kind):
    return next(card for card in session.cards.cards if card.kind.model_fields["kind"].default == kind)


def control_of(session, kind, name):
    return card_of(session, kind).form.controls[name]


def drag(qtbot, slider, *ways):
    """Drag a slider's handle by so many pixels, one way after the other, and let it go."""
    at = slider.handle().center()
    qtbot.mousePress(slider, LEFT, pos=at)
    for way in ways:
        at = at + QPoint(way, 0)
        qtbot.mouseMove(slider, at)
    qtbot.mouseRelease(slider, LEFT, pos=at)


def type_into(qtbot, box, text):
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def test_every_entry_is_a_card_in_order_and_the_first_enabled_one_is_unfolded(open_cards):
    session = open_cards(RecipeDraft.of(Recipe.genesis()).with_enabled(0, False))
    assert [card.kind for card in session.cards.cards] == [type(entry.corruption) for entry in session.draft.entries]
    assert [card.kind for card in session.cards.cards if card.unfolded] == [Nonlinear]
    tops = [card.mapTo(session.cards, QPoint(0, 0)).y() for card in session.cards.cards]
    assert tops == sorted(tops)
    assert session.heard == []


def test_a_drag_is_one_step_of_undo_and_settles_at_its_end(open_cards, qtbot):
    session = open_cards()
    drag(qtbot, control_of(session, "local_shuffle", "max_window").editor.slider, 10, 10, 10)
    assert {key for key, _ in session.heard} == {"0.max_window"}
    assert [settled for _, settled in session.heard] == [False, False, False, True]
    assert session.draft.entries[0].corruption.max_window > 0.1


def test_a_probability_moves_by_key_and_mouse_and_returns_to_the_published_one(open_cards, qtbot):
    session = open_cards()
    rate = card_of(session, "nonlinear").header.rate
    rate.slider.setFocus()
    qtbot.keyClick(rate.slider, Qt.Key.Key_Left)
    assert session.draft.entries[1].rate == 0.89
    type_into(qtbot, rate.box, "12.5")
    assert session.draft.entries[1].rate == 0.125
    assert session.heard == [("1:rate", True)] * 2
    qtbot.mouseDClick(rate.slider, LEFT, pos=rate.slider.handle().center())
    assert session.draft.entries[1].rate == 0.9


def test_switching_a_card_off_greys_its_settings_and_keeps_them(open_cards, qtbot):
    session = open_cards(RecipeDraft.of(Recipe.genesis()).with_setting(0, "windows", 77))
    card = card_of(session, "local_shuffle")
    card.header.switch.setFocus()
    qtbot.keyClick(card.header.switch, Qt.Key.Key_Space)
    assert session.heard == [("0:enabled", True)]
    assert not session.draft.entries[0].enabled
    assert not control_of(session, "local_shuffle", "windows").isEnabled()
    assert control_of(session, "local_shuffle", "windows").value == 77
    qtbot.keyClick(card.header.switch, Qt.Key.Key_Space)
    assert control_of(session, "local_shuffle", "windows").isEnabled()


def test_cards_fold_by_mouse_and_key_and_stay_as_they_were_left(open_cards, qtbot):
    session = open_cards()
    card = card_of(session, "nonlinear")
    qtbot.mouseClick(card.header.fold, LEFT)
    assert card.unfolded
    assert card.form.isVisible()
    session.draft = RecipeDraft.of(Recipe.paper())
    session.show()
    assert card.unfolded
    qtbot.keyClick(card.header.fold, Qt.Key.Key_Space)
    assert not card.form.isVisible()


def test_the_group_says_what_follows_and_shares_go_against_each_other(open_cards, qtbot):
    session = open_cards()
    (frame,) = session.cards.frames
    inner, outer = card_of(session, "inner_cutout"), card_of(session, "outer_cutout")
    assert frame.isAncestorOf(inner)
    assert frame.isAncestorOf(outer)
    assert not frame.isAncestorOf(card_of(session, "nonlinear"))
    assert frame.words.shown == "inner cut-out 18 %, outer cut-out 72 %, none 10 %"
    assert (inner.header.rate.value, outer.header.rate.value) == pytest.approx((0.2, 0.8))
    type_into(qtbot, inner.header.rate.box, "50")
    assert session.heard == [("2:rate", True)]
    assert [entry.rate for entry in session.draft.entries[2:4]] == [0.5, 0.5]
    assert outer.header.rate.box.text() == "50 %"
    assert frame.words.shown == "inner cut-out 45 %, outer cut-out 45 %, none 10 %"
    type_into(qtbot, frame.rate.box, "80")
    assert session.heard[-1] == ("group 0", True)
    assert session.draft.groups == (0.8,)
    assert frame.words.shown == "inner cut-out 40 %, outer cut-out 40 %, none 20 %"


def test_the_only_member_that_is_on_has_the_whole_share(open_cards, qtbot):
    session = open_cards()
    qtbot.mouseClick(card_of(session, "inner_cutout").header.switch, LEFT, pos=QPoint(8, 11))
    outer = card_of(session, "outer_cutout").header.rate
    assert not outer.isEnabled()
    assert outer.box.text() == "100 %"
    assert session.cards.frames[0].words.shown == "outer cut-out 90 %, none 10 %"


def test_a_drag_past_what_can_be_is_refused_in_words_and_ends_at_the_last_that_can(open_cards, qtbot):
    session = open_cards()
    card = card_of(session, "inner_cutout")
    card.unfold()
    control = card.form.controls["min_size"]
    drag(qtbot, control.editor.slider, 4, 4, 4, 100, 100)
    assert card.problem.isVisible()
    assert "% is larger than max size 33.33 %; it may be at most as large" in card.problem.shown
    kept = session.draft.entries[2].corruption.min_size
    assert 1 / 6 < kept <= 1 / 3
    assert control.value == kept
    assert session.heard[-1] == ("2.min_size", True)
    assert [settled for _, settled in session.heard[:-1]] == [False] * (len(session.heard) - 1)


def test_a_refused_number_is_not_handed_out_and_the_next_good_one_takes_the_words_away(open_cards, qtbot):
    session = open_cards()
    card = card_of(session, "outer_cutout")
    card.unfold()
    type_into(qtbot, card.form.controls["max_cut"].editor.box, "10")
    assert session.heard == []
    assert card.problem.shown == "min cut 42.86 % is larger than max cut 10 %; it may be at most as large"
    assert card.form.controls["max_cut"].value == 4 / 7
    type_into(qtbot, card.form.controls["max_cut"].editor.box, "60")
    assert not card.problem.isVisible()
    assert session.heard == [("3.max_cut", True)]


def test_undo_shows_the_values_before_without_an_edit(open_cards, qtbot):
    session = open_cards()
    before = session.draft
    type_into(qtbot, control_of(session, "local_shuffle", "windows").editor.box, "500")
    heard = list(session.heard)
    session.draft = before
    session.show()
    assert control_of(session, "local_shuffle", "windows").editor.box.text() == "10,000"
    assert session.heard == heard


def test_what_is_not_as_published_is_marked_on_the_card_and_goes_back_at_once(open_cards, qtbot):
    session = open_cards(RecipeDraft.of(Recipe.paper()))
    bold = [card.header.switch.font().bold() for card in session.cards.cards]
    assert bold == [True, False, True, True, *[False] * (len(CORRUPTIONS) - 4)]
    card = card_of(session, "outer_cutout")
    card.unfold()
    assert "min cut" in card.header.switch.toolTip()
    card.restore.setFocus()
    qtbot.keyClick(card.restore, Qt.Key.Key_Space)
    assert session.heard == [("3:defaults", True)]
    assert session.draft.entries[3].corruption == type(session.draft.entries[3].corruption)()
    assert session.draft.entries[3].rate == 0.8
    assert not card.header.switch.font().bold()
    assert not card.restore.isEnabled()


def test_sizes_are_shown_in_voxels_and_millimetres_of_the_box(open_cards):
    session = open_cards()
    assert control_of(session, "local_shuffle", "max_window").note.shown == "up to 3 x 6 x 6 voxels, 6.0 x 4.4 x 4.4 mm"
    assert control_of(session, "inner_cutout", "min_size").note.shown.startswith("at least 5 x 10 x 10 voxels")
    assert control_of(session, "inner_cutout", "margin").note.shown == "6.0 x 2.2 x 2.2 mm"
    session.show(box=(64, 96, 96), spacing=None)
    assert control_of(session, "local_shuffle", "max_window").note.shown == "up to 6 x 9 x 9 voxels"
    assert control_of(session, "inner_cutout", "margin").note.shown == ""


def test_cards_move_by_key_with_the_focus_and_groups_stay_together(open_cards, qtbot):
    session = open_cards()
    slider = control_of(session, "local_shuffle", "windows").editor.slider
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Down, ALT)
    assert session.kinds == ["nonlinear", "local_shuffle", "inner_cutout", "outer_cutout"]
    assert QApplication.focusWidget() is slider
    qtbot.keyClick(slider, Qt.Key.Key_Down, ALT)
    assert session.kinds == ["nonlinear", "inner_cutout", "outer_cutout", "local_shuffle"]
    assert QApplication.focusWidget() is slider
    assert slider.isVisible()
    qtbot.keyClick(slider, Qt.Key.Key_Down, ALT)
    assert session.heard == [("order", True)] * 2
    qtbot.keyClick(slider, Qt.Key.Key_Up, ALT)
    assert session.kinds == ["nonlinear", "local_shuffle", "inner_cutout", "outer_cutout"]
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert session.heard[-1] == ("1.windows", True)


@pytest.mark.parametrize("name", ["fill", "windows"])
def test_alt_and_an_arrow_move_the_card_also_from_a_choice_or_a_box(open_cards, qtbot, name):
    session = open_cards()
    kind = "inner_cutout" if name == "fill" else "local_shuffle"
    card = card_of(session, kind)
    card.unfold()
    editor = card.form.controls[name].editor
    widget = getattr(editor, "box", editor)
    widget.setFocus()
    before = session.draft
    qtbot.keyClick(widget, Qt.Key.Key_Down, ALT)
    assert session.heard == [("order", True)]
    assert {entry.corruption for entry in session.draft.entries} == {entry.corruption for entry in before.entries}


def test_small_buttons_move_cards_and_groups_as_far_as_they_go(open_cards, qtbot):
    session = open_cards()
    inner = card_of(session, "inner_cutout")
    inner.unfold()
    assert not inner.up.isEnabled()
    qtbot.mouseClick(inner.down, LEFT)
    assert session.kinds == ["local_shuffle", "nonlinear", "outer_cutout", "inner_cutout"]
    assert (inner.up.isEnabled(), inner.down.isEnabled()) == (True, False)
    (frame,) = session.cards.frames
    qtbot.mouseClick(frame.up, LEFT)
    frame.rate.slider.setFocus()
    qtbot.keyClick(frame.rate.slider, Qt.Key.Key_Up, ALT)
    assert session.kinds == ["outer_cutout", "inner_cutout", "local_shuffle", "nonlinear"]
    assert (frame.up.isEnabled(), frame.down.isEnabled()) == (False, True)


def test_a_card_that_is_moved_stays_in_sight(open_cards, qtbot):
    session = open_cards()
    for card in session.cards.cards:
        card.unfold()
    slider = card_of(session, "local_shuffle").header.rate.slider
    slider.setFocus()
    for _ in range(2):
        qtbot.keyClick(slider, Qt.Key.Key_Down, ALT)
    qtbot.waitUntil(lambda: not slider.visibleRegion().isEmpty())


def test_tab_follows_the_order_of_the_cards(open_cards, qtbot):
    session = open_cards()
    slider = card_of(session, "nonlinear").header.rate.slider
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Up, ALT)
    qtbot.waitUntil(lambda: card_of(session, "nonlinear").y() < card_of(session, "local_shuffle").y())
    first = card_of(session, "nonlinear").header.fold
    first.setFocus()
    seen = []
    while (widget := QApplication.focusWidget()) not in seen:
        seen.append(widget)
        qtbot.keyClick(widget, Qt.Key.Key_Tab)
    # Also the frame's header: where a group stands, its probability comes before its members.
    cards = [card for card in session.cards.cards if any(card.isAncestorOf(widget) for widget in seen)]
    assert cards == list(session.cards.cards)
    places = [widget.mapTo(session.cards, QPoint(0, 0)).y() for widget in seen if session.cards.isAncestorOf(widget)]
    assert all(after > before - 12 for before, after in pairwise(places))
    assert len(places) > 15


def test_a_draft_shown_again_and_again_leaves_the_focus_and_what_is_typed(open_cards, qtbot):
    session = open_cards()
    box = control_of(session, "local_shuffle", "windows").editor.box
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "12")
    for probability in (0.1, 0.2, 0.3):
        session.draft = session.draft.with_rate(1, probability).with_group(0, probability)
        session.show(box=(16, 16, int(100 * probability)))
        assert QApplication.focusWidget() is box
        assert box.text() == "12"
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert session.draft.entries[0].corruption.windows == 12


def test_showing_a_draft_on_every_tick_is_cheap(open_cards):
    start = time.thread_time()
    session = open_cards()
    for card in session.cards.cards:
        card.unfold()
    making = time.thread_time() - start
    drafts = [session.draft.with_setting(2, "max_size", 0.4 + 0.001 * tick) for tick in range(200)]
    widgets = session.cards.findChildren(QWidget)
    start = time.thread_time()
    for draft in drafts:
        session.cards.show_draft(draft, BOX, SPACING)
    assert (time.thread_time() - start) / len(drafts) < making / 50
    assert session.cards.findChildren(QWidget) == widgets


def test_another_recipe_reuses_cards_and_drops_those_it_lacks(open_cards, qtbot):
    session = open_cards()
    nonlinear = card_of(session, "nonlinear")
    steps = [{"one_of": {"of": [{"kind": "nonlinear"}, {"kind": "local_shuffle"}]}}, {"kind": "inner_cutout"}]
    session.draft = RecipeDraft.of(Recipe.from_dict({"steps": steps}))
    session.show()
    assert [card.in_group for card in session.cards.cards] == [True, True, *[False] * (len(CORRUPTIONS) - 2)]
    qtbot.waitUntil(lambda: all(card.isVisible() for card in session.cards.cards))
    assert nonlinear not in session.cards.cards
    session.draft = RecipeDraft.of(Recipe.from_dict({"steps": [{"kind": "nonlinear", "probability": 0.1}] * 2}))
    session.show()
    assert session.cards.frames == ()
    assert len(session.cards.cards) == len(CORRUPTIONS) + 1
    rate = session.cards.cards[1].header.rate
    type_into(qtbot, rate.box, "70")
    assert [entry.rate for entry in session.draft.entries[:2]] == [0.1, 0.7]


class Toy(Corruption):
    kind: Literal["toy"] = "toy"
    label: ClassVar[str] = "toy corruption with quite a long name"
    teaches: ClassVar[str] = "Nothing."
    count: int = setting(3, "How many.", unit="things", ge=1, le=9)
    strength: float = setting(0.5, "How much.", ge=0.0, le=2.0)
    way: Literal["up", "down"] = setting("up", "Which way.")
    smooth: bool = setting(False, "Whether to smooth.")
    odd: dict[str, tuple[float, ...]] = setting({"a": (1.0, 2.0)}, "Something odd.")

    def draw(self, shape, key):
        return Decided()

    def apply(self, source, out, decided, key):
        out[...] = source

    def describe(self, decided, shape):
        return self.label


def test_a_new_corruption_has_a_card_with_every_setting_by_itself(open_cards, qtbot, monkeypatch):
    monkeypatch.setitem(CORRUPTIONS, "toy", Toy)
    session = open_cards(RecipeDraft.of(Recipe.genesis()))
    card = card_of(session, "toy")
    assert not card.header.switch.value
    qtbot.mouseClick(card.header.switch, LEFT, pos=QPoint(8, 11))
    qtbot.mouseClick(card.header.fold, LEFT)
    controls = card.form.controls
    assert list(controls) == ["count", "strength", "way", "smooth", "odd"]
    controls["count"].editor.slider.setFocus()
    qtbot.keyClick(controls["count"].editor.slider, Qt.Key.Key_End)
    type_into(qtbot, controls["strength"].editor.box, "1.25")
    controls["way"].editor.setFocus()
    qtbot.keyClick(controls["way"].editor, Qt.Key.Key_Down)
    controls["smooth"].editor.setFocus()
    qtbot.keyClick(controls["smooth"].editor, Qt.Key.Key_Space)
    type_into(qtbot, controls["odd"].editor, "{b: [3]}")
    index = session.kinds.index("toy")
    entry = session.draft.entries[index]
    assert entry.enabled
    assert entry.corruption == Toy(count=9, strength=1.25, way="down", smooth=True, odd={"b": (3.0,)})
    assert [key for key, _ in session.heard[1:]] == [
        f"{index}.{name}" for name in ("count", "strength", "way", "smooth", "odd")
    ]
    assert session.draft.recipe().to_dict()["steps"][-1]["odd"] == {"b": [3.0]}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_cards_fit_into_the_dock_in_every_theme(open_cards, monkeypatch, theme):
    monkeypatch.setitem(CORRUPTIONS, "toy", Toy)
    session = open_cards(stylesheet=get_stylesheet(theme))
    for card in session.cards.cards:
        card.unfold()
    assert session.cards.minimumSizeHint().width() <= 320
    QApplication.processEvents()
    for card in session.cards.cards:
        for part in card.parts:
            right = part.mapTo(session.cards, QPoint(part.width(), 0)).x()
            assert right <= session.cards.width() <= 340
