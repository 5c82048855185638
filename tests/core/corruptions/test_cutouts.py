"""Cut-outs: what is painted, what is left, with what, and how much at most."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genesis_core.corruptions.boxes import Box, Boxes, covered_fraction, inside
from genesis_core.corruptions.inner_cutout import InnerCutout
from genesis_core.corruptions.outer_cutout import OuterCutout
from genesis_core.corruptions.recipe import Draw, Recipe, Step, StepDraw
from genesis_core.errors import RecipeError
from genesis_core.randomness import bits, stream

shapes = st.lists(st.integers(1, 45), min_size=2, max_size=3).map(tuple)
seeds = st.integers(0, 2**64 - 1)
cutouts = st.sampled_from([InnerCutout, OuterCutout])


def recipe_of(corruption: InnerCutout | OuterCutout) -> Recipe:
    return Recipe(steps=(Step(corruption=corruption),))


def boxes_of(draw: Draw) -> tuple[Box, ...]:
    decided = draw.steps[0].decided
    assert isinstance(decided, Boxes)
    return decided.boxes


def painted(draw: Draw) -> NDArray[np.bool_]:
    """The voxels to be painted, found box by box."""
    covered = np.zeros(draw.shape3, bool)
    for box in boxes_of(draw):
        covered[tuple(slice(first, first + size) for first, size in zip(box.start, box.size, strict=True))] = True
    return (covered if draw.applied == ("inner_cutout",) else ~covered).reshape(draw.shape)


@settings(deadline=None, max_examples=80)
@given(cutouts, shapes, seeds)
def test_noise_is_written_to_every_painted_voxel_and_no_other(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, ...], seed: int
) -> None:
    recipe = recipe_of(kind())
    # No noise is a multiple of 2**-23 plus half of it, so a voxel that keeps its value is known.
    x = np.full(shape, 0.5 + 2.0**-24, np.float32)
    draw = recipe.draw(shape, seed)
    y = recipe.apply(x, draw)
    assert np.array_equal(y != x, painted(draw))
    assert np.array_equal(draw.mask(), painted(draw))
    assert (y >= 0).all()
    assert (y < 1).all()


@settings(deadline=None, max_examples=30)
@given(cutouts, shapes, seeds)
def test_noise_is_the_documented_hash_of_each_voxel(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, ...], seed: int
) -> None:
    recipe = recipe_of(kind())
    draw = recipe.draw(shape, seed)
    y = recipe.apply(np.zeros(shape, np.float32), draw).ravel()
    key = stream(draw.steps[0].key, "noise", 0)
    for voxel in np.flatnonzero(painted(draw))[:: 1 + y.size // 200]:
        half = bits(key, int(voxel) // 2) >> (32 if voxel % 2 else 0) & 0xFFFFFFFF
        assert y[voxel] == (half >> 9) * 2.0**-23


@settings(deadline=None, max_examples=60)
@given(cutouts, st.lists(st.integers(1, 200), min_size=3, max_size=3).map(tuple), seeds, st.integers(0, 20))
def test_boxes_are_the_documented_hashes(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, int, int], seed: int, margin: int
) -> None:
    corruption = kind(margin=margin)
    low, high = (
        (corruption.min_size, corruption.max_size)
        if isinstance(corruption, InnerCutout)
        else (corruption.min_cut, corruption.max_cut)
    )
    draw = recipe_of(corruption).draw(shape, seed)
    key, found = stream(draw.steps[0].key, "boxes"), []
    for index in range(corruption.max_boxes):
        surely = index == 0 and isinstance(corruption, OuterCutout)
        if not surely and (bits(key, 4 * index + 3) >> 11) * 2.0**-53 >= corruption.another_box:
            break
        start, size = [], []
        for axis, length in enumerate(shape):
            ends = [int(length * part + 1e-9) for part in (low, high)]
            if isinstance(corruption, OuterCutout):
                ends = [length - end for end in reversed(ends)]
            least = min(max(ends[0], 1), length)
            word = bits(key, 4 * index + axis)
            edge = least + ((word >> 32) * (min(max(ends[1], least), length) - least + 1) >> 32)
            free = min(margin, (length - edge) // 2)
            start.append(free + ((word & 0xFFFFFFFF) * (length - edge - 2 * free + 1) >> 32))
            size.append(edge)
        found.append((tuple(start), tuple(size)))
    assert [(box.start, box.size) for box in boxes_of(draw)] == found


@settings(deadline=None, max_examples=60)
@given(cutouts, shapes, seeds)
def test_constants_fill_the_painted_voxels_and_no_other(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, ...], seed: int
) -> None:
    recipe = recipe_of(kind(fill="constant"))
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    draw = recipe.draw(shape, seed)
    y = recipe.apply(x, draw)
    decided = draw.steps[0].decided
    assert isinstance(decided, Boxes)
    assert np.array_equal(y[~painted(draw)], x[~painted(draw)])
    assert np.isin(y[painted(draw)], np.array(decided.values, np.float32)).all()
    assert len(decided.values) == (len(decided.boxes) if draw.applied == ("inner_cutout",) else 1)


@settings(deadline=None, max_examples=80)
@given(shapes, seeds)
def test_published_sizes_and_margins_hold_where_the_axis_is_long_enough(shape: tuple[int, ...], seed: int) -> None:
    for corruption, low, high in (
        (InnerCutout(), lambda n: n // 6, lambda n: n // 3),
        (OuterCutout(), lambda n: n - 4 * n // 7, lambda n: n - 3 * n // 7),
    ):
        draw = recipe_of(corruption).draw(shape, seed)
        for box in boxes_of(draw):
            for length, start, size in zip(draw.shape3, box.start, box.size, strict=True):
                assert start >= 0
                assert start + size <= length
                assert max(1, low(length)) <= size <= max(1, high(length))
                if length - size >= 6:
                    assert 3 <= start <= length - size - 3


@pytest.mark.parametrize("kind", [InnerCutout, OuterCutout])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1), (3, 200, 7), (2, 2, 2), (7, 7, 7), (5, 64, 64), (1, 300)])
def test_small_axes_shrink_boxes_and_margins_instead_of_failing(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, ...]
) -> None:
    recipe = recipe_of(kind(max_boxes=20, margin=50))
    for seed in range(50):
        y = recipe(np.ones(shape, np.float32), seed)
        assert y.shape == shape


def test_the_number_of_boxes_follows_the_chance_of_another_one() -> None:
    shape = (32, 64, 64)
    inner = np.bincount(
        [len(boxes_of(recipe_of(InnerCutout()).draw(shape, seed))) for seed in range(4000)], minlength=6
    )
    outer = np.bincount(
        [len(boxes_of(recipe_of(OuterCutout()).draw(shape, seed))) for seed in range(4000)], minlength=6
    )
    assert np.allclose(inner / 4000, [0.05, 0.0475, 0.0451, 0.0429, 0.0407, 0.7738], atol=0.02)
    assert np.allclose(outer / 4000, [0, 0.05, 0.0475, 0.0451, 0.0429, 0.8145], atol=0.02)


@settings(deadline=None, max_examples=80)
@given(cutouts, shapes, seeds, st.floats(0.01, 0.99), st.integers(1, 12))
def test_less_than_the_limit_is_painted_whatever_the_shape(
    kind: type[InnerCutout] | type[OuterCutout], shape: tuple[int, ...], seed: int, limit: float, boxes: int
) -> None:
    draw = recipe_of(kind(max_masked=limit, max_boxes=boxes)).draw(shape, seed)
    assert draw.mask().mean() < limit


@settings(deadline=None, max_examples=60)
@given(shapes, seeds)
def test_the_covered_fraction_counts_overlaps_once(shape: tuple[int, ...], seed: int) -> None:
    draw = recipe_of(InnerCutout(max_boxes=12, another_box=1.0, max_size=0.8)).draw(shape, seed)
    covered = inside(boxes_of(draw), draw.shape3)
    assert covered_fraction(boxes_of(draw), draw.shape3) == pytest.approx(covered.mean())


def test_each_channel_has_noise_of_its_own_in_the_same_boxes() -> None:
    for corruption in (InnerCutout(another_box=1.0), OuterCutout()):
        y = recipe_of(corruption)(np.ones((1, 2, 16, 32, 32), np.float32), seed=[5])[0]
        assert np.array_equal(y[0] == 1, y[1] == 1)
        both = y[:, y[0] != 1]
        assert (both[0] != both[1]).mean() > 0.99


def test_noise_is_uniform_and_neighbours_are_unrelated() -> None:
    y = recipe_of(OuterCutout(max_boxes=1, min_cut=0.99, max_cut=0.99))(np.ones((64, 64, 64), np.float32), seed=1)
    noise = y[y < 1].astype(np.float64)
    assert noise.mean() == pytest.approx(0.5, abs=0.003)
    assert noise.std() == pytest.approx(12**-0.5, abs=0.002)
    assert np.allclose(np.histogram(noise, 16, (0, 1))[0] / noise.size, 1 / 16, rtol=0.04)
    for lag in (1, 2, 16, 64, 4096):
        assert abs(np.corrcoef(noise[:-lag], noise[lag:])[0, 1]) < 0.01


@pytest.mark.parametrize(
    "box",
    [Box(start=(0, 0, 0), size=(9, 1, 1)), Box(start=(-1, 0, 0), size=(1, 1, 1)), Box(start=(0, 0, 0), size=(0, 1, 1))],
)
@pytest.mark.parametrize("kind", [InnerCutout, OuterCutout])
def test_a_box_outside_the_volume_is_refused(kind: type[InnerCutout] | type[OuterCutout], box: Box) -> None:
    recipe = recipe_of(kind())
    draw = Draw((8, 8, 8), 0, (StepDraw(0, kind(), 1, Boxes(boxes=(box,))),))
    with pytest.raises(RecipeError, match="does not lie inside"):
        recipe.apply(np.zeros((8, 8, 8), np.float32), draw)


@pytest.mark.parametrize("kind", [InnerCutout, OuterCutout])
def test_a_constant_fill_needs_its_values(kind: type[InnerCutout] | type[OuterCutout]) -> None:
    boxes = Boxes(boxes=(Box(start=(0, 0, 0), size=(2, 2, 2)),), values=(0.1, 0.2))
    draw = Draw((8, 8, 8), 0, (StepDraw(0, kind(fill="constant"), 1, boxes),))
    with pytest.raises(RecipeError, match="value"):
        recipe_of(kind()).apply(np.zeros((8, 8, 8), np.float32), draw)


def test_descriptions_count_boxes_and_voxels() -> None:
    def words(corruption: Any) -> str:
        return recipe_of(corruption).draw((32, 64, 64), 3).describe()

    assert "boxes" in words(InnerCutout(another_box=1.0))
    assert "one constant each" in words(InnerCutout(fill="constant"))
    assert "kept" in words(OuterCutout())
    assert "one constant" in words(OuterCutout(fill="constant"))
