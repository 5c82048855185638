"""A draft keeps what a recipe forgets, and gives back the very recipe it was made from."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import RecipeError
from napari_genesis.studio.recipe_draft import RecipeDraft

alone = st.builds(
    lambda kind, rate: {"kind": kind, "probability": rate}, st.sampled_from(sorted(CORRUPTIONS)), st.floats(0, 1)
)
group = st.builds(
    lambda of, rate: {"one_of": {"probability": rate, "of": of}},
    st.lists(
        st.builds(
            lambda kind, weight: {"kind": kind, "weight": weight},
            st.sampled_from(sorted(CORRUPTIONS)),
            st.floats(0.01, 5),
        ),
        min_size=1,
        max_size=4,
    ),
    st.floats(0, 1),
)


@given(st.lists(st.one_of(alone, group), max_size=5))
def test_any_recipe_comes_back_from_its_draft(steps: list[dict[str, object]]) -> None:
    recipe = Recipe.from_dict({"name": "any", "steps": steps})
    assert RecipeDraft.of(recipe).recipe() == recipe


def test_every_registered_corruption_has_an_entry_and_those_not_in_the_recipe_are_off() -> None:
    draft = RecipeDraft.of(Recipe.from_dict({"steps": [{"kind": "nonlinear"}]}))
    assert {entry.corruption.kind for entry in draft.entries} == set(CORRUPTIONS)
    assert [entry.corruption.kind for entry in draft.entries if entry.enabled] == ["nonlinear"]


def test_switching_a_card_off_and_on_loses_none_of_its_settings() -> None:
    draft = RecipeDraft.of(Recipe.genesis()).with_setting(0, "windows", 77).with_rate(0, 0.3)
    off = draft.with_enabled(0, False)
    assert "local_shuffle" not in [step.corruption.kind for step in off.recipe().steps if hasattr(step, "corruption")]
    assert off.with_enabled(0, True).recipe() == draft.recipe()


def test_a_group_with_every_member_off_is_no_step() -> None:
    draft = RecipeDraft.of(Recipe.genesis())
    for index, entry in enumerate(draft.entries):
        if entry.group is not None:
            draft = draft.with_enabled(index, False)
    assert len(draft.recipe().steps) == 2


def test_a_value_out_of_bounds_is_refused_with_its_name() -> None:
    draft = RecipeDraft.of(Recipe.genesis())
    with pytest.raises(RecipeError, match="windows"):
        draft.with_setting(0, "windows", -1)
    outer = next(n for n, entry in enumerate(draft.entries) if entry.corruption.kind == "outer_cutout")
    with pytest.raises(RecipeError, match=r"min_cut 0\.9 is larger"):
        draft.with_setting(outer, "min_cut", 0.9)


def test_a_new_corruption_shows_up_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from genesis_core.corruptions.inner_cutout import InnerCutout

    class Toy(InnerCutout):
        kind: Literal["toy"] = "toy"  # type: ignore[assignment]
        label: ClassVar[str] = "toy"

    monkeypatch.setitem(CORRUPTIONS, "toy", Toy)
    assert RecipeDraft.of(Recipe.genesis()).entries[-1].corruption.kind == "toy"


def test_defaults_and_order() -> None:
    draft = RecipeDraft.of(Recipe.paper())
    assert draft.with_defaults(0).entries[0].corruption == RecipeDraft.of(Recipe.genesis()).entries[0].corruption
    turned = draft.with_order([1, 0, 2, 3])
    assert [entry.corruption.kind for entry in turned.entries][:2] == ["nonlinear", "local_shuffle"]
    assert turned.renamed("mine").recipe().name == "mine"
