"""Drawing labelled sub-volumes: pure, rare structures seen, nothing learnt beyond the scan."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from labelled_files import CT, ORGANS, case, drawn, save, shown

from genesis_core.errors import SamplingError
from genesis_core.sampling.labelled_cache import CachedCase, open_cached_case
from genesis_core.sampling.labelled_sampler import LabelledSampler, LabelledSubVolume
from genesis_core.sampling.labelled_settings import LabelledSamplingSettings
from genesis_core.volumes.label_volume import Structure


def sampler(cases: list[CachedCase], seed: int = 0, **settings: object) -> LabelledSampler:
    values = {"patch_size": (8, 10, 12), **settings}
    return LabelledSampler(cases, LabelledSamplingSettings.model_validate(values), seed)


def taken(some: LabelledSampler, stream_name: str, step: int, index: int) -> LabelledSubVolume:
    return some.read(some.place(stream_name, step, index))


def same(one: LabelledSubVolume, other: LabelledSubVolume) -> bool:
    return (
        one.place == other.place
        and one.origin == other.origin
        and one.images.tobytes() == other.images.tobytes()
        and one.layers.tobytes() == other.layers.tobytes()
    )


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[CachedCase]:
    """Three cases; only the first shows the tumour, and the last shows nothing."""
    folder = tmp_path_factory.mktemp("three")
    first, second = drawn(), drawn((24, 32, 48))
    second[second == 2] = 1
    labels = {"one": first, "two": second, "three": np.zeros((20, 30, 40), np.uint8)}
    return [open_cached_case(case(folder, name, array), ORGANS, CT, folder / "cache") for name, array in labels.items()]


def test_the_same_arguments_give_the_same_bits_in_any_order_and_thread(three: list[CachedCase]) -> None:
    jobs = [(name, step, index) for name in ("train", "validation") for step in (0, 1, 700) for index in range(4)]
    first = {job: taken(sampler(three), *job) for job in jobs}
    again = sampler(three)
    for job in reversed(jobs):
        assert same(taken(again, *job), first[job])
    with ThreadPoolExecutor(4) as pool:
        for job, found in zip(jobs, pool.map(lambda job: taken(again, *job), jobs), strict=True):
            assert same(found, first[job])


def test_seed_stream_step_and_index_each_give_other_sub_volumes(three: list[CachedCase]) -> None:
    places = [
        sampler(three).place("train", 3, 4),
        sampler(three, seed=1).place("train", 3, 4),
        sampler(three).place("validation", 3, 4),
        sampler(three).place("train", 4, 4),
        sampler(three).place("train", 3, 5),
    ]
    assert len(set(places)) == len(places)


def test_images_and_layers_belong_together(three: list[CachedCase]) -> None:
    values = np.array([0, 100, 200, 500])
    for index in range(30):
        found = taken(sampler(three), "train", 0, index)
        assert found.images.shape == (1, 8, 10, 12)
        assert found.layers.shape == (1, 8, 10, 12)
        assert np.abs(found.images[0] * 2000 - 1020 - values[found.layers[0]]).max() <= 20.1


def test_a_third_is_centred_on_a_structure_and_each_present_one_has_its_turn(three: list[CachedCase]) -> None:
    places = [sampler(three).place("train", step, 0) for step in range(1500)]
    # The third case shows nothing, so two thirds of a third remain.
    assert sum(place.around is not None for place in places) / 1500 == pytest.approx(2 / 9, abs=0.03)
    assert Counter(place.case for place in places)[2] / 1500 == pytest.approx(1 / 3, abs=0.04)
    around = Counter(place.around for place in places if place.case == 0 and place.around is not None)
    assert set(around) == {0, 1, 2}
    assert min(around.values()) > 0.6 * max(around.values())


def test_around_a_structure_it_is_in_the_sub_volume_and_the_sub_volume_in_the_scan(three: list[CachedCase]) -> None:
    some = sampler(three, foreground=1)
    for step in range(60):
        found = taken(some, "train", step, 0)
        if found.place.around is not None:
            assert (found.layers == found.place.around + 1).any()
            assert three[found.place.case].structures[found.place.around] in found.origin
        assert (found.layers >= 0).all()


def test_anywhere_reaches_both_borders(three: list[CachedCase]) -> None:
    starts = np.array([sampler(three[:1], foreground=0).place("train", step, 0).start for step in range(1500)])
    assert starts.min(axis=0).tolist() == [0, 0, 0]
    assert starts.max(axis=0).tolist() == [12, 20, 28]


def test_a_scan_smaller_than_the_sub_volume_is_padded_and_not_annotated_there(three: list[CachedCase]) -> None:
    some = sampler(three[:1], patch_size=(26, 30, 40))
    found = taken(some, "train", 0, 0)
    assert (found.layers[:, :3] == -1).all()
    assert (found.layers[:, -3:] == -1).all()
    assert (found.images[:, :3] == 0).all()
    assert np.array_equal(found.layers[0, 3:23], three[0].read((0, 0, 0), three[0].shape)[1][0])
    assert any("no loss is taken there" in note for note in some.notes)


def test_turned_sub_volumes_keep_images_and_layers_together_and_know_their_spacing(three: list[CachedCase]) -> None:
    seen = []

    def turn(spacing: tuple[float, float, float]) -> np.ndarray:
        seen.append(spacing)
        c, s = np.cos(0.5), np.sin(0.5)
        return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])

    some = sampler(three, foreground=1)
    found = some.read(some.place("train", 1, 0), turn)
    assert seen == [(1.0, 1.0, 1.0)]
    values = np.array([0, 100, 200, 500])[found.layers[0]]
    inside = found.layers[0] >= 0
    assert np.mean(np.abs(found.images[0] * 2000 - 1020 - values)[inside] < 60) > 0.7


def test_the_fixed_set_is_the_same_at_each_call_and_spread_over_cases_and_structures(three: list[CachedCase]) -> None:
    places = sampler(three).fixed_places(36)
    assert places == sampler(three).fixed_places(36)
    assert Counter(place.case for place in places) == {0: 12, 1: 12, 2: 12}
    around = Counter(place.around for place in places)
    assert around[None] == 12 + 4 + 4
    assert min(around[structure] for structure in range(3)) >= 4
    # A shorter set is the beginning of a longer one.
    assert sampler(three).fixed_places(5) == places[:5]


def test_where_little_is_annotated_sub_volumes_show_some_of_it(tmp_path: Path) -> None:
    labels = np.full((30, 40, 50), 9, np.uint8)
    labels[10:13, 10:14, 10:15] = 0
    wanted = (*ORGANS, Structure("ignore", 9))
    opened = open_cached_case(case(tmp_path, labels=labels), wanted, CT, tmp_path / "cache")
    some = sampler([opened], foreground=0)
    assert all((taken(some, "train", step, 0).layers == 0).any() for step in range(20))


def test_what_cannot_be_drawn_from_is_refused_in_words(three: list[CachedCase], tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="no labelled case"):
        sampler([])
    other = open_cached_case(case(tmp_path, channels=2), ORGANS, CT, tmp_path / "cache")
    with pytest.raises(SamplingError, match="prepare them alike"):
        sampler([three[0], other])


def test_a_structure_that_no_case_shows_is_said(three: list[CachedCase]) -> None:
    assert any("No case shows liver, tumour, spleen" in note for note in sampler(three[2:]).notes)


def test_open_cases_cost_next_to_no_memory(tmp_path: Path) -> None:
    one = case(tmp_path)
    labels = drawn()
    save(shown(labels), tmp_path / "one_0.nii.gz")
    open_cached_case(one, ORGANS, CT, tmp_path / "cache")
    some = [open_cached_case(one, ORGANS, CT, tmp_path / "cache") for _ in range(5)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    some += [open_cached_case(one, ORGANS, CT, tmp_path / "cache") for _ in range(200)]
    each = (tracemalloc.get_traced_memory()[0] - before) / 200
    tracemalloc.stop()
    assert each < 16_000
