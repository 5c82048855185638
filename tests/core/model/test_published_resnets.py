"""MedicalNet's files become an encoder that computes what theirs does; the decoder is ours, and said to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from medicalnet_layout import as_saved, medicalnet, medicalnet_features
from suprem_layout import Shapes
from test_published_models import EXACT, difference, double, image, write

from genesis_core.cli.main import run
from genesis_core.errors import ModelError
from genesis_core.model.import_report import UnmatchedWeightsError
from genesis_core.model.import_weights import import_weights
from genesis_core.model.layout import convert, recognise
from genesis_core.model.published_sources import LAYOUTS
from genesis_core.networks.registry import create_network

# In the files: a first convolution and norm, then two (three) convolutions a block, each with a norm of five tensors.
TENSORS = {10: 72, 18: 102, 34: 198, 50: 318}


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_every_stage_of_the_encoder_gives_what_the_published_network_gives(tmp_path: Path, depth: int) -> None:
    tensors = medicalnet(depth, width=4)
    imported = import_weights(write(tmp_path / "r.pth", as_saved(tensors)), tmp_path / "model")
    network, report = imported.model.network.double(), imported.report
    assert report.source == f"MedicalNet 3D ResNet-{depth} (Chen et al. 2019)"
    assert (report.prefix, report.published_tensors, len(report.matched)) == (
        "module.",
        (TENSORS[depth],) * 2,
        len(tensors),
    )
    assert report.missing == report.unexpected == report.mis_shaped == report.not_needed == []
    x = image(24, 16, 32, batch=2)
    # Scans come in [0, 1], five deviations below and above their mean.
    expected = medicalnet_features(double(tensors), depth, 10 * x - 5)
    with torch.no_grad():
        bottleneck, skips = network.encode(x)
        assert torch.equal(network.forward_features(x), bottleneck)
        assert network(x).shape == (2, 1, 24, 16, 32)
    for found, wanted in zip([*skips, bottleneck], expected, strict=True):
        assert found.shape == wanted.shape
        assert difference(found, wanted) < EXACT


def test_published_sizes_have_the_published_tensors() -> None:
    for depth, count in TENSORS.items():
        tensors = medicalnet(depth, make=Shapes())
        contents = recognise(tensors, LAYOUTS)
        settings = contents.layout.settings(contents.own())
        assert (settings.kind, settings.depth, settings.width) == ("resnet", depth, 64)
        with torch.device("meta"):
            expected = create_network(settings).state_dict()
        _, findings = convert(contents, settings, expected, drop_head=True)
        assert [item.status for item in findings] == ["matched"] * count
    # As others have counted in the real file, the counters of batches included.
    assert sum(tensor.numel() for tensor in medicalnet(10, make=Shapes()).values()) == 14_361_292


def test_a_decoder_for_other_data_is_dropped_and_counters_may_be_absent(tmp_path: Path) -> None:
    tensors = medicalnet(10, width=4, decoder=True)
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    report = import_weights(write(tmp_path / "r.pth", as_saved(kept)), tmp_path / "model").report
    assert report.published_tensors == (60, 60)
    assert len(report.not_needed) == 4 + 8
    assert report.unexpected == []


def test_the_card_says_that_the_encoder_alone_was_learnt_and_on_what(tmp_path: Path) -> None:
    path = write(tmp_path / "r.pth", as_saved(medicalnet(18, width=4)))
    card = import_weights(path, tmp_path / "model").model.card
    assert (card.task, card.learnt, card.network.kind, card.network.norm) == (
        "pretraining",
        "encoder",
        "resnet",
        "batch",
    )
    assert card.data["scans"].startswith("23 public")
    assert card.licence.startswith("MIT, (c) Tencent")
    assert card.preprocessing.intensity.kind == "zscore"
    assert any("decoder is ours" in note for note in card.notes)
    assert any("Published: mean and deviation of the voxels above 0" in note for note in card.notes)
    assert any("NOT the published file's" in note for note in card.notes), "its SHA-256 is known"


def test_a_shortcut_of_the_other_kind_is_another_architecture(tmp_path: Path) -> None:
    tensors = medicalnet(18, width=4)
    tensors["layer2.0.downsample.0.weight"] = torch.zeros(8, 4, 1, 1, 1)
    with pytest.raises(UnmatchedWeightsError, match=r"no place for \(module.*downsample|another architecture"):
        import_weights(write(tmp_path / "r.pth", as_saved(tensors)), tmp_path / "model")
    damaged = medicalnet(10, width=4)
    damaged["layer3.0.bn1.running_mean"] = torch.zeros(3)
    del damaged["layer4.0.bn2.running_var"]
    with pytest.raises(ModelError, match=r"1 missing.*1 mis-shaped"):
        import_weights(write(tmp_path / "d.pth", as_saved(damaged)), tmp_path / "model")


def test_list_names_licence_data_and_preprocessing_of_the_resnets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import-weights", "--list", "--json"]) == 0
    records = {record["name"]: record for record in map(json.loads, capsys.readouterr().out.splitlines())}
    one = records["medicalnet_resnet50"]
    assert one["file"] == "hf://TencentMedicalNet/MedicalNet-Resnet50/resnet_50_23dataset.pth"
    assert "MIT" in one["licence"]
    assert one["trained_on"].startswith("23 ")
    assert "56,448,448" in one["expects"]
    assert "deviations" in one["expects"]
    assert records["medicalnet_resnet10"]["sha256"].startswith("afa8055f")
    assert records["medicalnet_resnet101"]["trained_on"].startswith("8 ")
