"""Recipes: corruptions with probabilities and exclusions, as a YAML file, a Python object and a function of (x, seed).

`draw` decides, `apply` does what was decided, and calling the recipe is both. Sample i of a batch is the same, bit
for bit, as sample i alone, on any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, model_serializer, model_validator

from genesis_core.corruptions.draw import Draw, StepDraw, as_shape3, check_seed, check_shape
from genesis_core.corruptions.presets import PRESETS
from genesis_core.corruptions.steps import OneOf, Step, choose, parse_steps
from genesis_core.errors import RecipeError
from genesis_core.settings import Settings, dump_yaml, read_yaml, setting, validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Combination", "Draw", "OneOf", "Recipe", "Step", "StepDraw"]


class Combination(NamedTuple):
    """One way a recipe can turn out: its name in words, the kinds applied, and its probability."""

    name: str
    kinds: tuple[str, ...]
    probability: float


class Recipe(Settings):
    """Corruptions in their order, each step with a probability, some of them excluding each other.

    Source: Zhou et al. 2021 (Models Genesis), sec. 2.2.
    """

    name: str = setting("recipe", "What the recipe is called.")
    steps: Annotated[tuple[Step | OneOf, ...], BeforeValidator(parse_steps)] = setting(
        ..., "The steps, in their order."
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        # A preset's name or a file's path stands for the recipe in it, so that other settings can hold either.
        if isinstance(values, str):
            values = cls.read(values).to_dict()
        if isinstance(values, Mapping):
            values = dict(values)
            schema = values.pop("schema", 1)
            if schema != 1 or isinstance(schema, bool):
                raise RecipeError(f"'schema' = {schema!r}: this version reads schema 1")
            for key in values:
                if key not in cls.model_fields:
                    raise RecipeError(f"unknown key {key!r} (value {values[key]!r:.60}); allowed: schema, name, steps")
        return values

    @model_serializer
    def _plain(self) -> dict[str, Any]:
        return {"schema": 1, "name": self.name, "steps": [step.model_dump() for step in self.steps]}

    @classmethod
    def genesis(cls) -> Recipe:
        """Return the recipe of the published code since 2020-02-20."""
        return cls.from_dict(PRESETS["genesis"])

    @classmethod
    def paper(cls) -> Recipe:
        """Return the recipe as the text of the paper describes it."""
        return cls.from_dict(PRESETS["paper"])

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """Return the recipe of plain values. Raises RecipeError naming the key, its value and what is allowed."""
        try:
            return validate(cls, values, where=where, error=RecipeError)
        except RecipeError as problem:
            text = str(problem)
            raise RecipeError(text if text.startswith(f"{where}:") else f"{where}: {text}") from None

    @classmethod
    def read(cls, source: str | os.PathLike[str]) -> Recipe:
        """Read a recipe from a YAML file, or return the preset of that name.

        Raises RecipeError if there is neither, or if the file is not a recipe.
        """
        if isinstance(source, str) and source in PRESETS:
            return cls.from_dict(PRESETS[source])
        if not os.path.exists(source):
            raise RecipeError(f"{source}: no such file, and no preset either (presets: {', '.join(PRESETS)})")
        return cls.from_dict(read_yaml(source, RecipeError), where=os.fspath(source))

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, every parameter written out."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every parameter written out."""
        return dump_yaml(self.to_dict())

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the recipe to a YAML file, atomically."""
        from genesis_core.atomic import write_text

        write_text(path, self.to_yaml())

    def combinations(self) -> tuple[Combination, ...]:
        """Return every way this recipe can turn out, also those of probability 0, the unchanged one first.

        `draw(shape, seed, apply=combination.kinds)` draws one of them. Raises RecipeError if a kind occurs in two
        steps.
        """
        kinds = [corruption.kind for step in self.steps for corruption, _ in step.choices]
        if len(set(kinds)) < len(kinds):
            raise RecipeError("combinations go by kind, and a kind occurs twice in this recipe")
        found = []
        for chosen in product(*[[(None, 1.0 - sum(p for _, p in step.choices)), *step.choices] for step in self.steps]):
            probability = 1.0
            for _, part in chosen:
                probability *= part
            applied = [corruption for corruption, _ in chosen if corruption is not None]
            name = " + ".join(corruption.label for corruption in applied) or "unchanged"
            found.append(Combination(name, tuple(corruption.kind for corruption in applied), probability))
        return tuple(sorted(found, key=lambda combination: len(combination.kinds)))

    def draw(self, shape: Sequence[int], seed: int, apply: Collection[str] | None = None) -> Draw:
        """Decide everything for one sub-volume: which steps, and what each of them does.

        shape: spatial, (z, y, x) or (y, x). seed: any whole number. apply: kinds of corruption to apply whatever their
        probabilities, and no others. Each step's randomness depends on the seed, its position and its kind alone.
        Raises RecipeError for another shape, or for an `apply` that the recipe cannot do.
        """
        from genesis_core.randomness import stream

        shape, seed = check_shape(shape), check_seed(seed)
        if apply is not None:
            self._require_kinds(apply)
        steps = []
        decisions = stream(seed, "decisions")
        for position, step in enumerate(self.steps):
            corruption = choose(step, decisions, position, apply)
            if corruption is not None:
                key = stream(seed, position, corruption.kind)
                steps.append(StepDraw(position, corruption, key, corruption.draw(as_shape3(shape), key)))
        return Draw(shape, seed, tuple(steps))

    def _require_kinds(self, kinds: Collection[str]) -> None:
        known = {corruption.kind for step in self.steps for corruption, _ in step.choices}
        for kind in kinds:
            if kind not in known:
                raise RecipeError(f"apply: this recipe has no {kind!r}; it has {', '.join(sorted(known)) or 'no step'}")

    def apply(self, x: ArrayLike, draw: Draw | Sequence[Draw], *, threads: int | None = None) -> NDArray[np.float32]:
        """Return the corrupted copy that was drawn. Pure: `x` and `draw` say it all.

        x: floats in [0, 1] of the draw's shape, or a batch (batch, channel, z, y, x) or (batch, channel, y, x) with one
        draw a sample. threads: most threads for a batch; None takes every core of this process.
        Returns float32 in [0, 1], of the shape of `x`. Raises RecipeError for values outside [0, 1], whole numbers, and
        shapes that do not fit.
        """
        from genesis_core.corruptions.application import apply_batch, apply_one

        if isinstance(draw, Draw):
            return apply_one(x, draw)
        return apply_batch(x, list(draw), threads)

    def __call__(
        self, x: ArrayLike, seed: int | Sequence[int] | NDArray[np.integer], *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Return a corrupted copy: `draw` and `apply` in one.

        x: floats in [0, 1], (z, y, x) or (y, x) with one seed; or a batch (batch, channel, z, y, x) or (batch,
        channel, y, x) with a list of seeds, one a sample. A sample's channels share windows, curve, order and boxes;
        noise is each channel's own. Raises RecipeError as `draw` and `apply` do.
        """
        from genesis_core.corruptions.application import corrupt_batch, corrupt_one

        if isinstance(seed, Sequence) or getattr(seed, "ndim", 0) == 1:
            return corrupt_batch(self, x, [check_seed(one) for one in seed], threads)  # type: ignore[union-attr]
        return corrupt_one(self, x, check_seed(seed))
