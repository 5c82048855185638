"""What the Studio shows: a sub-volume, its corrupted copy, their difference, and figures about them. No Qt, no napari.

`compute` is pure: the same scan, recipe, seed and place give the same voxels as training, the command line and Python.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.draw import Draw
from genesis_core.corruptions.recipe import Recipe
from genesis_core.corruptions.statistics import CHANGED
from genesis_core.sampling.filters import air_level, tissue_share
from genesis_core.sampling.settings import SamplingSettings
from genesis_core.volumes.intensity import IntensityMap
from napari_genesis.studio.scan import Array, Box, Index, StudioScan

View = Literal["original", "corrupted", "difference", "restored"]
VIEWS: tuple[View, ...] = ("original", "corrupted", "difference", "restored")
# Voxels the live figures look at: all of a published sub-volume; those shown at rest look at every voxel.
SAMPLED = 32 * 64 * 64
BINS = 64


@dataclass(frozen=True)
class Wanted:
    """What to compute.

    box: the sub-volume. slab: None for the box alone; else the part of the scan to show, corrupted in boxes of the same
    size, each with a draw of its own. other: a second recipe to compare with, applied with the same seed.
    """

    recipe: Recipe
    seed: int
    box: Box
    slab: Box | None = None
    other: Recipe | None = None


@dataclass(frozen=True, eq=False)
class Preview:
    """What was computed: arrays in [0, 1] over `place` (the box, or the slab).

    draw: what was decided for the box; None for a slab, whose boxes have a draw each. other, other_draw: the second
    recipe's. The figures are those of at most `SAMPLED` voxels, evenly spread: changed, the fraction that moved (by
    over `CHANGED`); tissue, the fraction above the sampler's air threshold; return_input, return_mean, the mean squared
    errors of handing the corrupted voxels back, and of one constant; histogram, how many of `BINS` equal parts of
    [0, 1] hold how many voxels of the original. milliseconds: what all of this cost.
    """

    scan: StudioScan
    wanted: Wanted
    place: Box
    original: Array
    corrupted: Array
    draw: Draw | None
    other: Array | None
    other_draw: Draw | None
    changed: float
    tissue: float
    return_input: float
    return_mean: float
    histogram: NDArray[np.int64]
    milliseconds: float


def compute(scan: StudioScan, wanted: Wanted, known: Preview | None = None) -> Preview:
    """Cut and corrupt. Raises RecipeError if a recipe cannot be applied to a box of this size.

    known: an earlier preview, whose original is used again if it lies at the same place of the same scan.
    """
    # Of this thread's own work: waiting for Python's lock is no cost of the recipe.
    start = time.thread_time()
    place = wanted.slab or wanted.box
    same = known is not None and known.scan is scan and known.place == place
    original = known.original if same and known is not None else scan.unit(place)
    corrupted, draw = _corrupted(scan, original, wanted.recipe, wanted)
    other, other_draw = (None, None) if wanted.other is None else _corrupted(scan, original, wanted.other, wanted)
    before, after = _sample(original), _sample(corrupted)
    difference = after - before
    return Preview(
        scan,
        wanted,
        place,
        original,
        corrupted,
        draw,
        other,
        other_draw,
        int(np.count_nonzero(np.abs(difference) > CHANGED)) / difference.size,
        tissue_share(before, air_level(None, scan.modality, scan.map)),
        float(np.vdot(difference, difference)) / difference.size,
        float(before.var(dtype=np.float64)),
        np.histogram(before, BINS, (0, 1))[0],
        1e3 * (time.thread_time() - start),
    )


def _sample(array: Array) -> Array:
    # An odd step shares no factor with usual axis lengths, so it does not fall on the same columns again and again.
    step = 1 if array.size <= SAMPLED else -(-array.size // SAMPLED) | 1
    return array.reshape(-1)[::step]


def _corrupted(scan: StudioScan, original: Array, recipe: Recipe, wanted: Wanted) -> tuple[Array, Draw | None]:
    if wanted.slab is None:
        draw = recipe.draw(original.shape, wanted.seed)
        return recipe.apply(original, draw), draw
    from genesis_core.corruptions.tiling import corrupt_region

    region = (wanted.slab.start, wanted.slab.size)
    shape, size = scan.volume.shape, wanted.box.size
    return corrupt_region(lambda start, n: scan.unit(Box(start, n)), shape, recipe, wanted.seed, size, region), None


def slab_of(shape: Index, size: Index, axis: int, index: int) -> Box:
    """Return the layer of boxes that holds slice `index` along `axis`, as wide as the scan.

    shape: of the scan; size: of the boxes; both (z, y, x). Boxes lie side by side from the scan's first voxel on, as
    `napari-genesis corrupt --out` lays them.
    """
    start, length = [0, 0, 0], list(shape)
    start[axis] = min(max(index, 0), shape[axis] - 1) // size[axis] * size[axis]
    length[axis] = min(size[axis], shape[axis] - start[axis])
    return Box((start[0], start[1], start[2]), (length[0], length[1], length[2]))


@dataclass(frozen=True)
class Look:
    """How a preview is shown. swipe: part of the width, along `swipe_axis` (1 or 2), that shows what is compared with
    instead (the second recipe, or the original); 0 for none.
    """

    view: View = "corrupted"
    swipe: float = 0.0
    swipe_axis: int = 2


def shown(preview: Preview, restored: Array | None, look: Look, intensity: IntensityMap) -> Array:
    """Return the voxels to show, in scan units (HU for CT); differences are signed.

    restored: the model's result over the same place, [0, 1]; without one, "restored" shows the corrupted voxels.
    """
    scale = np.float32(intensity.high - intensity.low)
    if look.view == "difference":
        difference: Array = preview.corrupted - preview.original
        difference *= scale
        return difference
    unit = {"original": preview.original, "corrupted": preview.corrupted, "restored": restored}[look.view]
    result = intensity.from_unit(preview.corrupted if unit is None else unit)
    columns = round(look.swipe * result.shape[look.swipe_axis])
    if columns:
        part = [slice(None)] * 3
        part[look.swipe_axis] = slice(0, columns)
        behind = preview.original if preview.other is None else preview.other
        result[tuple(part)] = intensity.from_unit(behind[tuple(part)])
    return result


def in_words(preview: Preview) -> str:
    """Say what was drawn, one line a step, and whether the sampler, at its defaults, would take the sub-volume."""
    if preview.draw is None:
        size = preview.wanted.box.size
        boxes = 1
        for length, edge in zip(preview.place.size, size, strict=True):
            boxes *= -(-length // edge)
        noun = "box" if boxes == 1 else "boxes"
        return f"{boxes} {noun} of {' x '.join(map(str, size))} voxels (z, y, x), each with a draw of its own."
    lines = _sentences(preview.draw)
    taken = preview.tissue >= SamplingSettings().min_tissue
    verdict = "would be taken for training" if taken else "would be refused as nearly empty"
    words = (
        f"{lines}\n{preview.changed:.0%} of the voxels changed. "
        f"This sub-volume {verdict} ({preview.tissue:.0%} tissue)."
    )
    if preview.other_draw is None or preview.wanted.other is None or preview.other is None:
        return words
    error = float(np.square(_sample(preview.other) - _sample(preview.original)).mean(dtype=np.float64))
    return (
        f"{words}\nRecipe B ({preview.wanted.other.name}), MSE of returning the input {error:.4f}:\n"
        f"{_sentences(preview.other_draw)}"
    )


def _sentences(draw: Draw) -> str:
    return "\n".join(f"{line[0].upper()}{line[1:]}." for line in draw.describe().splitlines())
