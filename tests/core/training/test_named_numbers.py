"""Names for labels that are numbers alone: as settings, in the model, in the next round, and where they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis_core as gc
from genesis_core.cli.main import run
from genesis_core.errors import SettingsError
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.settings import validate
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.labelled_data import find_set
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.volume import Volume
from genesis_core.volumes.writing import write_volume

QUICK: dict[str, Any] = {
    "network": {"width": 2, "depth": 2},
    "training": {"batch_size": 1, "precision": "float32", "threads": 1, "max_steps": 1},
    "validation_samples": 1,
    "sampling": {"patch_size": [16, 16, 16]},
    "folds": 1,
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms whose labels are the numbers 1 and 4, without a list of names."""
    folder = tmp_path_factory.mktemp("set") / "labelled"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in range(3):
        phantom = make_phantom(seed, (16, 32, 32))
        array = np.zeros((16, 32, 32), np.uint8)
        array[phantom.labels.array == LABELS["lung_right"]] = 1
        array[phantom.labels.array == LABELS["lung_left"]] = 4
        write_volume(phantom.volume, folder / "images" / f"s_{seed}.nii.gz")
        write_volume(Volume(array, phantom.volume.geometry), folder / "labels" / f"s_{seed}.nii.gz")
    return folder


def test_the_model_what_it_draws_and_the_next_round_have_the_names(numbers: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in numbers.rglob("*"))
    settings = {**QUICK, "data": {"spacing": "as scanned", "names": {1: "right lung", 4: "left lung"}}}
    gc.finetune(numbers, tmp_path / "first", settings=settings)
    card = gc.load_model(tmp_path / "first").card
    assert [(one.name, one.value) for one in card.structures] == [("right lung", 1), ("left lung", 4)]
    assert sorted(path.name for path in numbers.rglob("*")) == before
    scan, out = numbers / "images" / "s_0.nii.gz", tmp_path / "drawn"
    assert run(["segment", str(scan), "--model", str(tmp_path / "first"), "--out", str(out)]) == 0
    assert {one.name for one in read_labels(out / "s_0.nii.gz").structures} == {"right lung", "left lung"}
    gc.finetune(previous=tmp_path / "first", out=tmp_path / "second", max_steps=1)
    assert gc.load_model(tmp_path / "second").card.structures == card.structures


def test_the_command_line_takes_them_and_a_number_without_a_name_is_no_structure(
    numbers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", str(numbers), "--out", str(tmp_path / "run"), "--dry-run"]
    assert run([*words, "--set", "data.names={4: left lung}"]) == 0
    told = capsys.readouterr().out
    assert "left lung (drawn in 3 of 3" in told
    assert "label 1" not in told


def test_labels_that_have_names_are_not_named_again(numbers: Path, tmp_path: Path) -> None:
    settings = validate(FinetuneSettings, {"data": {"labelled": numbers, "names": {1: "right lung"}}})
    assert [one.name for one in find_set(settings).structures] == ["right lung"]
    (tmp_path / "labelled").mkdir()
    for part in ("images", "labels"):
        (tmp_path / "labelled" / part).symlink_to(numbers / part)
    (tmp_path / "labelled" / "label_names.csv").write_text("number,name\n1,liver\n4,spleen\n")
    data = settings.data.model_copy(update={"labelled": tmp_path / "labelled"})
    with pytest.raises(SettingsError, match=r"names of their own .*liver"):
        find_set(settings.model_copy(update={"data": data}))
    for names in ({0: "nothing"}, {1: "lung", 4: "lung"}, {1: " "}):
        with pytest.raises(SettingsError, match=r"data\.names"):
            validate(FinetuneSettings, {"data": {"names": names}})
