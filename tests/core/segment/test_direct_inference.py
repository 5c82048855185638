"""An imported model with 32 classes, applied: any of them can be chosen, and both numberings stand in the output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from suprem_layout import nested, suprem_segresnet
from threshold_models import save_threshold_model

from genesis_core.cli.main import run
from genesis_core.errors import SettingsError
from genesis_core.inference.segment import Segmentation, segment
from genesis_core.inference.selected_structures import select_structures
from genesis_core.model.folder import Model, load_model, save_model
from genesis_core.model.import_weights import import_weights
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.volume import Geometry, Volume
from genesis_core.volumes.writing import write_volume

CHOSEN = ("liver", "kidney_cyst", "spleen")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout, with the patch made small so that a test takes no minute."""
    folder = tmp_path_factory.mktemp("suprem")
    torch.save(nested(suprem_segresnet(width=8)), folder / "file.pth")
    imported = import_weights(folder / "file.pth", folder / "model").model
    save_model(folder / "model", imported.network, imported.card.model_copy(update={"patch_size": (24, 24, 24)}))
    return folder / "model"


@pytest.fixture(scope="module")
def scan() -> Volume:
    array = np.random.default_rng(0).integers(-300, 400, (20, 22, 24)).astype(np.int16)
    return Volume(array, Geometry(array.shape, (1.5, 1.5, 1.5), (5.0, -3.0, 8.0)))


@pytest.fixture(scope="module")
def everything(model: Path, scan: Volume) -> Segmentation:
    return segment(load_model(model), scan, overlap=0)


def test_all_32_classes_come_with_the_templates_numbers(everything: Segmentation) -> None:
    facts = everything.as_json()["structures"]
    assert [one["value"] for one in facts] == list(range(1, 33))
    assert facts[5] == {
        **facts[5],
        "name": "liver",
        "numberings": {"SuPreM template": 6, "AbdomenAtlas 1.1": 5, "AbdomenAtlas 1.0": 5},
    }
    assert facts[31]["numberings"] == {"SuPreM template": 32}
    assert sum(one["voxels"] > 0 for one in facts) > 8
    assert any("those of the SuPreM template, not those of AbdomenAtlas 1.1" in note for note in everything.notes)


def test_the_masks_are_those_of_the_network_above_a_half(model: Path, scan: Volume, everything: Segmentation) -> None:
    """By hand, with one window as large as the scan allows: RAS is LPS with x and y turned round."""
    loaded = load_model(model)
    unit = np.clip((scan.array[:, ::-1, ::-1].astype(np.float32) + 175) / 425, 0, 1)
    padded = np.zeros((24, 24, 24), np.float32)
    low = [(24 - length) // 2 for length in unit.shape]
    padded[tuple(slice(a, a + n) for a, n in zip(low, unit.shape, strict=True))] = unit
    with torch.no_grad():
        logits = loaded.network(torch.from_numpy(padded)[None, None])[0].numpy()
    inner = logits[(slice(None), *(slice(a, a + n) for a, n in zip(low, unit.shape, strict=True)))][:, :, ::-1, ::-1]
    for structure in everything.labels.structures:
        clear = np.abs(inner[structure.value - 1]) > 1e-3
        expected = inner[structure.value - 1] > 0
        np.testing.assert_array_equal(everything.labels.mask(structure)[clear], expected[clear])


def test_chosen_structures_are_the_same_as_among_all(model: Path, scan: Volume, everything: Segmentation) -> None:
    some = segment(load_model(model), scan, overlap=0, structures=CHOSEN)
    assert [structure.name for structure in some.labels.structures] == ["spleen", "liver", "kidney_cyst"]
    among = {structure.name: structure for structure in everything.labels.structures}
    for structure in some.labels.structures:
        assert structure.value == among[structure.name].value
        np.testing.assert_array_equal(some.labels.mask(structure), everything.labels.mask(among[structure.name]))


def test_structures_that_do_not_exist_or_exclude_each_other_cannot_be_chosen(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model)
    with pytest.raises(SettingsError, match=r"no structure is called 'Liver'.*spleen, kidney_right"):
        select_structures(loaded, ["Liver"])
    assert select_structures(loaded, []) is loaded
    softmax: Model = load_model(save_threshold_model(tmp_path / "t"))
    with pytest.raises(SettingsError, match="exclude each other"):
        select_structures(softmax, ["bone"])


def test_the_command_writes_names_values_and_both_numberings(model: Path, scan: Volume, tmp_path: Path) -> None:
    write_volume(scan, tmp_path / "case.nii.gz")
    arguments = ["segment", str(tmp_path / "case.nii.gz"), "--model", str(model), "--out", str(tmp_path / "out")]
    assert run([*arguments, "--structures", "liver", "--organ-rules", "suprem", "--overlap", "0"]) == 0
    facts = json.loads((tmp_path / "out/case_segmentation.json").read_text())
    assert [(one["name"], one["value"], one["numberings"]["AbdomenAtlas 1.1"]) for one in facts["structures"]] == [
        ("liver", 6, 5)
    ]
    assert (facts["settings"]["structures"], facts["settings"]["organ_rules"]) == (["liver"], "suprem")
    labels = read_labels(tmp_path / "out/case.nii.gz")
    assert [(one.name, one.value) for one in labels.structures] == [("liver", 6)]
    assert set(np.unique(labels.as_map())) == {0, 6}
    assert run([*arguments, "--structures", "nonsense", "--overwrite"]) != 0
