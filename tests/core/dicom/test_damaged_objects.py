"""Multi-frame files, structure sets and segmentations with a few bytes changed: a clear error or a whole result."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import damaged, write_series
from frames_making import write_frames

from genesis_core.errors import VolumeError
from genesis_core.volumes.dicom.listing import list_series
from genesis_core.volumes.dicom.segmentation import read_dicom_seg
from genesis_core.volumes.dicom.segmentation_writing import write_dicom_seg
from genesis_core.volumes.dicom.series import find_series
from genesis_core.volumes.dicom.structures import read_rtstruct
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.reading import read_volume

STORED = np.random.default_rng(5).integers(0, 1500, (6, 9, 11)).astype("i2")
ROUNDS = [60, pytest.param(1500, marks=pytest.mark.slow)]


def check(path: Path, rounds: int, shape: tuple[int, ...], read: Callable[[], tuple[int, ...]]) -> None:
    """Damage a file again and again; whatever is read must have the right shape."""
    chance, whole = random.Random(rounds), path.read_bytes()
    for _ in range(rounds):
        path.write_bytes(damaged(whole, chance))
        try:
            found = read()
        except VolumeError:
            found = shape
        assert found == shape
    path.write_bytes(whole)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_damaged_multi_frame_files(tmp_path: Path, rounds: int) -> None:
    path = write_frames(tmp_path / "a.dcm", STORED, order=[3, 0, 5, 1, 4, 2])

    def read() -> tuple[int, ...]:
        list_series(tmp_path)
        return read_volume(path).shape

    check(path, rounds, STORED.shape, read)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_damaged_segmentations(tmp_path: Path, rounds: int) -> None:
    write_series(tmp_path / "scan", STORED, x00200052="1.2.3.7")
    geometry = find_series(tmp_path / "scan").geometry
    layer = np.random.default_rng(2).integers(0, 3, STORED.shape).astype(np.uint8)
    labels = LabelVolume((layer,), geometry, (Structure("a", 1, (9, 9, 200)), Structure("b", 2)))
    path = write_dicom_seg(labels, tmp_path / "scan", tmp_path / "seg.dcm")
    check(path, rounds, STORED.shape, lambda: read_dicom_seg(path, geometry).layers[0].shape)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_damaged_structure_sets(tmp_path: Path, rounds: int, real_data: Path) -> None:
    folder = real_data / "dicom" / "sarcoma_STS008_mr_rtstruct"
    geometry = find_series(folder).geometry
    path = tmp_path / "RS.dcm"
    path.write_bytes((folder / "RS.dcm").read_bytes())
    check(path, rounds, geometry.shape, lambda: read_rtstruct(path, geometry).layers[0].shape)
