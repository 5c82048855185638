"""The phantom: the same seed gives the same chest, another seed another; organs are where and what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genesis_core.errors import OutputExistsError, SettingsError
from genesis_core.phantom.labels import COLOURS, GROUPS, LABELS, STRUCTURES
from genesis_core.phantom.thorax import Phantom, make_phantom, write_phantoms

SMALL = (48, 64, 64)
SEEDS = range(6)


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed) for seed in SEEDS]


def millilitres(phantom: Phantom, *names: str) -> float:
    inside = np.isin(phantom.labels.array, [LABELS[name] for name in names])
    return float(inside.sum() * np.prod(phantom.labels.spacing) / 1000)


def middle(phantom: Phantom, name: str) -> np.ndarray:
    """Centre of a structure as (x, y, z) in mm, LPS."""
    index = np.argwhere(phantom.labels.array == LABELS[name]).mean(axis=0)
    return (phantom.labels.affine @ [*index, 1])[2::-1]


def inner_values(phantom: Phantom, name: str, steps: int = 1) -> np.ndarray:
    """HU of a structure without its outermost voxels, where it is mixed with its neighbours."""
    from scipy.ndimage import binary_erosion

    inside = phantom.labels.array == LABELS[name]
    return phantom.volume.array[binary_erosion(inside, iterations=steps) if steps else inside]


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = make_phantom(3, SMALL), make_phantom(3, SMALL)
    assert np.array_equal(one.volume.array, two.volume.array)
    assert np.array_equal(one.labels.array, two.labels.array)
    assert one.subject == two.subject


def test_another_seed_gives_another_person() -> None:
    one, two = make_phantom(3, SMALL), make_phantom(4, SMALL)
    assert one.subject != two.subject
    assert (one.labels.array != two.labels.array).mean() > 0.02


@pytest.mark.parametrize("seed", [-1, 0, 2**70])
def test_any_integer_is_a_seed(seed: int) -> None:
    assert np.isfinite(make_phantom(seed, (24, 32, 32)).volume.array).all()


def test_the_scan_is_int16_hu_on_an_lps_grid_and_says_that_it_is_synthetic() -> None:
    phantom = make_phantom(1, SMALL)
    scan = phantom.volume
    assert (scan.array.dtype, scan.shape, scan.modality, scan.axis_codes) == (np.int16, SMALL, "ct", "LPS")
    assert scan.array.min() >= -1024
    assert scan.array.max() <= 3071
    assert "synthetic" in scan.notes[0]
    assert phantom.labels.array.dtype == np.uint8
    assert phantom.labels.geometry == scan.geometry


def test_a_smaller_shape_still_shows_the_whole_chest() -> None:
    assert make_phantom(1, SMALL).volume.spacing == pytest.approx((5.5, 5.5, 320 / 48))
    assert make_phantom(1).volume.spacing == pytest.approx((2.2, 2.2, 2.5))


def test_a_spacing_of_ones_own_shows_a_part_of_the_chest() -> None:
    part = make_phantom(1, (32, 48, 48), (1.0, 1.0, 1.5))
    assert part.volume.spacing == (1.0, 1.0, 1.5)
    assert LABELS["ribs"] not in part.labels.array


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 40, 11), (40, 8, 33)])
def test_odd_and_tiny_shapes_are_drawn(shape: tuple[int, int, int]) -> None:
    assert make_phantom(2, shape).volume.shape == shape


def test_a_shape_that_cannot_be_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 8"):
        make_phantom(0, (4, 64, 64))


def test_every_structure_has_a_number_a_name_and_a_colour() -> None:
    assert [structure.number for structure in STRUCTURES] == list(range(len(LABELS)))
    assert set(COLOURS) == set(LABELS.values())
    assert {number for numbers in GROUPS.values() for number in numbers} <= set(LABELS.values())


def test_every_healthy_structure_is_in_every_phantom(phantoms: list[Phantom]) -> None:
    sick = {LABELS["nodule"], LABELS["pleural_effusion"]}
    for phantom in phantoms:
        there = set(np.unique(phantom.labels.array).tolist())
        assert set(LABELS.values()) - there <= sick


@pytest.mark.parametrize(
    ("names", "low", "high"),
    [
        (("lung_left", "lung_right", "lung_vessels", "airways", "nodule"), 2500, 8500),
        (("lung_vessels",), 60, 900),
        (("airways",), 20, 200),
        (("heart",), 350, 1000),
        (("aorta",), 60, 400),
        (("liver",), 400, 2200),
        (("spleen",), 20, 350),
        (("stomach",), 60, 500),
        (("ribs",), 250, 1200),
        (("spine",), 300, 1100),
        (("sternum",), 30, 220),
        (("oesophagus",), 15, 90),
        (("subcutaneous_fat",), 1000, 12000),
    ],
)
def test_organs_have_the_volume_of_an_adults(
    phantoms: list[Phantom], names: tuple[str, ...], low: float, high: float
) -> None:
    for phantom in phantoms:
        assert low < millilitres(phantom, *names) < high


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("outside", -1015, -950),
        ("lung_right", -905, -750),
        ("lung_left", -905, -750),
        ("airways", -1024, -780),
        ("subcutaneous_fat", -125, -75),
        ("muscle", 0, 75),
        ("heart", 30, 260),
        ("liver", 30, 110),
        ("aorta", 30, 270),
        ("spine", 120, 600),
        ("ribs", 200, 900),
    ],
)
def test_structures_have_the_density_they_have_in_a_ct(
    phantoms: list[Phantom], name: str, low: float, high: float
) -> None:
    for phantom in phantoms:
        assert low < float(np.median(inner_values(phantom, name, 0 if name in ("ribs", "airways") else 1))) < high


def test_the_left_lung_heart_spleen_and_stomach_lie_on_the_patients_left(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        midline = middle(phantom, "spine")[0]
        for name in ("lung_left", "heart", "spleen", "stomach"):
            assert middle(phantom, name)[0] > midline
        for name in ("lung_right", "liver"):
            assert middle(phantom, name)[0] < midline


def test_the_spine_lies_behind_and_the_breastbone_in_front(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert middle(phantom, "sternum")[1] < middle(phantom, "heart")[1] < middle(phantom, "spine")[1]


def test_the_liver_lies_below_the_lungs_and_the_right_lung_is_larger(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert middle(phantom, "liver")[2] < middle(phantom, "heart")[2] < middle(phantom, "lung_right")[2]
        assert millilitres(phantom, "lung_right") > 0.95 * millilitres(phantom, "lung_left")


def test_lungs_lie_inside_the_body_and_do_not_touch_the_air_outside(phantoms: list[Phantom]) -> None:
    from scipy.ndimage import binary_dilation

    for phantom in phantoms:
        lungs = np.isin(phantom.labels.array, [LABELS["lung_left"], LABELS["lung_right"]])
        outside = phantom.labels.array == LABELS["outside"]
        assert not (binary_dilation(lungs, iterations=2) & outside)[:, 1:-1, 1:-1].any()


def test_vessels_reach_the_periphery_of_the_lungs(phantoms: list[Phantom]) -> None:
    from scipy.ndimage import distance_transform_edt

    phantom = phantoms[0]
    lungs = np.isin(phantom.labels.array, GROUPS["lungs"])
    depth = distance_transform_edt(lungs, sampling=phantom.labels.spacing[::-1])
    vessels = phantom.labels.array == LABELS["lung_vessels"]
    assert ((depth > 0) & (depth < 12) & vessels).sum() > 500


def test_an_axial_slice_cuts_several_ribs_on_each_side(phantoms: list[Phantom]) -> None:
    from scipy.ndimage import label

    plane = phantoms[0].labels.array[64] == LABELS["ribs"]
    pieces, count = label(plane)
    assert np.asarray(pieces).max() == count
    assert 8 <= count <= 24


def test_the_noise_is_correlated_between_neighbours(phantoms: list[Phantom]) -> None:
    liver = phantoms[0].labels.array == LABELS["liver"]
    hu = phantoms[0].volume.array.astype(float) - phantoms[0].volume.array[liver].mean()
    both = liver[:, :, 1:] & liver[:, :, :-1]
    neighbours = (hu[:, :, 1:] * hu[:, :, :-1])[both].mean() / (hu[liver] ** 2).mean()
    assert 0.2 < neighbours < 0.95


def test_phantoms_are_written_with_their_labels_and_read_back(tmp_path: Path) -> None:
    from genesis_core.volumes.reading import read_volume

    paths = write_phantoms(tmp_path / "scans", 2, seed=5, shape=(16, 24, 24), labels=True)
    assert [path.name for path in paths] == ["thorax_000.nii.gz", "thorax_001.nii.gz"]
    expected = make_phantom(6, (16, 24, 24))
    scan = read_volume(paths[1])
    assert np.array_equal(scan.array, expected.volume.array)
    assert scan.axis_codes == "LPS"
    assert np.allclose(scan.affine, expected.volume.affine, atol=1e-4)
    labels = read_volume(tmp_path / "scans" / "labels" / "thorax_001.nii.gz")
    assert np.array_equal(labels.array, expected.labels.array)


def test_phantoms_do_not_overwrite_what_is_there(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 1, shape=(16, 16, 16))
    with pytest.raises(OutputExistsError):
        write_phantoms(tmp_path, 1, seed=5, shape=(16, 16, 16), labels=True)
    # No labels of another phantom beside the scan that stays.
    assert not list((tmp_path / "labels").glob("*.nii.gz"))
    assert write_phantoms(tmp_path, 1, shape=(16, 16, 16), overwrite=True)
