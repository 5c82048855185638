"""Voxels keep their place in the patient when a volume is reoriented, resampled, or brought back."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from genesis_core.errors import VolumeError
from genesis_core.volumes.resampling import reorient, resample, resample_onto, same_grid
from genesis_core.volumes.volume import Geometry, Volume

CODES = ["".join(letters) for order in permutations(["LR", "PA", "SI"]) for letters in product(*order)]


@st.composite
def oblique_volumes(draw: st.DrawFn) -> Volume:
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    turn[:, 1] *= draw(st.sampled_from([1, -1]))
    spacing = draw(st.tuples(*[st.floats(0.3, 6.0)] * 3))
    origin = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    array = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    return Volume(array, Geometry(shape, spacing, origin, tuple(turn.ravel().tolist())), "ct", "x", ("note",))


def places(volume: Volume) -> dict[int, np.ndarray]:
    """Value -> world position; every value occurs once."""
    index = np.indices(volume.shape).reshape(3, -1)
    world = (volume.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3].T
    return dict(zip(volume.array.ravel().tolist(), world, strict=True))


@given(volume=oblique_volumes(), codes=st.sampled_from(CODES))
@settings(deadline=None, max_examples=80)
def test_reorienting_moves_no_voxel_in_the_patient_and_back_is_identity(volume: Volume, codes: str) -> None:
    turned = reorient(volume, codes)
    assert turned.axis_codes == codes
    assert (turned.modality, turned.source, turned.notes) == ("ct", "x", ("note",))
    before, after = places(volume), places(turned)
    assert before.keys() == after.keys()
    np.testing.assert_allclose([after[v] for v in before], list(before.values()), atol=1e-9)
    back = reorient(turned, volume.axis_codes)
    np.testing.assert_array_equal(back.array, volume.array)
    assert same_grid(back.geometry, volume.geometry, 1e-9)


@pytest.mark.parametrize("codes", ["", "LP", "LPSS", "LRS", "LPX", "lp"])
def test_axis_codes_that_are_none_are_refused(codes: str) -> None:
    with pytest.raises(VolumeError, match="axis codes"):
        reorient(Volume.from_array(np.zeros((2, 3, 4))), codes)


@given(volume=oblique_volumes(), codes=st.sampled_from(CODES), order=st.sampled_from(["linear", "nearest"]))
@settings(deadline=None, max_examples=60)
def test_bringing_back_a_reoriented_volume_is_exact(volume: Volume, codes: str, order: str) -> None:
    back = resample_onto(reorient(volume, codes), volume.geometry, order=order, fill=-1)
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.geometry == volume.geometry


@given(volume=oblique_volumes(), factor=st.tuples(*[st.integers(2, 4)] * 3))
@settings(deadline=None, max_examples=40)
def test_labels_made_finer_by_whole_numbers_come_back_exactly(volume: Volume, factor: tuple[int, int, int]) -> None:
    finer = resample(volume, tuple(s / f for s, f in zip(volume.spacing, factor, strict=True)), order="nearest")
    assert finer.shape == tuple(n * f for n, f in zip(volume.shape, factor[::-1], strict=True))
    repeated = volume.array.repeat(factor[2], 0).repeat(factor[1], 1).repeat(factor[0], 2)
    np.testing.assert_array_equal(finer.array, repeated)
    # Voxel centres of the coarse grid lie between fine ones of the same label, so any rounding gives that label.
    back = resample_onto(finer, volume.geometry, order="nearest", fill=-1)
    np.testing.assert_array_equal(back.array, volume.array)


@given(volume=oblique_volumes(), spacing=st.tuples(*[st.floats(0.4, 8.0)] * 3))
@settings(deadline=None, max_examples=60)
def test_the_first_corner_stays_and_the_extent_changes_by_half_a_voxel_at_most(
    volume: Volume, spacing: tuple[float, float, float]
) -> None:
    result = resample(volume, spacing)
    assert result.array.dtype == np.float64 if volume.array.dtype == np.float64 else np.float32
    # An axis too short for one new voxel keeps its middle instead.
    short = np.array(volume.shape) * volume.spacing[::-1] <= np.array(spacing[::-1]) * (0.5 + 1e-6)
    start = lambda v: (v.affine @ [*np.where(short, (np.array(v.shape) - 1) / 2, -0.5), 1])[:3]  # noqa: E731
    np.testing.assert_allclose(start(result), start(volume), atol=1e-6)
    old = np.array(volume.shape) * volume.spacing[::-1]
    new = np.array(result.shape) * result.spacing[::-1]
    allowed = np.where(np.array(result.shape) == 1, np.maximum(new, old), np.array(result.spacing[::-1]) / 2 * 1.001)
    assert (np.abs(new - old) <= allowed).all()
    assert result.array.min() >= volume.array.min()
    assert result.array.max() <= volume.array.max()


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize(("old", "new"), [(5.0, 2.0), (1.0, 0.8), (1.0, 5.0), (0.5, 3.0), (2.5, 1.0)])
def test_no_slice_is_made_up_at_the_far_end_or_of_a_thin_scan(count: int, old: float, new: float) -> None:
    array = np.full((count, 3, 3), 40, "i2")
    array[0, 0, 0] = -1000
    thick = resample(Volume.from_array(array, (1.0, 1.0, old)), (1.0, 1.0, new), order="nearest")
    assert (thick.array[:, 1:, 1:] == 40).all()
    assert abs(thick.shape[0] * new - count * old) <= new / 2 * 1.001 or thick.shape[0] == 1


def test_linear_resampling_keeps_a_plane_in_the_patient() -> None:
    geometry = Geometry(
        (20, 24, 28),
        (0.9, 1.1, 2.0),
        (5, -7, 9),
        tuple(Rotation.from_euler("xyz", (0.2, 0.3, -0.1)).as_matrix().ravel()),
    )
    index = np.indices(geometry.shape).reshape(3, -1)
    plane = np.array([1.0, -2.0, 0.5]) @ (geometry.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    volume = Volume(plane.reshape(geometry.shape), geometry)
    result = resample(volume, (1.3, 0.7, 1.7))
    index = np.indices(result.shape).reshape(3, -1)
    place = result.affine @ np.vstack([index, np.ones(index.shape[1])])
    source = (np.linalg.inv(volume.affine) @ place)[:3]
    inside = ((source >= 0) & (source <= np.array(volume.shape)[:, None] - 1)).all(axis=0)
    expected = np.array([1.0, -2.0, 0.5]) @ place[:3]
    np.testing.assert_allclose(result.array.ravel()[inside], expected[inside], atol=1e-6)


def test_places_outside_get_the_fill_value_and_inside_is_kept() -> None:
    volume = Volume.from_array(np.full((4, 4, 4), 7, "i2"))
    wider = Geometry((8, 8, 8), origin=(-2.0, -2.0, -2.0))
    result = resample_onto(volume, wider, order="nearest", fill=-1000)
    assert result.array.dtype == np.int16
    np.testing.assert_array_equal(result.array[2:6, 2:6, 2:6], 7)
    assert (result.array == -1000).sum() == 8**3 - 4**3


def test_resampling_to_the_same_spacing_changes_nothing() -> None:
    volume = Volume.from_array(np.random.default_rng(0).integers(-9, 9, (3, 4, 5)).astype("i2"), (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(resample(volume, (1.0, 2.0, 3.0)).array, volume.array)
    assert resample(volume, (1.0, 2.0, 3.0), order="nearest").array.dtype == np.int16


@pytest.mark.parametrize("spacing", [(0, 1, 1), (-1, 1, 1), (float("nan"), 1, 1), (1e-9, 1e-9, 1e-9), (1, 1)])
def test_a_spacing_that_cannot_be_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(VolumeError, match="spacing"):
        resample(Volume.from_array(np.zeros((8, 8, 8))), spacing)
