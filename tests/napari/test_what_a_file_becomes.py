"""What decides whether a file is a scan or labels, and what a JSON or a missing UID beside it must not spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import write_series
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import Notification, notification_manager

from genesis_core.volumes.dicom import tags
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume
from napari_genesis import layers, readers
from napari_genesis.contrast import CT_REACH, REACH_KEY
from napari_genesis.view.windows import CT_WINDOWS, windows_for

SHAPE = (9, 10, 11)
NUMBERS = (np.arange(np.prod(SHAPE)) % 400).astype(np.int16).reshape(SHAPE)


@pytest.fixture
def told() -> Any:
    """What was shown to the user since the test began."""
    seen: list[Notification] = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


def opened(path: Path) -> list[Layer]:
    reader = readers.get_reader(str(path))
    assert reader is not None
    return [Layer.create(*one) for one in reader(str(path)) if one[0] is not None]


def scan(path: Path, array: np.ndarray = NUMBERS) -> Path:
    return write_volume(Volume.from_array(array), path)


@pytest.mark.parametrize("text", ['{"EchoTime": 0.003,}', " " * ((16 << 20) + 1)])
def test_a_bad_json_of_another_program_spoils_no_scan(tmp_path: Path, text: str) -> None:
    path = scan(tmp_path / "sub-01_T1w.nii.gz", NUMBERS * 7)
    (tmp_path / "sub-01_T1w.json").write_text(text)
    [layer] = opened(path)
    assert isinstance(layer, Image)


def test_a_named_atlas_of_many_regions_is_labels(tmp_path: Path, told: list[Notification]) -> None:
    path = scan(tmp_path / "atlas.nii.gz")
    names = [{"name": f"region {number}", "value": number} for number in range(1, 400)]
    (tmp_path / "atlas.json").write_text(json.dumps({"structures": names}))
    [layer] = opened(path)
    assert isinstance(layer, Labels)
    # Without names so many numbers are rather intensities, which is said.
    [layer] = opened(scan(tmp_path / "atlas_seg.nii.gz"))
    assert isinstance(layer, Image)
    assert "Shown as a scan, not as labels: 399 of its numbers have no name." in told[-1].message


def test_what_is_wrong_with_the_names_of_labels_is_said(tmp_path: Path, told: list[Notification]) -> None:
    path = scan(tmp_path / "liver_seg.nii.gz", (NUMBERS > 200).astype(np.uint8))
    (tmp_path / "liver_seg.json").write_text('{"structures": [{"name": "liver", "value": 1},]}')
    [layer] = opened(path)
    assert isinstance(layer, Image)
    assert "Shown as a scan, not as labels: liver_seg.json: not valid JSON" in told[-1].message


def test_a_series_without_a_uid_opens_beside_another(tmp_path: Path) -> None:
    array = np.arange(4 * 64).reshape(4, 8, 8)
    write_series(tmp_path, array, series="1.2.3.4", name="a{:d}.dcm")
    write_series(tmp_path, array + 500, name="b{:d}.dcm", x0020000E=None)
    found = opened(tmp_path)
    assert sorted(int(layer.data.max()) for layer in found) == [array.max() - 1000, array.max() - 500]


def test_of_many_slices_without_an_ending_one_is_opened_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_series(tmp_path, np.zeros((20, 4, 4), "i2"), name="IM{:d}")
    asked: list[Path] = []
    is_dicom = tags.is_dicom
    monkeypatch.setattr(tags, "is_dicom", lambda path: asked.append(path) or is_dicom(path))
    assert readers.get_reader([str(path) for path in paths]) is not None
    assert len(asked) == 1
    (tmp_path / "notes").write_text("none of them")
    assert readers.get_reader([str(tmp_path / "notes")]) is None
    assert readers.get_reader([str(paths[0]), str(tmp_path / "notes.txt")]) is None


def test_linked_patients_are_read(tmp_path: Path) -> None:
    write_series(tmp_path / "real", np.zeros((3, 4, 4), "i2"))
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "p1").symlink_to(tmp_path / "real")
    assert readers.get_reader(str(tmp_path / "cohort")) is not None


def test_a_result_on_a_ct_has_its_windows_and_a_map_has_not() -> None:
    array, meta = layers.shown(Volume.from_array(NUMBERS))
    source = Image(
        array, **{**meta, "metadata": {**meta["metadata"], REACH_KEY: CT_REACH}}, contrast_limits=(-160, 240)
    )
    restored = Layer.create(*layers.like(source, array + 1, "restored"))
    assert list(windows_for(restored)) == list(CT_WINDOWS)
    residual = layers.like(source, array * 0, "residual", contrast_limits=(-5, 5))
    assert REACH_KEY not in residual[1]["metadata"]
    assert REACH_KEY not in layers.like(source, array, "mask", "labels")[1]["metadata"]
