"""Surface distances on shapes whose distances are known, against MONAI and against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genesis_core.errors import SettingsError, VolumeError
from genesis_core.metrics.surface import surface_scores

SPACINGS = st.tuples(*[st.floats(0.3, 6)] * 3)
BLOBS = arrays(np.bool_, (4, 5, 6))


def box(shape: tuple[int, int, int], *ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def sphere(radius: float, spacing: tuple[float, float, float], size: float = 60, shift: float = 0) -> np.ndarray:
    """A ball in a cube of `size` mm, moved along x by `shift` mm."""
    axes = [np.arange(round(size / step)) * step - size / 2 for step in spacing[::-1]]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + (x - shift) ** 2 <= radius**2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_large_plate_shifted_across_its_face_is_as_far_away_as_it_was_shifted(axis: int) -> None:
    spacing = (0.7, 1.5, 4.0)
    step = spacing[2 - axis]
    ranges = [(1, 59), (1, 59), (1, 59)]
    ranges[axis] = (10, 14)
    moved = list(ranges)
    moved[axis] = (12, 16)
    scores = surface_scores(box((60, 60, 60), *moved), box((60, 60, 60), *ranges), spacing, 2 * step)
    assert scores.hd95 == pytest.approx(2 * step)
    assert scores.nsd == 1
    under = surface_scores(box((60, 60, 60), *moved), box((60, 60, 60), *ranges), spacing, 1.99 * step)
    assert under.nsd is not None
    assert under.nsd < 0.6


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0)])
def test_concentric_spheres_are_the_difference_of_their_radii_apart_to_less_than_a_voxel(
    spacing: tuple[float, float, float],
) -> None:
    scores = surface_scores(sphere(22, spacing), sphere(16, spacing), spacing, 3.0)
    assert scores.mean_distance == pytest.approx(6, abs=0.7)
    assert scores.hd95 == pytest.approx(6, abs=0.5)
    assert scores.nsd == 0


def test_a_shifted_sphere_has_the_distances_that_integration_gives() -> None:
    spacing, radius, shift = (0.5, 0.5, 0.5), 15.0, 4.0
    scores = surface_scores(sphere(radius, spacing, shift=shift), sphere(radius, spacing), spacing, 2.0)
    # cos(angle) is uniform on a sphere; a point of the moved one is |p| - r from the other.
    cosine = np.linspace(-1, 1, 200_001)
    distance = np.abs(np.sqrt(radius**2 + shift**2 + 2 * radius * shift * cosine) - radius)
    # The cells of a surface are up to half a voxel off it, so distances come out a little short.
    assert scores.mean_distance == pytest.approx(distance.mean(), abs=0.25)
    assert scores.hd95 == pytest.approx(np.quantile(distance, 0.95), abs=0.25)
    assert scores.nsd == pytest.approx((distance <= 2).mean(), abs=0.07)


def test_a_thin_plate_drawn_twice_as_thick_is_wrong_on_one_face_in_both_directions() -> None:
    thin, thick = box((9, 60, 60), (4, 5), (5, 55), (5, 55)), box((9, 60, 60), (4, 6), (5, 55), (5, 55))
    scores = surface_scores(thick, thin, (1.0, 1.0, 3.0), 0.5)
    assert scores.hd95 == pytest.approx(3.0)
    # One of two faces of 2500 mm² on either side; rims of 600 and 1200 mm², half of the larger one wrong.
    assert scores.nsd == pytest.approx(1 - (2 * 2500 + 600) / (4 * 2500 + 1800), abs=0.05)
    assert scores.mean_distance == pytest.approx(3 * (2 * 2500 + 300) / (4 * 2500 + 1800), abs=0.1)


def test_with_thick_slices_each_face_counts_by_its_area_not_by_its_voxels() -> None:
    # A bar along z: its ends, 900 mm² each, are wrong; its sides, 4 x 30 x 100 mm², are right.
    reference = box((24, 40, 40), (2, 22), (5, 35), (5, 35))
    longer = box((24, 40, 40), (1, 23), (5, 35), (5, 35))
    scores = surface_scores(longer, reference, (1.0, 1.0, 5.0), 1.0)
    sides, ends, added = 4 * 30 * 100, 2 * 900, 2 * 4 * 30 * 5
    by_area = 1 - (2 * ends + added) / (2 * sides + 2 * ends + added)
    by_voxels = 1 - 4 * 900 / (4 * 900 + 18 * 116 + 20 * 116)
    assert by_voxels < 0.6
    assert scores.nsd == pytest.approx(by_area, abs=0.04)


def test_a_structure_at_the_border_of_the_scan_ends_there() -> None:
    inside, border = np.zeros((30, 30, 30), bool), box((20, 20, 20), (0, 20), (3, 9), (0, 5))
    inside[5:25, 8:14, 5:10] = True
    wider = box((20, 20, 20), (0, 20), (3, 11), (0, 5))
    wider_inside = np.zeros_like(inside)
    wider_inside[5:25, 8:16, 5:10] = True
    assert surface_scores(wider, border, (1, 2, 3)) == surface_scores(wider_inside, inside, (1, 2, 3))


def test_single_voxels_are_as_far_apart_as_their_centres() -> None:
    one, two = box((9, 9, 9), (4, 5), (4, 5), (2, 3)), box((9, 9, 9), (4, 5), (4, 5), (7, 8))
    scores = surface_scores(one, two, (2.0, 1.0, 1.0), 1.0)
    # The near corners are 8 mm apart, the far ones 10 mm.
    assert scores.hd95 == pytest.approx(10.0)
    assert scores.mean_distance == pytest.approx(9.0)
    assert scores.nsd == 0


def test_equal_masks_are_no_distance_apart() -> None:
    blob = box((5, 5, 5), (1, 4), (2, 3), (0, 5))
    scores = surface_scores(blob, blob, (1, 1, 1), 0.0)
    assert (scores.hd95, scores.mean_distance, scores.nsd) == (0, 0, 1)


def test_without_a_surface_there_is_no_distance_and_nothing_is_right() -> None:
    full, empty = np.ones((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
    assert (lambda s: (s.hd95, s.mean_distance, s.nsd))(surface_scores(empty, empty, (1, 1, 1))) == (None, None, None)
    for pair in ((full, empty), (empty, full)):
        assert (lambda s: (s.hd95, s.mean_distance, s.nsd))(surface_scores(*pair, (1, 1, 1))) == (None, None, 0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(VolumeError, match="one shape"):
        surface_scores(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), (1, 1, 1))
    with pytest.raises(SettingsError, match="tolerance_mm"):
        surface_scores(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1, 1, 1), -1.0)


@given(one=BLOBS, two=BLOBS, spacing=SPACINGS, order=st.permutations(range(3)))
@settings(deadline=None, max_examples=60)
def test_scores_are_symmetric_bounded_and_do_not_depend_on_the_order_of_the_axes(
    one: np.ndarray, two: np.ndarray, spacing: tuple[float, float, float], order: list[int]
) -> None:
    scores = surface_scores(one, two, spacing)
    turned = tuple(spacing[::-1][axis] for axis in order)[::-1]
    for other in (
        surface_scores(two, one, spacing),
        surface_scores(one.transpose(order), two.transpose(order), turned),
    ):
        assert other.hd95 == pytest.approx(scores.hd95, nan_ok=True) if scores.hd95 is not None else other.hd95 is None
        assert other.nsd == (pytest.approx(scores.nsd) if scores.nsd is not None else None)
    if scores.hd95 is not None and scores.mean_distance is not None and scores.nsd is not None:
        diagonal = float(np.linalg.norm([n * s for n, s in zip((6, 5, 4), spacing, strict=True)]))
        assert 0 <= scores.hd95 <= diagonal
        assert 0 <= scores.mean_distance <= diagonal
        assert 0 <= scores.nsd <= 1


@given(one=BLOBS, two=BLOBS, spacing=SPACINGS, tolerance=st.floats(0, 8))
@settings(deadline=None, max_examples=30)
def test_brute_force_and_monai_give_the_same_figures(
    one: np.ndarray, two: np.ndarray, spacing: tuple[float, float, float], tolerance: float
) -> None:
    from monai.metrics import compute_surface_dice
    from monai.metrics.utils import get_code_to_measure_table, get_edge_surface_distance

    if not (one.any() and two.any()):
        return
    steps = spacing[::-1]
    areas = np.asarray(get_code_to_measure_table(steps)[0], float)
    surfaces = []
    for mask in (one, two):
        padded, pieces = np.pad(mask, 1), []
        for z, y, x in itertools.product(*(range(n - 1) for n in padded.shape)):
            code = sum(int(v) << (7 - k) for k, v in enumerate(padded[z : z + 2, y : y + 2, x : x + 2].ravel()))
            if 0 < code < 255:
                pieces.append((z * steps[0], y * steps[1], x * steps[2], areas[code]))
        surfaces.append(np.array(pieces))
    apart = np.linalg.norm(surfaces[0][:, None, :3] - surfaces[1][None, :, :3], axis=2)
    there, back = apart.min(axis=1), apart.min(axis=0)
    weights = np.concatenate([surfaces[0][:, 3], surfaces[1][:, 3]])
    scores = surface_scores(one, two, spacing, tolerance)
    everything = np.concatenate([there, back])
    # A distance that is the tolerance but for rounding may fall on either side.
    low, high = ((weights * (everything <= tolerance * (1 + e) + e)).sum() / weights.sum() for e in (-1e-5, 1e-5))
    assert scores.mean_distance == pytest.approx((everything * weights).sum() / weights.sum())
    assert scores.nsd is not None
    assert low - 1e-6 <= scores.nsd <= high + 1e-6
    tensors = [torch.from_numpy(mask)[None, None] for mask in (one, two)]
    theirs = compute_surface_dice(
        *tensors, class_thresholds=[tolerance], include_background=True, spacing=list(steps), use_subvoxels=True
    )
    assert low - 1e-4 <= theirs.item() <= high + 1e-4
    _, distances, _ = get_edge_surface_distance(
        *(mask[0, 0] for mask in tensors), spacing=list(steps), use_subvoxels=True, symmetric=True
    )
    assert np.allclose(np.sort(distances[0].numpy()), np.sort(there), atol=1e-4)
    for measured, one_way in ((there, 0), (back, 1)):
        order = np.argsort(measured)
        share = np.cumsum(surfaces[one_way][order, 3]) / surfaces[one_way][:, 3].sum()
        limit = measured[order][np.searchsorted(share, 0.95 - 1e-5)]
        assert scores.hd95 is not None
        assert scores.hd95 >= limit - 1e-6
    assert min(abs(scores.hd95 - value) for value in everything) < 1e-6


def test_a_structure_far_from_the_border_is_found_wherever_it_lies_in_a_large_scan() -> None:
    small_one, small_two = box((6, 6, 6), (1, 4), (1, 5), (2, 5)), box((6, 6, 6), (1, 5), (1, 4), (2, 5))
    large = [np.zeros((150, 160, 170), bool) for _ in range(2)]
    for array, part in zip(large, (small_one, small_two), strict=True):
        array[140:146, 3:9, 100:106] = part
    assert surface_scores(*large, (0.9, 1.1, 2.0)) == surface_scores(small_one, small_two, (0.9, 1.1, 2.0))
