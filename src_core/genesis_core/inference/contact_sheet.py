"""The contact sheet: one sub-volume under every combination of a recipe's corruptions, and what a model makes of it.

The published figure has twelve: with and without shuffling, with and without the intensity map, and cut-out inside,
outside or not at all (Zhou et al. 2021, sec. 2.2). All combinations share one seed, so that a step looks the same in
every tile it takes part in. The sheet names recipe, seed and patch size, never the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import ModelError, SettingsError, VolumeError
from genesis_core.pictures.encoding import resized
from genesis_core.pictures.mosaic import Row, Tile, sheet
from genesis_core.pictures.slices import Pixels, coloured, grey, signed_difference
from genesis_core.randomness import integer, stream

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Combination, Recipe
    from genesis_core.model.folder import Model
    from genesis_core.volumes.preprocessing import Prepared

Array = NDArray[np.float32]
Index = tuple[int, int, int]

# Places tried when a sub-volume is chosen, and the unit value up to which a voxel counts as air or background.
_PLACES = 96
_BACKGROUND = 0.04
# A recipe with more combinations than this shows each step alone and the first of the others.
_MOST = 24
# Differences are shown in colour up to this share of the range [0, 1].
_DIFFERENCE = 0.5
_TALL = 164
_ORANGE = (230, 159, 0)


@dataclass(frozen=True, eq=False)
class Example:
    """One tile: a combination of steps by name, kinds and probability; its draw in words; voxels float32 in [0, 1]."""

    name: str
    kinds: tuple[str, ...]
    probability: float
    words: str
    corrupted: Array
    restored: Array | None = None


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """The sheet's pixels, uint8 (y, x, 3); where the sub-volume begins, (z, y, x) in voxels; what every tile shows."""

    image: Pixels
    start: Index
    examples: tuple[Example, ...]


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


def cut(unit: Array, start: Index, size: Index) -> Array:
    """Return the sub-volume of `size` that begins at `start`, padded with 0 (air) beyond the scan, as its own array.

    Raises SettingsError if it begins outside the scan.
    """
    if any(not 0 <= s < n for s, n in zip(start, unit.shape, strict=True)):
        raise SettingsError(f"at = {start}: the scan has {unit.shape} voxels (z, y, x); choose a place inside it")
    part = unit[tuple(slice(s, s + length) for s, length in zip(start, size, strict=True))]
    result = np.zeros(size, np.float32)
    result[tuple(slice(0, n) for n in part.shape)] = part
    return result


def make_contact_sheet(
    prepared: Prepared,
    recipe: Recipe,
    *,
    seed: int = 0,
    patch_size: Index = (32, 64, 64),
    centre: Index | None = None,
    model: Model | None = None,
    source: str = "",
) -> ContactSheet:
    """Draw the contact sheet of a scan.

    prepared: the scan on the model's grid. patch_size: (z, y, x) voxels. centre: of the sub-volume, (z, y, x) in voxels
    of the prepared scan; default: a place with much to see. model: a restoring model, applied to the sub-volume alone.
    source: the scan's origin, for the line at the bottom; "synthetic" where it is.
    Raises SettingsError if the centre lies outside, ModelError if the model cannot restore a sub-volume of this size.
    """
    unit = prepared.map.to_unit(prepared.volume.array)
    if centre is not None:
        cut(unit, centre, (1, 1, 1))
        start = _around(centre, patch_size, prepared.volume.shape)
    else:
        start = choose_sub_volume(unit, patch_size, seed)
    original = cut(unit, start, patch_size)
    restore = _restorer(model) if model is not None else None
    made = tuple(_corrupt(recipe, original, one, seed, restore) for one in shown_combinations(recipe))
    image = _draw(prepared, unit, original, start, made, _texts(prepared, recipe, seed, patch_size, model, source))
    return ContactSheet(image, start, made)


