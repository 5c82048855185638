"""The contact sheet's choices: which sub-volume, which combinations, and what every tile holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis_core.corruptions.recipe import Recipe
from genesis_core.errors import SettingsError
from genesis_core.inference.contact_sheet import choose_sub_volume, cut, make_contact_sheet, shown_combinations
from genesis_core.phantom.thorax import make_phantom
from genesis_core.volumes.preprocessing import Preprocessing

SIZE = (16, 24, 24)


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


def test_the_sheet_leaves_the_scan_alone_and_its_first_tile_is_the_original() -> None:
    prepared = Preprocessing.model_validate({"modality": "ct"}).prepare(make_phantom(2, (32, 40, 40)).volume)
    before = prepared.volume.array.copy()
    sheet = make_contact_sheet(prepared, Recipe.genesis(), seed=3, patch_size=SIZE, source="synthetic")
    assert np.array_equal(prepared.volume.array, before)
    assert np.array_equal(sheet.examples[0].corrupted, cut(prepared.map.to_unit(before), sheet.start, SIZE))
    assert all(not np.array_equal(one.corrupted, sheet.examples[0].corrupted) for one in sheet.examples[1:])
    again = make_contact_sheet(prepared, Recipe.genesis(), seed=3, patch_size=SIZE, source="synthetic")
    assert np.array_equal(sheet.image, again.image)
