"""CT and MR are told apart by their voxels, and a tag is doubted where they contradict it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genesis_core.volumes.modality import guess_modality
from genesis_core.volumes.reading import read_volume
from genesis_core.volumes.volume import Modality, Volume

RANDOM = np.random.default_rng(0)


def scan(*parts: tuple[float, float, float], kind: str = "i2") -> Volume:
    """Voxels of several normal distributions: (share, mean, deviation)."""
    values = np.concatenate([RANDOM.normal(mean, width, int(share * 8000)) for share, mean, width in parts])
    return Volume.from_array(np.resize(values, (20, 20, 20)).astype(kind))


CHEST = scan((0.5, -1000, 10), (0.2, -850, 60), (0.3, 40, 30))
CROP = scan((0.35, -90, 20), (0.6, 50, 25), (0.05, 600, 200))
BRAIN = Volume.from_array(np.abs(scan((0.5, 0, 8), (0.5, 400, 120)).array))


@pytest.mark.parametrize(("volume", "expected", "sure"), [(CHEST, "ct", 0.95), (CROP, "ct", 0.6), (BRAIN, "mr", 0.8)])
def test_the_values_tell_the_modality(volume: Volume, expected: Modality, sure: float) -> None:
    guess = guess_modality(volume)
    assert guess.modality == expected
    assert sure <= guess.certainty <= 1
    assert guess.reason


def test_a_tag_that_fits_adds_certainty() -> None:
    assert guess_modality(replace(CROP, modality="ct")).certainty > guess_modality(CROP).certainty
    assert guess_modality(replace(BRAIN, modality="mr")).certainty >= 0.95


def test_a_ct_tag_without_air_or_fat_is_doubted() -> None:
    guess = guess_modality(replace(BRAIN, modality="ct"))
    assert (guess.modality, guess.certainty <= 0.8) == ("mr", True)
    assert "said to be CT, which is doubted" in guess.reason


def test_an_mr_tag_on_hounsfield_units_is_doubted() -> None:
    assert guess_modality(replace(CHEST, modality="mr")).modality == "ct"


@pytest.mark.parametrize("array", [np.zeros((4, 4, 4)), RANDOM.normal(0, 1, (9, 9, 9)), RANDOM.random((9, 9, 9))])
def test_normalised_scans_leave_it_unsure(array: np.ndarray) -> None:
    assert guess_modality(Volume.from_array(array)).certainty < 0.6


def test_an_mr_phase_image_is_not_taken_for_ct() -> None:
    phase = RANDOM.integers(-4096, 4096, (20, 20, 20)).astype("i2")
    assert guess_modality(Volume.from_array(phase)).modality == "mr"


def test_a_label_map_is_recognised_as_none() -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[3:6, 3:6, 3:6] = 4
    guess = guess_modality(Volume.from_array(labels))
    assert guess.certainty < 0.5
    assert "label map" in guess.reason


def test_the_guess_is_the_same_every_time() -> None:
    assert guess_modality(CHEST) == guess_modality(CHEST)


def test_real_scans_are_told_apart(real_data: Path) -> None:
    wrong = []
    for path in sorted(real_data.rglob("*.nii.gz")):
        place = path.relative_to(real_data).as_posix()
        if "labels" in place or place.startswith("awkward"):
            continue
        expected = "mr" if "mr" in place or "brain" in place else "ct"
        guess = guess_modality(read_volume(path))
        if guess.modality != expected or guess.certainty < 0.6:
            wrong.append((place, guess))
    assert not wrong