def _around(centre: Index, size: Index, shape: Index) -> Index:
    begins = [min(max(c - n // 2, 0), max(whole - n, 0)) for c, n, whole in zip(centre, size, shape, strict=True)]
    return begins[0], begins[1], begins[2]


def _corrupt(
    recipe: Recipe, original: Array, combination: Combination, seed: int, restore: Callable[[Array], Array] | None
) -> Example:
    draw = recipe.draw(original.shape, seed, apply=combination.kinds)
    corrupted = recipe.apply(original, draw)
    return Example(*combination, draw.describe(), corrupted, restore(corrupted) if restore else None)


def _restorer(model: Model) -> Callable[[Array], Array]:
    """Return the model as a function on one sub-volume, without a sliding window."""
    from genesis_core.inference.predictor import choose_device, make_predictor

    if model.card.task != "restoration":
        raise ModelError(f"{model.path}: its task is {model.card.task}; a contact sheet needs a model that restores")
    predict = make_predictor(model.network, model.card.activation, choose_device("cpu"))

    def restore(sub_volume: Array) -> Array:
        result: Array = predict(sub_volume[None, None])[0, 0]
        return result

    return restore


@dataclass(frozen=True)
class _Texts:
    title: str
    subtitle: str
    footer: str


def _texts(prepared: Prepared, recipe: Recipe, seed: int, size: Index, model: Model | None, source: str) -> _Texts:
    spacing = prepared.volume.spacing
    extent = " x ".join(f"{n * mm:.0f}" for n, mm in zip(size, reversed(spacing), strict=True))
    shown = "corrupted | restored | restored - original" if model else "corrupted | corrupted - original"
    window = f"{prepared.map.low:g} to {prepared.map.high:g}" + (" HU" if prepared.volume.modality == "ct" else "")
    footer = [
        f"Recipe {recipe.name}, seed {seed}, sub-volume {' x '.join(map(str, size))} voxels (z, y, x), {extent} mm; "
        f"grey from {window}; differences from blue (-{_DIFFERENCE:g} of the range or less) over white (none) to red "
        f"(+{_DIFFERENCE:g} or more)."
    ]
    if model:
        footer.append(
            f"Model: {model.card.name}. What it cannot restore - noise, fine texture - is no sign of disease."
        )
    footer.append(f"Scan: {source}." if source else "Scan: the user's own.")
    return _Texts(
        "What the network must undo" if model is None else "What the network must undo, and how it does",
        f"One sub-volume under every combination of the recipe's steps, its central slice. Each picture: {shown}.",
        "\n".join(footer),
    )


def _draw(
    prepared: Prepared, unit: Array, original: Array, start: Index, made: Sequence[Example], texts: _Texts
) -> Pixels:
    parts = 3 if made[0].restored is not None else 2
    columns = 4
    spacing = prepared.volume.spacing
    middle = original.shape[0] // 2
    wide = max(round(_TALL * original.shape[2] * spacing[0] / (original.shape[1] * spacing[1])), 40)
    tile_width = parts * wide + 4 * (parts - 1)
    tiles = []
    for example in made:
        pictures = [_slice(example.corrupted[middle], wide)]
        after = example.corrupted if example.restored is None else example.restored
        if example.restored is not None:
            pictures.append(_slice(example.restored[middle], wide))
        pictures.append(
            resized(signed_difference(after[middle] - original[middle], _DIFFERENCE), _TALL, wide, smooth=False)
        )
        tiles.append(Tile(_beside(pictures), example.name, _caption(example, original), smooth=False))
    rows = [Row(tuple(_context(prepared, unit, original, start, tile_width)), "The sub-volume")]
    for k in range(0, len(tiles), columns):
        rows.append(Row(tuple(tiles[k : k + columns])))
    return sheet(rows, title=texts.title, subtitle=texts.subtitle, footer=texts.footer, tile_width=tile_width)


def _slice(plane: Array, wide: int) -> Pixels:
    return coloured(resized(grey(plane, 0, 1), _TALL, wide))


def _beside(pictures: Sequence[Pixels]) -> Pixels:
    gap = np.full((_TALL, 4, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (coloured(picture), gap)][:-1]
    return np.concatenate(parts, axis=1)


def _caption(example: Example, original: Array) -> str:
    often = f"{100 * example.probability:.2g} % of the draws"
    if example.restored is None and not example.kinds:
        return f"the original; {often}"
    before = float(np.mean((example.corrupted - original) ** 2))
    if example.restored is None:
        return f"MSE {before:.4f}; {often}"
    after = float(np.mean((example.restored - original) ** 2))
    return f"MSE {before:.4f}, restored {after:.4f}; {often}"


def _context(prepared: Prepared, unit: Array, original: Array, start: Index, tile_width: int) -> list[Tile]:
    """Return the scan in three planes with the sub-volume's box, and the original sub-volume, all of one height."""
    x, y, z = prepared.volume.spacing
    size = original.shape
    centre = [min(s + n // 2, whole - 1) for s, n, whole in zip(start, size, unit.shape, strict=True)]
    # Head up where the index grows toward the head, as in every radiological picture.
    up = slice(None, None, -1) if prepared.volume.axis_codes[2] == "S" else slice(None)
    planes = (
        (unit[centre[0]], (1, 2), y / x, slice(None), "axial"),
        (unit[:, centre[1]], (0, 2), z / x, up, "coronal"),
        (unit[:, :, centre[2]], (0, 1), z / y, up, "sagittal"),
    )
    tiles = []
    for plane, axes, aspect, turned, name in planes:
        picture = _with_box(plane, [start[a] for a in axes], [size[a] for a in axes], aspect, tile_width)
        tiles.append(Tile(_on_ground(picture[turned], tile_width), name, smooth=False))
    middle = original[size[0] // 2]
    square = resized(grey(middle, 0, 1), *_fitted(middle.shape[0] * y, middle.shape[1] * x, tile_width))
    tiles.append(Tile(_on_ground(coloured(square), tile_width), "original, central slice", smooth=False))
    return tiles


def _fitted(height: float, width: float, room: int) -> tuple[int, int]:
    """Return a picture's size in pixels, as large as fits a tile of the context row."""
    factor = min(room / width, _context_height(room) / height)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def _context_height(tile_width: int) -> int:
    return min(tile_width, 320)


def _with_box(plane: Array, begin: Sequence[int], size: Sequence[int], aspect: float, tile_width: int) -> Pixels:
    if plane.ndim != 2:
        raise VolumeError("a contact sheet needs a scan with three axes")
    tall, wide = _fitted(plane.shape[0] * aspect, plane.shape[1], tile_width)
    picture = coloured(resized(grey(plane, 0, 1), tall, wide)).copy()
    low = [round(b * n / whole) for b, n, whole in zip(begin, (tall, wide), plane.shape, strict=True)]
    high = [
        min(round((b + s) * n / whole), n) - 1
        for b, s, n, whole in zip(begin, size, (tall, wide), plane.shape, strict=True)
    ]
    rows, columns = slice(low[0], high[0] + 1), slice(low[1], high[1] + 1)
    for thick in (0, 1):
        picture[rows, [min(low[1] + thick, high[1]), max(high[1] - thick, low[1])]] = _ORANGE
        picture[[min(low[0] + thick, high[0]), max(high[0] - thick, low[0])], columns] = _ORANGE
    return picture


def _on_ground(picture: Pixels, tile_width: int) -> Pixels:
    """Put a picture onto white ground of the context row's size, left aligned."""
    ground = np.full((_context_height(tile_width), tile_width, 3), 255, np.uint8)
    ground[: picture.shape[0], : picture.shape[1]] = picture
    return ground
