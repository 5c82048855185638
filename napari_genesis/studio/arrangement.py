"""How the entries of a recipe draft stand together: units that move as one, shares of a choice, sizes in voxels and mm.

A unit is an entry that stands alone, or all members of a group. Sizes follow the corruptions' own rounding; published
rates are those of the code since 2020-02-20 (the preset `genesis`). No Qt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from genesis_core.corruptions.recipe import Recipe
from napari_genesis.studio.recipe_draft import RecipeDraft

Shape3 = tuple[int, int, int]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Unit:
    """Entries that move as one, by their indices. group: index of their group, or None for an entry on its own."""

    entries: tuple[int, ...]
    group: int | None


def list_units(draft: RecipeDraft) -> tuple[Unit, ...]:
    """Return the units of a draft in their order; a group stands where its first member does."""
    units: dict[object, Unit] = {}
    for index, entry in enumerate(draft.entries):
        key = ("alone", index) if entry.group is None else ("group", entry.group)
        known = units.get(key, Unit((), entry.group))
        units[key] = replace(known, entries=(*known.entries, index))
    return tuple(units.values())


def moved(draft: RecipeDraft, index: int, by: int) -> RecipeDraft | None:
    """Return the draft with an entry one place up (by -1) or down (by 1); None where it cannot go further.

    A member of a group moves among its members, an entry that stands alone past whole groups.
    """
    units = [unit.entries for unit in list_units(draft)]
    group = draft.entries[index].group
    if group is None:
        return _ordered(draft, _swapped(units, units.index((index,)), by))
    at = next(n for n, unit in enumerate(units) if index in unit)
    members = _swapped([(member,) for member in units[at]], units[at].index(index), by)
    if members is None:
        return None
    units[at] = tuple(member for (member,) in members)
    return _ordered(draft, units)


def moved_group(draft: RecipeDraft, group: int, by: int) -> RecipeDraft | None:
    """Return the draft with a whole group one place up (by -1) or down (by 1); None where it cannot go further."""
    units = list_units(draft)
    at = next(n for n, unit in enumerate(units) if unit.group == group)
    return _ordered(draft, _swapped([unit.entries for unit in units], at, by))


def share(draft: RecipeDraft, index: int) -> float:
    """Return the share of an entry among its group's enabled members, in [0, 1]; of a disabled one, if it were."""
    entry = draft.entries[index]
    others = sum(draft.entries[other].rate for other in _rivals(draft, index))
    return entry.rate / (entry.rate + others)


def can_share(draft: RecipeDraft, index: int) -> bool:
    """Return whether an entry's share can be changed: it and another member of its group are enabled."""
    return draft.entries[index].enabled and bool(_rivals(draft, index))


def with_share(draft: RecipeDraft, index: int, wanted: float) -> RecipeDraft:
    """Return the draft with another share, in (0, 1), of one entry; the other members keep theirs among themselves.

    The sum of the weights stays, so that weights that were fractions of 1 still are.
    """
    rivals = _rivals(draft, index)
    others = sum(draft.entries[other].rate for other in rivals)
    total = draft.entries[index].rate + others
    # Twelve digits keep the weights as round as the shares.
    changed = draft.with_rate(index, float(f"{wanted * total:.12g}"))
    for other in rivals:
        rate = draft.entries[other].rate * (1.0 - wanted) * total / others
        changed = changed.with_rate(other, float(f"{rate:.12g}"))
    return changed


def outcomes(draft: RecipeDraft, group: int) -> str:
    """Return how often each enabled member of a group is applied, and how often none, in words."""
    probability = draft.groups[group]
    on = [index for index, entry in enumerate(draft.entries) if entry.group == group and entry.enabled]
    if not on:
        return "all of them are switched off"
    parts = [f"{draft.entries[index].corruption.label} {_percent(probability * share(draft, index))}" for index in on]
    return ", ".join((*parts, f"none {_percent(1.0 - probability)}"))


def published_rate(draft: RecipeDraft, index: int) -> float | None:
    """Return the published probability of an entry, or share if it is a member of a group; None if there is none."""
    entry = draft.entries[index]
    weights = _published()[0]
    rate = weights.get((entry.corruption.kind, entry.group is not None))
    if rate is None or entry.group is None:
        return rate
    rivals = [weights.get((draft.entries[other].corruption.kind, True)) for other in _rivals(draft, index)]
    known = [rival for rival in rivals if rival is not None]
    return rate / (rate + sum(known)) if known and len(known) == len(rivals) else None


def published_group(draft: RecipeDraft, group: int) -> float | None:
    """Return the published probability of a group with these members, or None if there is none."""
    kinds = frozenset(entry.corruption.kind for entry in draft.entries if entry.group == group)
    return _published()[1].get(kinds)


def size_text(fraction: float, box: Shape3, spacing: Spacing | None, least: int) -> str:
    """Return a fraction of each axis in voxels and millimetres, (z, y, x).

    box: voxels (z, y, x). spacing: mm (x, y, z), or None if it is not known. least: fewest voxels.
    """
    # The small term keeps 6 * (1 / 3) and the like from rounding down, as in the corruptions.
    return voxels_text(tuple(max(least, int(length * fraction + 1e-9)) for length in box), spacing)


def voxels_text(voxels: tuple[int, ...], spacing: Spacing | None) -> str:
    """Return a size in voxels (z, y, x) with its millimetres, if the spacing (x, y, z) is known."""
    text = " x ".join(str(edge) for edge in voxels) + " voxels"
    return text if spacing is None else f"{text}, {length_text(voxels, spacing)}"


def length_text(voxels: tuple[int, ...], spacing: Spacing) -> str:
    """Return a size in voxels (z, y, x) in millimetres."""
    return " x ".join(f"{edge * step:.1f}" for edge, step in zip(voxels, spacing[::-1], strict=True)) + " mm"


def _rivals(draft: RecipeDraft, index: int) -> list[int]:
    group = draft.entries[index].group
    return [
        other
        for other, entry in enumerate(draft.entries)
        if other != index and entry.enabled and group is not None and entry.group == group
    ]


def _swapped(units: list[tuple[int, ...]], at: int, by: int) -> list[tuple[int, ...]] | None:
    if not 0 <= at + by < len(units):
        return None
    units[at], units[at + by] = units[at + by], units[at]
    return units


def _ordered(draft: RecipeDraft, units: list[tuple[int, ...]] | None) -> RecipeDraft | None:
    return None if units is None else draft.with_order([index for unit in units for index in unit])


def _percent(probability: float) -> str:
    return f"{100 * probability:.3g} %"


@cache
def _published() -> tuple[dict[tuple[str, bool], float], dict[frozenset[str], float]]:
    """Return the preset's rates by kind and whether it is a member of a group, and its groups' rates by their kinds."""
    draft = RecipeDraft.of(Recipe.genesis())
    inside = [entry for entry in draft.entries if entry.enabled]
    rates = {(entry.corruption.kind, entry.group is not None): entry.rate for entry in inside}
    groups = {
        frozenset(entry.corruption.kind for entry in inside if entry.group == group): probability
        for group, probability in enumerate(draft.groups)
    }
    return rates, groups
