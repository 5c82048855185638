"""Units, moves, shares and sizes of a draft, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis_core.corruptions.inner_cutout import InnerCutout
from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.nonlinear import Nonlinear
from genesis_core.corruptions.outer_cutout import OuterCutout
from genesis_core.corruptions.recipe import Recipe
from napari_genesis.studio.arrangement import (
    can_share,
    list_units,
    moved,
    moved_group,
    outcomes,
    published_group,
    published_rate,
    share,
    size_text,
    with_share,
)
from napari_genesis.studio.recipe_draft import Entry, RecipeDraft

KINDS = st.sampled_from([LocalShuffle, Nonlinear, InnerCutout, OuterCutout])
ALONE = st.builds(lambda kind, on, rate: [(kind, on, rate)], KINDS, st.booleans(), st.floats(0, 1))
MEMBERS = st.lists(st.tuples(KINDS, st.booleans(), st.floats(0.01, 100)), min_size=1, max_size=4)


@st.composite
def drafts(draw):
    entries, groups = [], []
    for _ in range(draw(st.integers(1, 4))):
        in_group = draw(st.booleans())
        group = len(groups) if in_group else None
        if in_group:
            groups.append(draw(st.floats(0, 1)))
        for kind, on, rate in draw(MEMBERS if in_group else ALONE):
            entries.append(Entry(kind(), on, rate, group))
    return RecipeDraft("drawn", tuple(entries), tuple(groups))


def _names(draft):
    return [entry.corruption.kind for entry in draft.entries]


def _genesis():
    draft = RecipeDraft.of(Recipe.genesis())
    # Without the corruptions that are switched off in this recipe.
    return replace(draft, entries=draft.entries[:4])


@given(drafts(), st.data())
def test_a_move_keeps_every_entry_and_every_group_together(draft, data):
    index = data.draw(st.integers(0, len(draft.entries) - 1))
    by = data.draw(st.sampled_from([-1, 1]))
    after = moved(draft, index, by)
    if after is None:
        return
    assert sorted(map(id, after.entries)) == sorted(map(id, draft.entries))
    for unit in list_units(after):
        assert list(unit.entries) == list(range(unit.entries[0], unit.entries[-1] + 1))
    at = next(n for n, entry in enumerate(after.entries) if entry is draft.entries[index])
    assert at != index
    assert moved(after, at, -by) == draft


def test_an_entry_moves_past_a_whole_group_and_a_member_stays_in_it():
    draft = _genesis()
    down = moved(draft, 1, 1)
    assert _names(down) == ["local_shuffle", "inner_cutout", "outer_cutout", "nonlinear"]
    assert moved(down, 3, 1) is None
    assert _names(moved(draft, 2, 1)) == ["local_shuffle", "nonlinear", "outer_cutout", "inner_cutout"]
    assert moved(draft, 2, -1) is None
    assert moved(draft, 0, -1) is None
    assert _names(moved_group(draft, 0, -1)) == ["local_shuffle", "inner_cutout", "outer_cutout", "nonlinear"]
    assert moved_group(draft, 0, 1) is None


@given(drafts(), st.integers(1, 99), st.data())
def test_a_share_is_what_was_asked_for_and_the_others_keep_their_ratio(draft, percent, data):
    able = [index for index in range(len(draft.entries)) if can_share(draft, index)]
    if not able:
        return
    index = data.draw(st.sampled_from(able))
    after = with_share(draft, index, percent / 100)
    assert share(after, index) == pytest.approx(percent / 100, rel=1e-9)
    members = [n for n in able if draft.entries[n].group == draft.entries[index].group]
    assert sum(after.entries[n].rate for n in members) == pytest.approx(sum(draft.entries[n].rate for n in members))
    others = [n for n in members if n != index]
    ratios = [after.entries[n].rate / draft.entries[n].rate for n in others]
    assert ratios == pytest.approx([ratios[0]] * len(others))
    # What is switched off, and other groups, stay as they are.
    assert all(after.entries[n] == draft.entries[n] for n in range(len(draft.entries)) if n not in members)


def test_round_shares_make_round_weights():
    draft = _genesis()
    for percent in range(1, 100):
        draft = with_share(draft, 2, percent / 100)
        assert [entry.rate for entry in draft.entries[2:]] == [percent / 100, round(1 - percent / 100, 2)]


def test_what_follows_from_the_shares_is_said_in_words():
    draft = _genesis()
    assert outcomes(draft, 0) == "inner cut-out 18 %, outer cut-out 72 %, none 10 %"
    assert outcomes(draft.with_enabled(2, False), 0) == "outer cut-out 90 %, none 10 %"
    assert outcomes(draft.with_enabled(2, False).with_enabled(3, False), 0) == "all of them are switched off"


def test_published_rates_are_those_of_the_code():
    draft = _genesis()
    changed = with_share(draft.with_rate(0, 0.1).with_rate(1, 0.1).with_group(0, 0.1), 2, 0.5)
    for one in (draft, changed):
        assert [published_rate(one, index) for index in range(4)] == pytest.approx([0.5, 0.9, 0.2, 0.8])
        assert published_group(one, 0) == 0.9
    assert published_rate(draft.with_enabled(2, False), 3) is None


def test_nothing_is_published_on_a_corruption_in_another_place():
    draft = RecipeDraft.of(
        Recipe.from_dict({"steps": [{"kind": "inner_cutout"}, {"one_of": {"of": [{"kind": "nonlinear"}]}}]})
    )
    assert [published_rate(draft, index) for index in range(3)] == [None, None, 0.5]
    assert published_group(draft, 0) is None


@given(st.tuples(*[st.integers(1, 512)] * 3), st.floats(0, 1, exclude_min=True), st.tuples(*[st.floats(0.1, 10.0)] * 3))
def test_sizes_are_those_the_corruption_draws(box, fraction, spacing):
    largest = LocalShuffle(max_window=fraction).largest(box)
    text = size_text(fraction, box, None, least=1)
    assert text == " x ".join(map(str, largest)) + " voxels"
    millimetres = " x ".join(f"{n * mm:.1f}" for n, mm in zip(largest, reversed(spacing), strict=True))
    assert size_text(fraction, box, spacing, least=1) == f"{text}, {millimetres} mm"
