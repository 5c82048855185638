"""Drawing sub-volumes: pure, uniform, borders included, nearly empty ones refused, flips with the target."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from SimpleITK import GetArrayFromImage, GetImageFromArray, ReadImage, WriteImage

from genesis_core.errors import SamplingError
from genesis_core.sampling.cache import CachedScan, open_cached
from genesis_core.sampling.preparing import prepare_scans
from genesis_core.sampling.sampler import Sampler, SubVolume
from genesis_core.sampling.settings import SamplingSettings
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.scans import list_scans

CT = Preprocessing(modality="ct")


def cached(folder: Path, *arrays: np.ndarray, modality: str = "ct") -> list[CachedScan]:
    for number, array in enumerate(arrays):
        WriteImage(GetImageFromArray(array), str(folder / f"{number}.nrrd"))
    preprocessing = Preprocessing.model_validate({"modality": modality})
    return [open_cached(scan, preprocessing, folder / "cache") for scan in list_scans(folder)]


def numbered(shape: tuple[int, int, int]) -> np.ndarray:
    """A scan in whose voxels their own places can be read, all of them tissue."""
    z, y, x = np.indices(shape)
    return (z * 37 + y * 11 + x * 3).astype(np.int16) % 900


def sampler(scans: list[CachedScan], seed: int = 0, **settings: object) -> Sampler:
    return Sampler(scans, SamplingSettings.model_validate(settings), seed)


def same(one: SubVolume, other: SubVolume) -> bool:
    facts = [(s.scan, s.scan_id, s.start, s.tries, s.fallback, s.flipped) for s in (one, other)]
    return facts[0] == facts[1] and one.array.tobytes() == other.array.tobytes()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[CachedScan]:
    generator = np.random.default_rng(0)
    arrays = [
        generator.integers(-1000, 400, shape).astype(np.int16) for shape in ((40, 70, 80), (50, 64, 64), (33, 90, 66))
    ]
    return cached(tmp_path_factory.mktemp("three"), *arrays)


def test_the_same_arguments_give_the_same_bits_in_any_order(three: list[CachedScan]) -> None:
    jobs = [(name, step, index) for name in ("train", "validation") for step in (0, 1, 700) for index in range(8)]
    first = {job: sampler(three).sub_volume(*job) for job in jobs}
    again = sampler(three)
    for job in reversed(jobs):
        assert same(again.sub_volume(*job), first[job])
    with ThreadPoolExecutor(6) as pool:
        for job, drawn in zip(jobs, pool.map(lambda job: again.sub_volume(*job), jobs), strict=True):
            assert same(drawn, first[job])


def test_seed_stream_step_and_index_each_give_other_sub_volumes(three: list[CachedScan]) -> None:
    drawn = [
        sampler(three).sub_volume("train", 3, 4),
        sampler(three, seed=1).sub_volume("train", 3, 4),
        sampler(three).sub_volume("validation", 3, 4),
        sampler(three).sub_volume("train", 4, 3),
        sampler(three).sub_volume("train", 3, 5),
    ]
    assert len({one.array.tobytes() for one in drawn}) == len(drawn)


def test_a_sub_volume_is_what_its_record_says(three: list[CachedScan]) -> None:
    for index in range(20):
        drawn = sampler(three).sub_volume("train", 0, index)
        again = three[drawn.scan].read(drawn.start, (32, 64, 64))
        axes = [axis for axis, name in enumerate("zyx") if name in drawn.flipped]
        np.testing.assert_array_equal(drawn.array, np.flip(again, axes))
        assert drawn.scan_id == three[drawn.scan].id
        assert drawn.origin.startswith(f"{drawn.scan_id} at {drawn.start[0]},{drawn.start[1]},{drawn.start[2]} ")
        assert drawn.array.shape == (32, 64, 64)
        assert drawn.array.dtype == np.float32


@pytest.mark.parametrize("settings", [{"flips": []}, {"flip_probability": 1}, {}])
def test_a_sub_volume_owns_its_memory(three: list[CachedScan], settings: dict[str, object]) -> None:
    drawing = sampler(three, **settings)
    drawn = drawing.sub_volume("train", 0, 0)
    before = drawn.array.copy()
    assert drawn.array.flags.owndata
    assert drawn.array.flags.c_contiguous
    drawn.array[:] = -1
    np.testing.assert_array_equal(drawing.sub_volume("train", 0, 0).array, before)


def test_every_place_is_drawn_equally_often_borders_included(tmp_path: Path) -> None:
    scans = cached(tmp_path, numbered((6, 7, 5)))
    drawing = sampler(scans, patch_size=[4, 4, 4], filter="none")
    places = Counter(drawing.sub_volume("train", 0, index).start for index in range(4800))
    assert len(places) == 3 * 4 * 2
    assert min(places.values()) > 140
    assert max(places.values()) < 265


def test_scans_are_drawn_equally_often_whatever_their_size(three: list[CachedScan]) -> None:
    counts = Counter(sampler(three, patch_size=[8, 8, 8]).sub_volume("train", 0, index).scan for index in range(1500))
    assert sorted(counts) == [0, 1, 2]
    assert min(counts.values()) > 430


def test_flips_happen_with_their_probability_on_their_axes_only(three: list[CachedScan]) -> None:
    drawing = sampler(three, patch_size=[4, 4, 4], flips=["x", "z"], flip_probability=0.25)
    counts = Counter(axis for index in range(2000) for axis in drawing.sub_volume("train", 0, index).flipped)
    assert counts["y"] == 0
    assert counts["x"] == pytest.approx(500, abs=80)
    assert counts["z"] == pytest.approx(500, abs=80)


def test_flips_do_not_change_which_places_are_drawn(three: list[CachedScan]) -> None:
    with_flips, without = sampler(three), sampler(three, flips=[])
    for index in range(20):
        assert with_flips.sub_volume("t", 0, index).start == without.sub_volume("t", 0, index).start


def test_a_scan_smaller_than_the_sub_volume_is_padded_centred_and_said(tmp_path: Path) -> None:
    array = numbered((10, 20, 101))
    scans = cached(tmp_path, array)
    drawing = sampler(scans, patch_size=[16, 32, 32], flips=[], filter="none")
    assert "smaller than the sub-volumes" in drawing.notes[0]
    assert scans[0].id in drawing.notes[0]
    drawn = drawing.sub_volume("train", 0, 0)
    assert drawn.start[:2] == (-3, -6)
    x = drawn.start[2]
    np.testing.assert_array_equal(drawn.array[3:13, 6:26], scans[0].read((0, 0, x), (10, 20, 32)))
    assert not drawn.array[:3].any()
    assert not drawn.array[13:].any()
    assert not drawn.array[:, 26:].any()


def body_in_air(shape: tuple[int, int, int] = (64, 64, 64)) -> np.ndarray:
    scan = np.full(shape, -1000, np.int16)
    scan[16:48, 16:48, 16:48] = 40
    return scan


def test_nearly_empty_places_are_refused(tmp_path: Path) -> None:
    drawing = sampler(cached(tmp_path, body_in_air()), patch_size=[16, 16, 16])
    drawn = [drawing.sub_volume("train", 0, index) for index in range(200)]
    assert not any(one.fallback for one in drawn)
    assert min(float((one.array > 0.1).mean()) for one in drawn) >= 0.05
    assert max(one.tries for one in drawn) > 1
    open_drawing = sampler(cached(tmp_path, body_in_air()), patch_size=[16, 16, 16], filter="none")
    unfiltered = [open_drawing.sub_volume("train", 0, index) for index in range(200)]
    assert any(not one.array.any() for one in unfiltered)
    assert {one.tries for one in unfiltered} == {1}


def test_after_all_tries_the_last_place_is_taken_and_counted(tmp_path: Path) -> None:
    drawing = sampler(cached(tmp_path, np.full((30, 30, 30), -1000, np.int16)), patch_size=[8, 8, 8], max_tries=7)
    drawn = drawing.sub_volume("train", 0, 0)
    assert drawn.fallback
    assert drawn.tries == 7


def test_lung_is_not_taken_for_empty_but_air_around_the_body_is(real_data: Path, tmp_path: Path) -> None:
    labels = GetArrayFromImage(ReadImage(str(real_data / "ct" / "derived_labels" / "chest_lidc0314_2mm.nii.gz")))
    scans = [open_cached(list_scans(real_data / "ct" / "chest_lidc0314_2mm.nii.gz")[0], CT, tmp_path)]
    drawing = sampler(scans, patch_size=[12, 12, 12], flips=[], filter="none")
    checking = sampler(scans, patch_size=[12, 12, 12], flips=[])
    lung, outside = [], []
    for index in range(1500):
        drawn = drawing.sub_volume("t", 0, index)
        part = labels[tuple(slice(s, s + 12) for s in drawn.start)]
        refused = checking.sub_volume("t", 0, index).tries > 1
        if (part == 4).mean() > 0.95:
            lung.append(refused)
        elif not part.any() and float(drawn.array.mean()) < 0.02:
            outside.append(refused)
    assert len(lung) > 20
    assert len(outside) > 20
    assert np.mean(lung) < 0.05
    assert np.mean(outside) > 0.95


def test_the_air_threshold_of_mr_is_a_part_of_the_fitted_range(tmp_path: Path) -> None:
    scan = np.random.default_rng(0).integers(0, 20, (40, 40, 40)).astype(np.int16)
    scan[10:30, 10:30, 10:30] += 1000
    drawing = sampler(cached(tmp_path, scan, modality="mr"), patch_size=[8, 8, 8])
    for index in range(100):
        drawn = drawing.sub_volume("train", 0, index)
        assert drawn.fallback or (drawn.array > 0.05).mean() >= 0.05


def test_real_scans_are_drawn_with_few_fallbacks(real_data: Path, tmp_path: Path) -> None:
    scans, problems = prepare_scans(list_scans(real_data / "ct" / "chest_lidc0314_2mm.nii.gz"), CT, tmp_path)
    assert not problems
    drawn = [sampler(scans).sub_volume("train", 0, index) for index in range(100)]
    assert sum(one.fallback for one in drawn) == 0
    assert all(0 <= one.array.min() <= one.array.max() <= 1 for one in drawn)


def test_no_scans_is_an_error() -> None:
    with pytest.raises(SamplingError, match=r"data\.scans"):
        sampler([])
