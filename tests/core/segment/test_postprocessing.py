"""Cleaning labels: what is removed and filled, against scipy on whole volumes, and that every change is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from genesis_core.errors import SettingsError
from genesis_core.inference.postprocessing import Cleaning, clean
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.volume import Geometry

EVERYWHERE = np.ones((3, 3, 3))


def _labels(*layers: NDArray[Any], geometry: Geometry | None = None, **structures: tuple[int, int]) -> LabelVolume:
    return LabelVolume(
        tuple(layers),
        geometry or Geometry(layers[0].shape),
        tuple(Structure(name, value, None, layer) for name, (value, layer) in structures.items()),
    )


def _random(seed: int, density: float, shape: tuple[int, int, int] = (9, 12, 14)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 3, shape, dtype=np.uint8)


@given(seed=st.integers(0, 300), density=st.sampled_from([0.02, 0.08, 0.15]))
@settings(deadline=None, max_examples=30)
def test_the_largest_piece_is_that_of_26_neighbours(seed: int, density: float) -> None:
    layer = _random(seed, density)
    before = layer.copy()
    cleaned = clean(_labels(layer, liver=(1, 0), spleen=(2, 0)), Cleaning({}, largest_component=("liver",)))
    numbered, count = ndimage.label(before == 1, EVERYWHERE)
    sizes = np.bincount(numbered.ravel())[1:]
    expected = before.copy()
    if count:
        expected[(numbered > 0) & (numbered != sizes.argmax() + 1)] = 0
    np.testing.assert_array_equal(cleaned.as_map(), expected)
    np.testing.assert_array_equal(layer, before)
    assert bool(cleaned.notes) == (count > 1)


@given(seed=st.integers(0, 300))
@settings(deadline=None, max_examples=30)
def test_holes_are_filled_where_nothing_else_is_drawn(seed: int) -> None:
    layer = _random(seed, 0.85)
    before = layer.copy()
    cleaned = clean(_labels(layer, body=(1, 0), bone=(2, 0)), Cleaning({}, fill_holes=("body",))).as_map()
    mask = before == 1
    holes = ndimage.binary_fill_holes(mask) & ~mask
    expected = before.copy()
    expected[holes & (before == 0)] = 1
    np.testing.assert_array_equal(cleaned, expected)


def test_what_lies_in_a_hole_stays_and_is_said() -> None:
    layer = np.zeros((7, 7, 7), np.uint8)
    layer[1:6, 1:6, 1:6] = 1
    layer[2:5, 2:5, 2:5] = 0
    layer[3, 3, 3] = 2
    cleaned = clean(_labels(layer, liver=(1, 0), lesion=(2, 0)), Cleaning({}, fill_holes=("all",)))
    assert cleaned.as_map()[3, 3, 3] == 2
    assert (cleaned.as_map()[2:5, 2:5, 2:5] > 0).all()
    assert cleaned.notes == (
        "liver: 1 hole of 0.026 ml (26 voxels) filled.",
        "liver: voxels in its holes that belong to other structures stay theirs (1).",
    )


@pytest.mark.parametrize("direction", ["axial first", "axial last"])
def test_holes_within_slices_are_those_of_axial_slices(direction: str) -> None:
    # A tube along the patient's long axis: no closed cavity, but a hole in every axial slice.
    tube = np.zeros((6, 9, 9), np.uint8)
    tube[:, 2:7, 2:7] = 1
    tube[:, 4, 4] = 0
    turned = direction == "axial last"
    layer = np.ascontiguousarray(tube.transpose(2, 1, 0)) if turned else tube
    cosines = (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0) if turned else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    labels = _labels(layer, geometry=Geometry(layer.shape, direction=cosines), aorta=(1, 0))
    assert clean(labels, Cleaning({}, fill_holes=("aorta",))).notes == ()
    filled = clean(labels, Cleaning({}, fill_slices=("aorta",)))
    assert int((filled.as_map() == 1).sum()) == 6 * 25
    assert "within slices" in filled.notes[0]


def test_small_pieces_are_measured_in_millilitres() -> None:
    layer = np.zeros((10, 20, 20), np.uint8)
    layer[0:2, 0:10, 0:10] = 1
    layer[5:7, 0:5, 0:5] = 1
    layer[9, 19, 19] = 1
    layer[9, 0, 0] = 2
    geometry = Geometry(layer.shape, (2.0, 2.0, 5.0))
    labels = _labels(layer, geometry=geometry, liver=(1, 0), spleen=(2, 0))
    cleaned = clean(labels, Cleaning({"liver": 1.5}))
    assert cleaned.notes == ("liver: 2 pieces of 1.02 ml in all (51 voxels) removed, each under 1.5 ml.",)
    assert np.bincount(cleaned.as_map().ravel()).tolist()[1:] == [200, 1]
    # A structure's own limit goes before the one for all.
    both = clean(labels, Cleaning({"all": 1.5, "spleen": 0.01}))
    assert np.bincount(both.as_map().ravel()).tolist()[1:] == [200, 1]


def test_layers_are_cleaned_each_on_its_own() -> None:
    first, second = np.zeros((2, 6, 8, 8), np.uint8)
    first[1:5, 1:7, 1:7] = 3
    second[2, 2, 2] = 1
    second[4, 5:7, 5:7] = 1
    cleaned = clean(_labels(first, second, organ=(3, 0), lesion=(1, 1)), Cleaning({}, largest_component=("all",)))
    np.testing.assert_array_equal(cleaned.layers[0], first)
    assert int((cleaned.layers[1] == 1).sum()) == 4


def test_nothing_asked_changes_nothing() -> None:
    labels = _labels(_random(0, 0.3), liver=(1, 0))
    assert clean(labels, Cleaning({})) is labels
    empty = _labels(np.zeros((4, 4, 4), np.uint8), liver=(1, 0))
    everything = Cleaning({"all": 1.0}, ("all",), ("all",), ("all",))
    assert clean(empty, everything).notes == ()


@pytest.mark.parametrize(
    ("cleaning", "message"),
    [
        (Cleaning({}, largest_component=("livr",)), "'livr': choose from all, liver"),
        (Cleaning({"hair": 1.0}), "'hair'"),
        (Cleaning({"liver": 0.0}), "above 0"),
        (Cleaning({"liver": float("nan")}), "above 0"),
    ],
)
def test_unknown_names_and_volumes_are_refused(cleaning: Cleaning, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        clean(_labels(_random(0, 0.3), liver=(1, 0)), cleaning)
