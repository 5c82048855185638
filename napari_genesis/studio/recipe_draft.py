"""A recipe while it is being edited: one entry per card, also for corruptions that are switched off.

A `Recipe` forgets the settings of a corruption that is not in it; a draft keeps them, so that switching a card off and
on again loses nothing. Every change returns a new draft, which makes undo a list of drafts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from genesis_core.corruptions.corruption import Corruption
from genesis_core.corruptions.presets import PRESETS
from genesis_core.corruptions.recipe import OneOf, Recipe, Step
from genesis_core.corruptions.registry import CORRUPTIONS
from genesis_core.corruptions.steps import Choice
from genesis_core.errors import RecipeError
from genesis_core.settings import validate


@dataclass(frozen=True)
class Entry:
    """One corruption of a draft.

    rate: its probability in [0, 1], or, in a group, its weight (above 0) among the group's members. group: index into
    the draft's groups, whose enabled members exclude each other; None for a corruption that stands alone.
    """

    corruption: Corruption
    enabled: bool
    rate: float
    group: int | None = None


@dataclass(frozen=True)
class RecipeDraft:
    """The entries in the order of the recipe; groups: the probability that one of each group's members is applied."""

    name: str
    entries: tuple[Entry, ...]
    groups: tuple[float, ...] = ()

    @classmethod
    def of(cls, recipe: Recipe) -> RecipeDraft:
        """Return the draft of a recipe; registered corruptions that are not in it follow, switched off."""
        entries: list[Entry] = []
        groups: list[float] = []
        for step in recipe.steps:
            if isinstance(step, Step):
                entries.append(Entry(step.corruption, True, step.probability))
                continue
            entries += [Entry(choice.corruption, True, choice.weight, len(groups)) for choice in step.of]
            groups.append(step.probability)
        present = {entry.corruption.kind for entry in entries}
        entries += [Entry(corruption, False, 0.5) for corruption in registered() if corruption.kind not in present]
        return cls(recipe.name, tuple(entries), tuple(groups))

    def recipe(self) -> Recipe:
        """Return the recipe of what is switched on; a group stands where its first enabled member does."""
        steps: list[Step | OneOf] = []
        done: set[int] = set()
        for entry in self.entries:
            if not entry.enabled or entry.group in done:
                continue
            if entry.group is None:
                steps.append(Step(corruption=entry.corruption, probability=entry.rate))
                continue
            done.add(entry.group)
            of = tuple(
                Choice(corruption=one.corruption, weight=one.rate)
                for one in self.entries
                if one.enabled and one.group == entry.group
            )
            steps.append(OneOf(of=of, probability=self.groups[entry.group]))
        return Recipe(name=self.name, steps=tuple(steps))

    def with_setting(self, index: int, key: str, value: Any) -> RecipeDraft:
        """Return the draft with one setting of one entry changed.

        Raises RecipeError, naming the key and what is allowed, if the value is out of bounds, also against another
        setting of the same corruption.
        """
        corruption = self.entries[index].corruption
        values = {**corruption.model_dump(), key: value}
        changed = validate(type(corruption), values, where=corruption.label, error=RecipeError)
        return self._with_entry(index, replace(self.entries[index], corruption=changed))

    def with_rate(self, index: int, rate: float) -> RecipeDraft:
        """Return the draft with one entry's probability (or weight in its group) changed."""
        return self._with_entry(index, replace(self.entries[index], rate=rate))

    def with_enabled(self, index: int, enabled: bool) -> RecipeDraft:
        """Return the draft with one entry switched on or off."""
        return self._with_entry(index, replace(self.entries[index], enabled=enabled))

    def with_group(self, group: int, probability: float) -> RecipeDraft:
        """Return the draft with the probability of a group changed."""
        groups = list(self.groups)
        groups[group] = probability
        return replace(self, groups=tuple(groups))

    def with_defaults(self, index: int) -> RecipeDraft:
        """Return the draft with all settings of one entry at their published defaults; its rate stays."""
        kind = type(self.entries[index].corruption)
        return self._with_entry(index, replace(self.entries[index], corruption=kind.model_validate({})))

    def renamed(self, name: str) -> RecipeDraft:
        """Return the draft under another name."""
        return replace(self, name=name)

    def with_order(self, order: Sequence[int]) -> RecipeDraft:
        """Return the draft with its entries in another order; `order` holds every index once."""
        return replace(self, entries=tuple(self.entries[index] for index in order))

    def _with_entry(self, index: int, entry: Entry) -> RecipeDraft:
        entries = list(self.entries)
        entries[index] = entry
        return replace(self, entries=tuple(entries))


def preset_of(recipe: Recipe) -> str | None:
    """Return the name of the preset that a recipe is, down to its name; None if it is none."""
    return next((preset.name for preset in _presets() if preset == recipe), None)


@functools.cache
def _presets() -> tuple[Recipe, ...]:
    return tuple(Recipe.read(name) for name in PRESETS)


def registered() -> list[Corruption]:
    """Return every corruption there is, at its published defaults."""
    return [kind.model_validate({}) for kind in CORRUPTIONS.values()]
