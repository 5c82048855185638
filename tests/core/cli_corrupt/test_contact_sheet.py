"""The contact sheet's choices: which sub-volume, which combinations or samples, what every tile holds, and stopping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.corruptions.local_shuffle import LocalShuffle
from genesis_core.corruptions.recipe import Recipe, Step
from genesis_core.corruptions.tiling import cut
from genesis_core.errors import MemoryBudgetError, SettingsError
from genesis_core.inference.contact_sheet import make_contact_sheet
from genesis_core.inference.sheet_examples import (
    Example,
    choose_sub_volume,
    make_examples,
    montage,
    place_around,
    shown_combinations,
)
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.preprocessing import Prepared, Preprocessing
from genesis_core.volumes.volume import Geometry, Volume

SIZE = (16, 24, 24)
GENESIS = Recipe.genesis()


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Preprocessing.model_validate({"modality": "ct"}).prepare(make_phantom(2, (32, 40, 40)).volume)


def test_a_row_of_four_shares_its_cut_out() -> None:
    kinds = [set(combination.kinds) for combination in shown_combinations(Recipe.genesis())]
    assert kinds[0] == set()
    for row, cut_out in enumerate((set(), {"inner_cutout"}, {"outer_cutout"})):
        for combination in kinds[4 * row : 4 * row + 4]:
            assert combination & {"inner_cutout", "outer_cutout"} == cut_out


def test_the_chosen_sub_volume_is_full_of_things_to_see() -> None:
    unit = np.zeros((30, 60, 60), np.float32)
    unit[8:24, 30:54, 30:54] = np.linspace(0.1, 1, 24, dtype=np.float32)
    start = choose_sub_volume(unit, SIZE, 0)
    assert start == choose_sub_volume(unit, SIZE, 0)
    assert (cut(unit, start, SIZE) > 0).mean() > 0.3


@given(shape=st.tuples(*[st.integers(1, 40)] * 3), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_any_scan_has_a_sub_volume_padded_with_air_where_it_is_small(shape: tuple[int, int, int], seed: int) -> None:
    unit = np.full(shape, 0.5, np.float32)
    start = choose_sub_volume(unit, SIZE, seed)
    part = cut(unit, start, SIZE)
    assert part.shape == SIZE
    assert (part == 0.5).sum() == np.prod([min(n, size) for n, size in zip(shape, SIZE, strict=True)])


def test_a_place_outside_the_scan_is_refused() -> None:
    with pytest.raises(SettingsError, match="inside"):
        cut(np.zeros((4, 4, 4), np.float32), (4, 0, 0), SIZE)


def test_the_sheet_leaves_the_scan_alone_and_its_first_tile_is_the_original(prepared: Prepared) -> None:
    before = prepared.volume.array.copy()
    sheet = make_contact_sheet(prepared, Recipe.genesis(), seed=3, patch_size=SIZE, source="synthetic")
    assert np.array_equal(prepared.volume.array, before)
    assert np.array_equal(sheet.examples[0].corrupted, cut(prepared.map.to_unit(before), sheet.start, SIZE))
    assert all(not np.array_equal(one.corrupted, sheet.examples[0].corrupted) for one in sheet.examples[1:])
    again = make_contact_sheet(prepared, Recipe.genesis(), seed=3, patch_size=SIZE, source="synthetic")
    assert np.array_equal(sheet.image, again.image)


def test_samples_are_what_training_draws_at_the_place_of_the_combinations(prepared: Prepared) -> None:
    combinations = make_contact_sheet(prepared, GENESIS, seed=7, patch_size=SIZE)
    sheet = make_contact_sheet(prepared, GENESIS, seed=7, patch_size=SIZE, samples=5)
    assert sheet.start == combinations.start
    original = cut(prepared.map.to_unit(prepared.volume.array), sheet.start, SIZE)
    for number, one in enumerate(sheet.examples):
        draw = GENESIS.draw(SIZE, 7 + number)
        assert one.seed == 7 + number
        assert one.kinds == draw.applied
        assert one.name == " + ".join(step.corruption.label for step in draw.steps)
        assert one.words == draw.describe()
        assert np.array_equal(one.corrupted, GENESIS(original, seed=7 + number))
    assert len(sheet.examples) == 5
    # Five tiles fill two rows, twelve three.
    assert sheet.image.shape[0] < combinations.image.shape[0]
    assert sheet.image.shape[1] == combinations.image.shape[1]


def test_a_recipe_with_a_kind_twice_has_samples_though_no_combinations(prepared: Prepared) -> None:
    twice = Recipe(name="twice", steps=(Step(corruption=LocalShuffle()), Step(corruption=LocalShuffle(windows=5))))
    sheet = make_contact_sheet(prepared, twice, patch_size=SIZE, samples=1)
    assert sheet.examples[0].name == "local shuffling + local shuffling"


@pytest.mark.parametrize("samples", [0, -1, 201])
def test_a_number_of_samples_that_makes_no_sheet_is_refused(prepared: Prepared, samples: int) -> None:
    with pytest.raises(SettingsError, match="1 to 200"):
        make_contact_sheet(prepared, GENESIS, patch_size=SIZE, samples=samples)


@pytest.mark.parametrize("samples", [None, 6])
def test_a_sheet_stops_between_examples_and_says_how_far_it_is(prepared: Prepared, samples: int | None) -> None:
    total = 12 if samples is None else samples
    for stop_after in (0, 2, total):
        told: list[tuple[int, int]] = []

        def progress(done: int, total: int, told: list[tuple[int, int]] = told) -> None:
            told.append((done, total))

        def should_stop(told: list[tuple[int, int]] = told, stop_after: int = stop_after) -> bool:
            return len(told) >= stop_after

        made = make_contact_sheet(
            prepared, GENESIS, patch_size=SIZE, samples=samples, progress=progress, should_stop=should_stop
        )
        assert made is None
        assert told == [(done, total) for done in range(1, stop_after + 1)]
    never = make_contact_sheet(prepared, GENESIS, patch_size=SIZE, samples=samples, should_stop=lambda: False)
    assert never is not None
    plain = make_contact_sheet(prepared, GENESIS, patch_size=SIZE, samples=samples)
    assert np.array_equal(never.image, plain.image)


def test_a_sheets_file_name_tells_recipe_and_seed_and_is_one_everywhere(prepared: Prepared) -> None:
    odd = GENESIS.model_copy(update={"name": 'my "recipe" 1/2: *'})
    sheet = make_contact_sheet(prepared, odd, seed=3, patch_size=SIZE, samples=2)
    assert sheet.file_name == "contact_sheet_my_recipe_1_2_seed_3_samples_2.png"
    empty = GENESIS.model_copy(update={"name": "../.."})
    assert make_contact_sheet(prepared, empty, patch_size=SIZE).file_name == "contact_sheet_recipe_seed_0.png"


@given(centre=st.tuples(*[st.integers(0, 29)] * 3))
def test_a_sub_volume_around_a_voxel_holds_it_and_stays_inside(centre: tuple[int, int, int]) -> None:
    unit = np.zeros((30, 30, 30), np.float32)
    start = place_around(unit, centre, (40, 8, 5))
    assert start[0] == 0
    for s, c, n in zip(start[1:], centre[1:], (8, 5), strict=True):
        assert 0 <= s <= c < s + n <= 30


def a_sheet_of(count: int, shape: tuple[int, int, int]) -> list[Example]:
    made = make_examples(GENESIS, np.full(shape, 0.5, np.float32), seed=1, samples=count)
    assert made is not None
    return list(made)


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 9),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    columns=st.integers(1, 12),
    gap=st.integers(0, 5),
)
def test_a_montage_holds_every_sub_volume_at_its_position_and_air_between(
    count: int, shape: tuple[int, int, int], columns: int, gap: int
) -> None:
    examples = a_sheet_of(count, shape)
    laid = montage(examples, columns, gap)
    assert laid.array.dtype == np.float32
    assert laid.array.shape[0] == shape[0]
    assert laid.names == tuple(one.name for one in examples)
    rest = laid.array.copy()
    covered = np.zeros(laid.array.shape[1:], bool)
    for one, (row, column) in zip(examples, laid.positions, strict=True):
        there = (slice(row, row + shape[1]), slice(column, column + shape[2]))
        assert np.array_equal(laid.array[:, there[0], there[1]], one.corrupted)
        assert not covered[there].any()
        covered[there] = True
        rest[:, there[0], there[1]] = 0
    assert not rest.any()
    columns = min(columns, count)
    rows = -(-count // columns)
    assert laid.array.shape[1:] == (rows * shape[1] + (rows - 1) * gap, columns * shape[2] + (columns - 1) * gap)


def test_a_montage_of_nothing_is_refused() -> None:
    for examples, columns, gap in (([], 1, 0), (a_sheet_of(1, (2, 2, 2)), 0, 0), (a_sheet_of(1, (2, 2, 2)), 1, -1)):
        with pytest.raises(SettingsError, match="montage"):
            montage(examples, columns, gap)


def test_examples_that_do_not_fit_into_memory_are_refused_with_their_size(prepared: Prepared) -> None:
    with pytest.raises(MemoryBudgetError, match=r"12 sub-volumes of 99999 x 999 x 999 voxels"):
        make_contact_sheet(prepared, GENESIS, patch_size=(99999, 999, 999))


def test_a_scan_of_one_slice_shows_that_slice() -> None:
    flat = Volume(np.full((1, 40, 40), 500, np.int16), Geometry((1, 40, 40)))
    prepared = Preprocessing.model_validate({"modality": "ct"}).prepare(flat)
    unchanged = Recipe.from_dict({"schema": 1, "name": "none", "steps": []})
    image = make_contact_sheet(prepared, unchanged, patch_size=(32, 32, 32), samples=1).image
    # Grey of 500 HU in the window, where padding would be black.
    assert (image == round(255 * 0.75)).all(axis=-1).mean() > 0.2
