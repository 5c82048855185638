"""Recipes as files and objects: presets, round trips, what is refused and how, and what a draw records."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.recipe import Draw, OneOf, Recipe, Step
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import RecipeError
from genesis_core.randomness import stream, uniform
from genesis_core.settings import Settings, setting

SHAPE = (32, 64, 64)
KINDS = ("local_shuffle", "nonlinear", "inner_cutout", "outer_cutout")


def test_the_contract_s_example_is_the_genesis_preset() -> None:
    text = """
    schema: 1
    name: genesis
    steps:
      - {kind: local_shuffle, probability: 0.5, windows: 10000, max_window: 0.1}
      - {kind: nonlinear, probability: 0.9}
      - one_of: {probability: 0.9, of: [{kind: inner_cutout, weight: 0.2}, {kind: outer_cutout, weight: 0.8}]}
    """
    assert Recipe.from_dict(yaml.safe_load(text)) == Recipe.genesis()


def test_every_parameter_is_written_out() -> None:
    genesis = yaml.safe_load(Recipe.genesis().to_yaml())
    assert genesis["steps"][0] == {"kind": "local_shuffle", "probability": 0.5, "windows": 10000, "max_window": 0.1}
    children = genesis["steps"][2]["one_of"]["of"]
    for written in [*genesis["steps"][:2], *children]:
        assert set(CORRUPTIONS[written["kind"]].model_fields) <= set(written)
    assert all("weight" in child and "probability" not in child for child in children)


@pytest.mark.parametrize("name", ["genesis", "paper"])
def test_recipes_survive_a_round_trip_through_a_file(name: str, tmp_path: Path) -> None:
    recipe = Recipe.read(name)
    recipe.write(tmp_path / "recipe.yaml")
    assert Recipe.read(tmp_path / "recipe.yaml") == recipe
    assert Recipe.read(str(tmp_path / "recipe.yaml")).draw(SHAPE, 3) == recipe.draw(SHAPE, 3)


def test_other_settings_can_hold_a_recipe_by_name_or_written_out() -> None:
    class Holder(Settings):
        recipe: Recipe

    by_name = Holder.model_validate({"recipe": "paper"})
    assert by_name.recipe == Recipe.paper()
    assert Holder.model_validate(by_name.model_dump(mode="json")) == by_name


def step(**values: Any) -> dict[str, Any]:
    return {"steps": [values]}


def child(**values: Any) -> dict[str, Any]:
    return {"steps": [{"one_of": {"of": [values]}}]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (step(kind="shuffle"), ["steps[0]", "'kind' = 'shuffle'", "local_shuffle, nonlinear"]),
        (step(probability=0.5), ["steps[0]", "kind", "allowed"]),
        (step(kind=["a"]), ["kind", "allowed"]),
        (step(kind="local_shuffle", windws=3), ["unknown key 'windws'", "value 3", "windows, max_window"]),
        (step(kind="local_shuffle", windows=-1), ["'windows' = -1", "greater than or equal to 0"]),
        (step(kind="local_shuffle", windows=1.5), ["'windows' = 1.5", "integer"]),
        (step(kind="local_shuffle", max_window=2), ["'max_window' = 2", "less than or equal to 1"]),
        (step(kind="nonlinear", probability=1.2), ["'probability' = 1.2", "less than or equal to 1"]),
        (step(kind="nonlinear", probability=float("nan")), ["'probability' = nan", "finite"]),
        (step(kind="nonlinear", weight=1), ["'weight' = 1", "a step has a probability"]),
        (step(kind="outer_cutout", fill="white"), ["'fill' = 'white'", "'noise' or 'constant'"]),
        (step(kind="inner_cutout", min_size=0.5), ["min_size 0.5", "max_size"]),
        (step(kind="outer_cutout", max_cut=0.1), ["min_cut", "max_cut 0.1"]),
        (child(kind="nonlinear", probability=0.5), ["one_of.of[0]", "'probability' = 0.5", "a weight"]),
        (child(kind="nonlinear", weight=0), ["'weight' = 0", "greater than 0"]),
        ({"steps": [{"one_of": {"of": []}}]}, ["one_of", "'of' = []", "at least 1"]),
        ({"steps": [{"one_of": {"of": [3]}}]}, ["one_of.of[0]", "3"]),
        ({"steps": [{"one_of": {"of": 3}}]}, ["'of' must be a list", "int"]),
        ({"steps": [{"one_of": 3}]}, ["one_of", "int"]),
        ({"steps": [{"one_of": {"of": [], "p": 1}}]}, ["unknown key 'p'", "probability, of"]),
        ({"steps": [{"one_of": {}, "kind": "nonlinear"}]}, ["unknown key 'kind'", "one_of"]),
        ({"steps": "genesis"}, ["'steps' must be a list", "str"]),
        ({"steps": [None]}, ["steps[0]", "None"]),
        ({"schema": 2, "steps": []}, ["'schema' = 2", "schema 1"]),
        ({"schema": True, "steps": []}, ["'schema' = True"]),
        ({"step": []}, ["unknown key 'step'", "schema, name, steps"]),
        ({}, ["'steps' is required"]),
    ],
)
def test_what_is_wrong_is_refused_with_its_key_its_value_and_what_is_allowed(values: Any, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(values, where="my.yaml")
    for word in ["my.yaml", *words]:
        assert word in str(caught.value)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"genesys.*presets: genesis, paper"):
        Recipe.read("genesys")
    damaged = tmp_path / "damaged.yaml"
    for text in ("steps: [", "- 1", "!!python/object/apply:os.system [ls]", "\x00", "steps: [{kind: [[[]]]}]"):
        damaged.write_text(text)
        with pytest.raises(RecipeError, match=r"damaged\.yaml"):
            Recipe.read(damaged)


def test_the_twelve_combinations_of_the_paper_can_each_be_drawn() -> None:
    recipe = Recipe.genesis()
    found = recipe.combinations()
    assert len(found) == len({combination.name for combination in found}) == 12
    assert found[0].kinds == ()
    assert sum(combination.probability for combination in found) == pytest.approx(1.0)
    for combination in found:
        draw = recipe.draw(SHAPE, 7, apply=combination.kinds)
        assert draw.applied == combination.kinds
        assert len(draw.applied) <= 3


def test_the_twelve_combinations_occur_with_the_stated_probabilities() -> None:
    recipe = Recipe.genesis()
    total = 12_000
    # A tiny shape: the decisions do not depend on it.
    seen = Counter(recipe.draw((2, 2), seed).applied for seed in range(total))
    assert len(seen) == 12
    for combination in recipe.combinations():
        spread = (combination.probability / total) ** 0.5
        assert seen[combination.kinds] / total == pytest.approx(combination.probability, abs=4.5 * spread)


def test_forcing_a_step_does_not_change_what_it_draws() -> None:
    recipe = Recipe.genesis()
    for seed in range(20):
        free = recipe.draw(SHAPE, seed)
        assert recipe.draw(SHAPE, seed, apply=free.applied) == free
        for part in free.steps:
            assert recipe.draw(SHAPE, seed, apply={part.corruption.kind}).steps == (part,)


def test_forcing_what_a_recipe_cannot_do_is_refused() -> None:
    with pytest.raises(RecipeError, match="exclude each other"):
        Recipe.genesis().draw(SHAPE, 1, apply={"inner_cutout", "outer_cutout"})
    with pytest.raises(RecipeError, match=r"no 'blur'.*local_shuffle"):
        Recipe.genesis().draw(SHAPE, 1, apply={"blur"})
    twice = Recipe(steps=(Step(corruption=LocalShuffle()), Step(corruption=LocalShuffle())))
    with pytest.raises(RecipeError, match="twice"):
        twice.combinations()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["genesis", "paper"]), st.lists(st.integers(1, 30), min_size=2, max_size=3), st.integers())
def test_a_draw_survives_json_and_yaml_and_replays_exactly(name: str, shape: list[int], seed: int) -> None:
    recipe = Recipe.read(name)
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    draw = recipe.draw(shape, seed)
    for text in (json.dumps(draw.to_dict()), yaml.safe_dump(draw.to_dict())):
        assert len(text) < 4000
        again = Draw.from_dict(yaml.safe_load(text))
        assert again == draw
        assert np.array_equal(recipe.apply(x, again), recipe(x, seed))
    assert draw.describe() == Draw.from_dict(draw.to_dict()).describe()


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 2},
        {"shape": [0, 1, 2]},
        {"shape": None},
        {"seed": 1.5},
        {"steps": [{"position": 0}]},
        {"steps": [3]},
        {"steps": [{"position": 0, "key": 1, "decided": {}, "corruption": {"kind": "blur"}}]},
        {"steps": [{"position": 0, "key": 1, "decided": {"x": 1}, "corruption": {"kind": "local_shuffle"}}]},
        {"steps": [{"position": 0, "key": 1, "decided": {}, "corruption": {"kind": "nonlinear"}}]},
    ],
)
def test_a_damaged_draw_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"draw|shape|seed"):
        Draw.from_dict({**Recipe.genesis().draw(SHAPE, 1).to_dict(), **damage})


def test_descriptions_are_words() -> None:
    recipe = Recipe.genesis()
    assert recipe.draw(SHAPE, 1, apply=()).describe() == "unchanged"
    lines = recipe.draw(SHAPE, 1, apply=("local_shuffle", "nonlinear", "outer_cutout")).describe().splitlines()
    assert lines[0] == "local shuffling: 10,000 windows of at most 3 x 6 x 6 voxels (z, y, x)"
    assert lines[1].startswith("non-linear intensity: ")
    assert lines[2].startswith("outer cut-out: ")


def test_the_paper_preset_masks_less_than_a_quarter_with_up_to_ten_boxes_and_constants() -> None:
    recipe = Recipe.paper()
    x = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    most = 0
    for seed in range(60):
        for kind in ("inner_cutout", "outer_cutout"):
            draw = recipe.draw(SHAPE, seed, apply={kind})
            assert draw.mask().mean() < 0.25
            boxes = draw.to_dict()["steps"][0]["decided"]["boxes"]
            most = max(most, len(boxes))
            constants = np.unique(recipe.apply(x, draw)[draw.mask()])
            assert len(constants) <= (1 if kind == "outer_cutout" else len(boxes))
    assert most == 10
    assert recipe.draw(SHAPE, 1, apply={"local_shuffle"}).windows().shape == (1000, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_sentence_a_default_and_bounds(kind: str) -> None:
    fields = CORRUPTIONS[kind].model_fields
    assert CORRUPTIONS[kind]().kind == kind
    for name, field in fields.items():
        if name == "kind":
            continue
        assert field.description
        assert field.description.endswith(".")
        assert not field.is_required()
        assert field.metadata or name == "fill"


class Shift(Decided):
    """A number of voxels."""

    voxels: int


class Roll(Corruption):
    """A toy: roll the last axis."""

    kind: Literal["roll"] = "roll"
    label: ClassVar[str] = "rolling"
    decided: ClassVar[type[Decided]] = Shift
    most: int = setting(4, "Largest shift.", unit="voxels", ge=1)

    def draw(self, shape: Shape3, key: int) -> Shift:
        return Shift(voxels=1 + int(uniform(stream(key, "shift"), 0) * self.most))

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        out[...] = np.roll(source, decided.voxels, axis=-1)

    def describe(self, decided: Any, shape: Shape3) -> str:
        return f"{self.label}: by {decided.voxels} voxels"


def test_a_new_corruption_is_a_class_and_a_line_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORRUPTIONS, "roll", Roll)
    text = "steps: [{kind: roll, probability: 1.0, most: 2}, {one_of: {of: [{kind: roll}, {kind: nonlinear}]}}]"
    recipe = Recipe.from_dict(yaml.safe_load(text))
    assert yaml.safe_load(recipe.to_yaml())["steps"][0] == {"kind": "roll", "probability": 1.0, "most": 2}
    assert Recipe.from_dict(yaml.safe_load(recipe.to_yaml())) == recipe
    draw = recipe.draw((4, 8), 5)
    assert draw.applied[0] == "roll"
    assert "rolling: by" in draw.describe()
    assert Draw.from_dict(draw.to_dict()) == draw
    x = np.random.default_rng(0).random((2, 1, 4, 8), dtype=np.float32)
    y = recipe(x, seed=[5, 6])
    assert np.array_equal(y[0, 0], recipe.apply(x[0, 0], draw))
    with pytest.raises(RecipeError, match=r"'most' = 0.*greater than or equal to 1"):
        Recipe.from_dict({"steps": [{"kind": "roll", "most": 0}]})


def test_a_choice_follows_its_weights() -> None:
    recipe = Recipe.from_dict(
        {"steps": [{"one_of": {"of": [{"kind": "nonlinear", "weight": 3}, {"kind": "local_shuffle", "weight": 1}]}}]}
    )
    assert isinstance(recipe.steps[0], OneOf)
    seen = Counter(recipe.draw((2, 2), seed).applied for seed in range(4000))
    assert seen[("nonlinear",)] / 4000 == pytest.approx(0.75, abs=0.03)
    assert len(seen) == 2
