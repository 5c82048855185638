"""The contact sheet: one sub-volume under a recipe, many times, as one picture, and what a model makes of it.

Either every combination of the recipe's steps - the published figure has twelve: with and without shuffling, with and
without the intensity map, and cut-out inside, outside or not at all (Zhou et al. 2021, sec. 2.2) - or random samples.
The sheet names recipe, seed and patch size, never the scan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from genesis_core.corruptions.tiling import cut
from genesis_core.errors import ModelError, VolumeError
from genesis_core.inference.sheet_examples import (
    Array,
    Example,
    Index,
    Progress,
    Stop,
    choose_sub_volume,
    make_examples,
    place_around,
    require_sheet_memory,
)
from genesis_core.pictures.encoding import resized
from genesis_core.pictures.mosaic import Row, Tile, sheet
from genesis_core.pictures.slices import Pixels, coloured, grey, signed_difference

if TYPE_CHECKING:
    from genesis_core.corruptions.recipe import Recipe
    from genesis_core.model.folder import Model
    from genesis_core.volumes.preprocessing import Prepared

# Differences are shown in colour up to this share of the range [0, 1].
_DIFFERENCE = 0.5
_TALL = 164
_ORANGE = (230, 159, 0)


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """The sheet's pixels, uint8 (y, x, 3); where the sub-volume begins, (z, y, x) in voxels; what every tile shows.

    recipe: its name. samples: how many random ones; None where the sheet shows combinations.
    """

    image: Pixels
    start: Index
    examples: tuple[Example, ...]
    recipe: str
    seed: int
    samples: int | None

    @property
    def file_name(self) -> str:
        """A name to save the picture under, made of the recipe's name, the seed and the number of samples."""
        name = re.sub(r"[^\w.-]+", "_", self.recipe).strip("._") or "recipe"
        return f"contact_sheet_{name}_seed_{self.seed}{'' if self.samples is None else f'_samples_{self.samples}'}.png"


@overload
def make_contact_sheet(
    prepared: Prepared,
    recipe: Recipe,
    *,
    seed: int = ...,
    patch_size: Index = ...,
    centre: Index | None = ...,
    model: Model | None = ...,
    source: str = ...,
    samples: int | None = ...,
    progress: Progress | None = ...,
    should_stop: None = None,
) -> ContactSheet: ...


@overload
def make_contact_sheet(
    prepared: Prepared,
    recipe: Recipe,
    *,
    seed: int = ...,
    patch_size: Index = ...,
    centre: Index | None = ...,
    model: Model | None = ...,
    source: str = ...,
    samples: int | None = ...,
    progress: Progress | None = ...,
    should_stop: Stop | None,
) -> ContactSheet | None: ...


def make_contact_sheet(
    prepared: Prepared,
    recipe: Recipe,
    *,
    seed: int = 0,
    patch_size: Index = (32, 64, 64),
    centre: Index | None = None,
    model: Model | None = None,
    source: str = "",
    samples: int | None = None,
    progress: Progress | None = None,
    should_stop: Stop | None = None,
) -> ContactSheet | None:
    """Draw the contact sheet of a scan; a pure function, from any thread.

    prepared: the scan on the model's grid. patch_size: (z, y, x) voxels. centre: of the sub-volume, (z, y, x) in voxels
    of the prepared scan; default: a place with much to see. model: a restoring model, applied to the sub-volume alone.
    source: the scan's origin, for the line at the bottom; "synthetic" where it is. samples: None for every combination
    of the recipe's steps under `seed`; else that many random samples, number k drawn from `seed + k`, all of the same
    sub-volume. progress: called as (done, all) after each example. should_stop: asked before each and before drawing;
    once it says so, None is returned.
    Raises SettingsError if the centre lies outside or there are too many samples, ModelError if the model cannot
    restore a sub-volume of this size, MemoryBudgetError if the examples do not fit into memory.
    """
    require_sheet_memory(recipe, patch_size, samples=samples, restored=model is not None)
    unit = prepared.map.to_unit(prepared.volume.array)
    start = choose_sub_volume(unit, patch_size, seed) if centre is None else place_around(unit, centre, patch_size)
    original = cut(unit, start, patch_size)
    restore = _restorer(model) if model is not None else None
    made = make_examples(
        recipe, original, seed=seed, samples=samples, restore=restore, progress=progress, should_stop=should_stop
    )
    if made is None or (should_stop is not None and should_stop()):
        return None
    texts = _texts(prepared, recipe, made, patch_size, model, source)
    image = _draw(prepared, unit, original, start, made, texts)
    return ContactSheet(image, start, made, recipe.name, seed, samples)


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


def _texts(
    prepared: Prepared, recipe: Recipe, made: Sequence[Example], size: Index, model: Model | None, source: str
) -> _Texts:
    spacing = prepared.volume.spacing
    extent = " x ".join(f"{n * mm:.0f}" for n, mm in zip(size, reversed(spacing), strict=True))
    shown = "corrupted | restored | restored - original" if model else "corrupted | corrupted - original"
    window = f"{prepared.map.low:g} to {prepared.map.high:g}" + (" HU" if prepared.volume.modality == "ct" else "")
    first, last = made[0].seed, made[-1].seed
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    what = "every combination of the recipe's steps"
    if made[0].probability is None:
        what = "one random sample" if len(made) == 1 else f"{len(made)} random samples"
        what += " of the recipe, as training draws them"
    footer = [
        f"Recipe {recipe.name}, {seeds}, sub-volume {' x '.join(map(str, size))} voxels (z, y, x), {extent} mm; "
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
        f"One sub-volume under {what}, its central slice. Each picture: {shown}.",
        "\n".join(footer),
    )


def _draw(
    prepared: Prepared, unit: Array, original: Array, start: Index, made: Sequence[Example], texts: _Texts
) -> Pixels:
    parts = 3 if made[0].restored is not None else 2
    columns = 4
    spacing = prepared.volume.spacing
    middle = _middle(unit, original, start)
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


def _middle(unit: Array, original: Array, start: Index) -> int:
    """Return the central slice of what the sub-volume holds of the scan: beyond a short one it is padded with air."""
    return int(min(original.shape[0], unit.shape[0] - start[0])) // 2


def _slice(plane: Array, wide: int) -> Pixels:
    return coloured(resized(grey(plane, 0, 1), _TALL, wide))


def _beside(pictures: Sequence[Pixels]) -> Pixels:
    gap = np.full((_TALL, 4, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (coloured(picture), gap)][:-1]
    return np.concatenate(parts, axis=1)


def _caption(example: Example, original: Array) -> str:
    if example.probability is None:
        often = f"seed {example.seed}"
    else:
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
    middle = original[_middle(unit, original, start)]
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
