"""Published checkpoints and other backbones in use: as a source of a fine-tuning, in a plan, pre-trained anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from medicalnet_layout import as_saved as medicalnet_file
from medicalnet_layout import medicalnet
from nnunet_layout import SMALL, nnunet
from nnunet_layout import as_saved as nnunet_file
from suprem_layout import nested, suprem_segresnet, suprem_unet

import genesis_core as gc
from genesis_core.errors import SettingsError
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import save_model
from genesis_core.model.import_weights import import_weights
from genesis_core.networks import (
    DynUNetSettings,
    NNUNetSettings,
    ResNetSettings,
    SegResNetSettings,
    SwinUNETRSettings,
    UNet3DSettings,
    create_network,
)
from genesis_core.phantom.labels import LABELS
from genesis_core.phantom.thorax import make_phantom
from genesis_core.training.finetune_plan import Given, Machine, make_plan, step_memory
from genesis_core.training.set_facts import SetFacts, StructureFacts
from genesis_core.volumes.intensity import ZScoreIntensity
from genesis_core.volumes.label_volume import LabelVolume, Structure
from genesis_core.volumes.label_writing import write_labels
from genesis_core.volumes.writing import write_volume

QUICK = {
    "training": {"batch_size": 1, "precision": "float32", "threads": 1},
    "validation_samples": 1,
    "sampling": {"patch_size": [16, 24, 24]},
    "data": {"spacing": "as scanned"},
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for number in range(2):
        phantom = make_phantom(number, (28, 40, 40))
        lung = (phantom.labels.array == LABELS["lung_right"]).astype(np.uint8)
        write_volume(phantom.volume, folder / "images" / f"{number}.nii.gz")
        labels = LabelVolume((lung,), phantom.labels.geometry, (Structure("lung", 1),))
        write_labels(labels, folder / "labels" / f"{number}.nii.gz")
    return folder


@pytest.mark.parametrize(
    ("tensors", "keep_head", "taken", "kind"),
    [(suprem_unet(width=8), True, 62, "unet3d"), (suprem_segresnet(width=8), False, 81, "segresnet")],
    ids=["unet", "segresnet"],
)
def test_a_published_checkpoint_starts_a_fine_tuning_with_its_preprocessing(
    labelled: Path, tmp_path: Path, tensors: dict[str, torch.Tensor], keep_head: bool, taken: int, kind: str
) -> None:
    torch.save(nested(tensors), tmp_path / "file.pth")
    source = import_weights(tmp_path / "file.pth", tmp_path / "source", keep_head=keep_head).model
    heard: list[dict[str, Any]] = []
    out = tmp_path / "run"
    gc.finetune(labelled, out, source=tmp_path / "source", settings=QUICK, max_steps=1, folds=1, report=heard.append)
    transfer = next(event for event in heard if event["event"] == "transfer")
    assert f"{taken} tensors start from" in transfer["message"]
    assert "(encoder+decoder)" in transfer["message"]
    card = gc.load_model(out).card
    assert (card.network.kind, card.network.width, card.network.pad) == (kind, 8, True)
    assert getattr(card.network, "head", "convolution") == "convolution", "its head is for its own classes"
    assert card.preprocessing.axis_codes == "RAS"
    assert card.preprocessing.intensity == source.card.preprocessing.intensity
    assert "patents pending" in card.source_licence
    reasons = yaml.safe_load((out / "run.yaml").read_text())["plan"]
    assert "the source's" in reasons["network.width"]
    assert ("network.norm" in reasons) is (kind == "unet3d")
    assert gc.finetune(out=out, resume=True).status().state == "finished", "its run.yaml reads back"


@pytest.mark.parametrize(
    ("content", "kind", "asked"),
    [
        (medicalnet_file(medicalnet(10, width=4)), "resnet", "encoder+decoder"),
        (nnunet_file(nnunet(SMALL)), "nnunet", "encoder"),
    ],
    ids=["medicalnet", "nnunet"],
)
def test_an_encoder_of_medicalnet_or_a_network_of_nnunet_starts_a_fine_tuning(
    labelled: Path, tmp_path: Path, content: dict[str, Any], kind: str, asked: str
) -> None:
    torch.save(content, tmp_path / "file.pth")
    source = import_weights(tmp_path / "file.pth", tmp_path / "source").model.card
    out = tmp_path / "run"
    settings = {**QUICK, "transfer": asked, "freezing": {"freeze": "encoder"}}
    heard: list[dict[str, Any]] = []
    gc.finetune(labelled, out, source=tmp_path / "source", settings=settings, max_steps=1, folds=1, report=heard.append)
    model = gc.load_model(out)
    assert (model.card.network.kind, model.card.network.width, model.card.network.pad) == (kind, 4, True)
    assert model.card.network.input_scale == source.network.input_scale
    if kind == "resnet":
        assert model.card.preprocessing.modality == "ct"
        assert model.card.preprocessing.intensity == ZScoreIntensity(limit=5), "what its input_scale is for"
        assert not any("trained on MR" in event.get("message", "") for event in heard), "it has learnt on CT and MR"
        (transfer,) = (event["message"] for event in heard if event["event"] == "transfer")
        assert "(encoder)" in transfer, "its decoder was started at random by us"
        assert "encoder alone" in transfer
    learnt = gc.load_model(tmp_path / "source").network.state_dict()
    weights = {name: tensor for name, tensor in model.network.state_dict().items() if name.startswith("encoder.")}
    kernels = [name for name in weights if name.endswith("convolution.weight") or ".convolutions." in name]
    assert kernels
    assert all(torch.equal(weights[name], learnt[name]) for name in kernels), "frozen, so they are still the file's"


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"kind": "segresnet"}, r"network\.kind = segresnet.*source.*unet3d"),
        ({"depth": 4}, r"network\.depth = 4.*depth: 3"),
        ({"width": 16, "norm": "instance"}, r"network\.width = 16.*width: 2"),
    ],
    ids=["kind", "depth", "width"],
)
def test_another_network_than_the_sources_is_refused_and_not_replaced_in_silence(
    labelled: Path, tmp_path: Path, network: dict[str, Any], said: str
) -> None:
    own = UNet3DSettings(width=2, depth=3, norm="instance")
    card = ModelCard(
        name="source", task="restoration", network=own, activation="sigmoid", patch_size=(16, 24, 24), schema=1
    )
    save_model(tmp_path / "source", create_network(own, seed=1), card)
    settings = {**QUICK, "network": network}
    with pytest.raises(SettingsError, match=said):
        gc.finetune(labelled, tmp_path / "run", source=tmp_path / "source", settings=settings, max_steps=1, folds=1)
    assert not (tmp_path / "run").exists()


def test_another_backbone_is_pre_trained_and_restores(labelled: Path, tmp_path: Path) -> None:
    settings = {
        "network": {"kind": "segresnet", "width": 8, "blocks_down": [1, 1], "blocks_up": [1]},
        "training": {"precision": "float32", "threads": 1, "batch_size": 1},
        "validation_samples": 1,
    }
    run = tmp_path / "run"
    gc.pretrain(labelled / "images", run, settings=settings, max_steps=1, patch_size=(16, 24, 24))
    model = gc.load_model(run)
    assert model.card.network == SegResNetSettings(width=8, blocks_down=(1, 1), blocks_up=(1,))
    scan = gc.read_volume(labelled / "images" / "0.nii.gz")
    assert gc.restore(model, scan, overlap=0).restored.shape == scan.shape


FACTS = SetFacts(
    "ct",
    ((200, 200, 200),) * 30,
    ((1.5, 1.5, 1.5),) * 30,
    30,
    (StructureFacts("liver", 30, (200.0, 180.0, 160.0), 1500.0),),
)


@pytest.mark.parametrize(
    ("network", "multiple", "width"),
    [
        (SwinUNETRSettings(), 32, 48),
        (DynUNetSettings(depth=6), 32, 32),
        (SegResNetSettings(), 8, 16),
        (ResNetSettings(), 8, 64),
        (NNUNetSettings(), 32, 32),
    ],
)
@pytest.mark.parametrize("memory", [10**11, 10**9])
def test_a_plan_fits_the_backbone_it_is_for(network: Any, multiple: int, width: int, memory: int) -> None:
    plan = make_plan(FACTS, Machine("cpu", memory, 4), Given(), None, network)
    assert all(length % multiple == 0 for length in plan.patch)
    assert max(plan.patch) >= 2 * multiple, "two voxels at the bottom of the network, along one axis at least"
    assert plan.width == width
    assert network.kind in plan.reasons["network.width"]
    assert (plan.norm is None) == (not hasattr(network, "norm")) == ("network.norm" not in plan.reasons)
    assert plan.memory == step_memory(plan.patch, plan.batch_size, width, 4, network)
