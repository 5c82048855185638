"""What a contact sheet shows: one sub-volume of a scan, corrupted again and again, as arrays.

Either every combination of a recipe's steps under one seed, so that a step looks the same wherever it takes part, or
random samples as training draws them. Nothing here draws a picture; `montage` lays the arrays out for a viewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.tiling import cut
from genesis_core.errors import SettingsError
from genesis_core.inference.memory_budget import require_memory
from genesis_core.randomness import integer, stream

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Combination, Draw, Recipe

Array = NDArray[np.float32]
Index = tuple[int, int, int]
Progress = Callable[[int, int], None]
Stop = Callable[[], bool]

# Random samples of one sheet; more make a picture nobody scrolls through.
MOST_SAMPLES = 200
# Places tried when a sub-volume is chosen, and the unit value up to which a voxel counts as air or background.
_PLACES = 96
_BACKGROUND = 0.04
# A recipe with more combinations than this shows each step alone and the first of the others.
_MOST = 24


@dataclass(frozen=True, eq=False)
class Example:
    """One tile: the steps applied by name and kinds; the seed and, in words, what it drew; voxels float32 in [0, 1].

    probability: of this combination of steps among the recipe's draws; None for a random sample.
    """

    name: str
    kinds: tuple[str, ...]
    seed: int
    probability: float | None
    words: str
    corrupted: Array
    restored: Array | None = None


@dataclass(frozen=True, eq=False)
class Montage:
    """Sub-volumes side by side as one array, float32 (z, rows, columns), the gaps 0 (air).

    names: one a sub-volume. positions: where each begins, (row, column) in voxels of the array.
    """

    array: Array
    names: tuple[str, ...]
    positions: tuple[tuple[int, int], ...]


def shown_combinations(recipe: Recipe) -> list[Combination]:
    """Return the combinations of a recipe's steps in the order of the sheet, the unchanged one first.

    The last step varies slowest, so that a row shows one kind of cut-out. More than 24 are cut to each step alone and
    the first of the others. Raises RecipeError if a kind occurs twice in the recipe.
    """

    def place(combination: Combination) -> tuple[int, ...]:
        kinds = [[""] + [corruption.kind for corruption, _ in step.choices] for step in reversed(recipe.steps)]
        return tuple(next((own.index(kind) for kind in combination.kinds if kind in own), 0) for own in kinds)

    every = sorted(recipe.combinations(), key=place)
    if len(every) > _MOST:
        every.sort(key=lambda combination: len(combination.kinds) > 1)
    return every[:_MOST]


def choose_sub_volume(unit: Array, size: Index, seed: int) -> Index:
    """Return where the most informative sub-volume of a scan begins, (z, y, x) in voxels; a pure function.

    unit: the scan in [0, 1]. size: of the sub-volume in voxels; axes shorter than it begin at 0. Of 96 places drawn
    from `seed`, the one whose grey values are spread most evenly (entropy) and which holds least background.
    """
    key = stream(seed, "contact sheet", "place")
    best, best_score = (0, 0, 0), -1.0
    for n in range(_PLACES):
        start = tuple(integer(key, 3 * n + k, 0, max(unit.shape[k] - size[k], 0)) for k in range(3))
        part = unit[tuple(slice(s, s + length) for s, length in zip(start, size, strict=True))][::2, ::2, ::2]
        counts = np.histogram(part, bins=32, range=(0, 1))[0] / part.size
        filled = counts[counts > 0]
        score = -float((filled * np.log2(filled)).sum()) * float((part > _BACKGROUND).mean()) ** 2
        if score > best_score:
            best, best_score = (start[0], start[1], start[2]), score
    return best


def place_around(unit: Array, centre: Index, size: Index) -> Index:
    """Return where a sub-volume of `size` around a voxel begins, moved inside the scan where it can be.

    Raises SettingsError if the centre lies outside the scan.
    """
    cut(unit, centre, (1, 1, 1))
    begins = [min(max(c - n // 2, 0), max(whole - n, 0)) for c, n, whole in zip(centre, size, unit.shape, strict=True)]
    return begins[0], begins[1], begins[2]


def require_sheet_memory(recipe: Recipe, size: Index, *, samples: int | None, restored: bool) -> None:
    """Raise MemoryBudgetError if the examples of a sheet, sub-volumes of `size`, do not fit into memory."""
    count = len(shown_combinations(recipe)) if samples is None else samples
    require_memory(
        # Each example, what was restored of it, and what is made of one on the way.
        4 * math.prod(size) * (count * (1 + restored) + 4),
        f"a contact sheet of {count} sub-volumes of {' x '.join(map(str, size))} voxels (z, y, x)",
        "choose a smaller patch or fewer samples",
    )


def make_examples(
    recipe: Recipe,
    original: Array,
    *,
    seed: int,
    samples: int | None = None,
    restore: Callable[[Array], Array] | None = None,
    progress: Progress | None = None,
    should_stop: Stop | None = None,
) -> tuple[Example, ...] | None:
    """Corrupt one sub-volume (z, y, x) in [0, 1] again and again; a pure function, from any thread.

    samples: None for every combination of the recipe's steps under `seed`; else that many random samples, number k
    drawn from `seed + k`. restore: applied to each corrupted sub-volume. progress: called as (done, all) after each.
    should_stop: asked before each; once it says so, None is returned.
    Raises SettingsError for a number of samples outside 1..200, RecipeError where `shown_combinations` does.
    """
    if samples is not None and not 1 <= samples <= MOST_SAMPLES:
        raise SettingsError(f"samples = {samples}: a contact sheet shows 1 to {MOST_SAMPLES}")
    combinations: Sequence[Combination | None] = shown_combinations(recipe) if samples is None else [None] * samples
    made: list[Example] = []
    for number, combination in enumerate(combinations):
        if should_stop is not None and should_stop():
            return None
        if combination is None:
            draw = recipe.draw(original.shape, seed + number)
            name, kinds, probability = _name(draw), draw.applied, None
        else:
            name, kinds, probability = combination
            draw = recipe.draw(original.shape, seed, apply=kinds)
        corrupted = recipe.apply(original, draw)
        restored = restore(corrupted) if restore is not None else None
        made.append(Example(name, kinds, draw.seed, probability, draw.describe(), corrupted, restored))
        if progress is not None:
            progress(len(made), len(combinations))
    return tuple(made)


def _name(draw: Draw) -> str:
    return " + ".join(step.corruption.label for step in draw.steps) or "unchanged"


def montage(examples: Sequence[Example], columns: int, gap: int) -> Montage:
    """Lay the corrupted sub-volumes out row by row as one array, to be scrolled through in z.

    columns: sub-volumes in a row; fewer where there are fewer. gap: voxels between them, filled with 0 (air).
    Raises SettingsError if there is no example, no column, or a gap below 0.
    """
    if not examples or columns < 1 or gap < 0:
        raise SettingsError(
            f"a montage of {len(examples)} examples in {columns} columns with gaps of {gap} voxels: at least one "
            "example, one column and a gap of 0 are needed"
        )
    columns = min(columns, len(examples))
    depth, tall, wide = examples[0].corrupted.shape
    rows = -(-len(examples) // columns)
    array = np.zeros((depth, rows * (tall + gap) - gap, columns * (wide + gap) - gap), np.float32)
    positions = tuple((k // columns * (tall + gap), k % columns * (wide + gap)) for k in range(len(examples)))
    for example, (row, column) in zip(examples, positions, strict=True):
        array[:, row : row + tall, column : column + wide] = example.corrupted
    return Montage(array, tuple(example.name for example in examples), positions)
