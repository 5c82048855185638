"""The steps of a recipe: one corruption with its probability, or a choice of one among several."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from pydantic import SerializeAsAny, model_serializer

from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.errors import RecipeError
from genesis_core.settings import Settings, setting, validate

One = TypeVar("One", "Step", "Choice")


class Step(Settings):
    """A corruption that is applied with a probability of its own."""

    corruption: SerializeAsAny[Corruption]
    probability: float = setting(1.0, "Chance that the corruption is applied.", unit="probability", ge=0.0, le=1.0)

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return _flatten(self.corruption, "probability", self.probability)

    @cached_property
    def choices(self) -> tuple[tuple[Corruption, float], ...]:
        """The corruptions this step may apply, each with its probability."""
        return ((self.corruption, self.probability),)


class Choice(Settings):
    """One of several corruptions, and how often it is the one."""

    corruption: SerializeAsAny[Corruption]
    weight: float = setting(1.0, "Share among the corruptions of the choice.", unit="relative", gt=0.0)

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return _flatten(self.corruption, "weight", self.weight)


class OneOf(Settings):
    """A choice between corruptions that exclude each other, made with a probability."""

    of: tuple[Choice, ...] = setting(..., "The corruptions to choose from.", min_length=1)
    probability: float = setting(1.0, "Chance that one of them is applied.", unit="probability", ge=0.0, le=1.0)

    @model_serializer
    def _nested(self) -> dict[str, Any]:
        return {"one_of": {"probability": self.probability, "of": [choice.model_dump() for choice in self.of]}}

    @cached_property
    def choices(self) -> tuple[tuple[Corruption, float], ...]:
        """The corruptions this step may apply, each with its probability."""
        total = sum(choice.weight for choice in self.of)
        return tuple((choice.corruption, self.probability * choice.weight / total) for choice in self.of)


def choose(step: Step | OneOf, key: int, position: int, apply: Collection[str] | None) -> Corruption | None:
    """Return the corruption that a step applies, or None.

    key: the recipe's stream of decisions, of which the step takes the number at its position. apply: kinds to apply
    whatever the probabilities say, and no others.
    Raises RecipeError if `apply` names two corruptions that exclude each other.
    """
    from genesis_core.randomness import uniform

    if apply is not None:
        forced = [corruption for corruption, _ in step.choices if corruption.kind in apply]
        if len(forced) > 1:
            kinds = ", ".join(corruption.kind for corruption in forced)
            raise RecipeError(f"{kinds} exclude each other in this recipe: apply one of them")
        return forced[0] if forced else None
    # One number decides: the choices follow each other on [0, 1), and what is left over applies nothing.
    u = uniform(key, position)
    for corruption, probability in step.choices:
        if u < probability:
            return corruption
        u -= probability
    return None


def parse_steps(steps: Any) -> Any:
    """Turn the `steps` of a recipe file into settings; what is settings already is left alone.

    Raises RecipeError naming the step, the key, its value and what is allowed.
    """
    if isinstance(steps, str | bytes | Mapping) or not isinstance(steps, Sequence):
        raise RecipeError(f"'steps' must be a list of steps, found {type(steps).__name__}")
    return tuple(_parse_step(step, f"steps[{index}]") for index, step in enumerate(steps))


def _parse_step(values: Any, where: str) -> Step | OneOf:
    if isinstance(values, Step | OneOf):
        return values
    if isinstance(values, Mapping) and "one_of" in values:
        _refuse_unknown(values, ["one_of"], where)
        inner = values["one_of"]
        if not isinstance(inner, Mapping):
            raise RecipeError(f"{where}: 'one_of' needs the keys probability and of, found {type(inner).__name__}")
        _refuse_unknown(inner, ["probability", "of"], f"{where}.one_of")
        children = inner.get("of")
        if isinstance(children, str | bytes | Mapping) or not isinstance(children, Sequence):
            raise RecipeError(f"{where}.one_of: 'of' must be a list of corruptions, found {type(children).__name__}")
        parsed = [_parse_one(Choice, "weight", child, f"{where}.one_of.of[{n}]") for n, child in enumerate(children)]
        return validate(OneOf, {**inner, "of": parsed}, where=f"{where}.one_of", error=RecipeError)
    return _parse_one(Step, "probability", values, where)


def _parse_one(model: type[One], extra: str, values: Any, where: str) -> One:
    if isinstance(values, model):
        return values
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where}: expected a corruption with a kind, found {values!r}")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in CORRUPTIONS:
        raise RecipeError(f"{where}: 'kind' = {kind!r} is not a corruption; allowed: {', '.join(CORRUPTIONS)}")
    where = f"{where} ({kind})"
    chosen: type[Corruption] = CORRUPTIONS[kind]
    other = {"weight": "probability", "probability": "weight"}[extra]
    if other in values:
        raise RecipeError(
            f"{where}: '{other}' = {values[other]!r} has no place here: "
            "a step has a probability, a child of one_of a weight"
        )
    _refuse_unknown(values, ["kind", extra, *(name for name in chosen.model_fields if name != "kind")], where)
    settings = {key: value for key, value in values.items() if key != extra}
    parts: dict[str, Any] = {"corruption": validate(chosen, settings, where=where, error=RecipeError)}
    if extra in values:
        parts[extra] = values[extra]
    return validate(model, parts, where=where, error=RecipeError)


def _refuse_unknown(values: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for key, value in values.items():
        if key not in allowed:
            raise RecipeError(f"{where}: unknown key {key!r} (value {value!r:.60}); allowed: {', '.join(allowed)}")


def _flatten(corruption: Corruption, extra: str, value: float) -> dict[str, Any]:
    settings = corruption.model_dump()
    return {"kind": settings.pop("kind"), extra: value, **settings}
