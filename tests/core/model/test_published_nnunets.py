"""nnU-Net's and nnssl's checkpoints: read without their code, told by their tensors, the same numbers."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_layout import LARGE, PLAIN, SLICES, SMALL, Plan, as_saved, from_nnssl, nnunet, nnunet_logits, plans
from suprem_layout import Shapes
from test_published_models import EXACT, difference, double, write

from genesis_core.errors import ModelError
from genesis_core.model.checkpoint_file import read_checkpoint
from genesis_core.model.import_report import UnmatchedWeightsError
from genesis_core.model.import_weights import import_weights
from genesis_core.model.layout import convert, recognise
from genesis_core.model.pickled_numbers import NumberType, number
from genesis_core.model.published_sources import LAYOUTS
from genesis_core.networks.registry import create_network


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize(
    ("plan", "size", "configuration"),
    [(PLAIN, (4, 8, 12), "3d_fullres"), (SMALL, (16, 8, 8), "3d_fullres"), (SLICES, (8, 12), "2d")],
    ids=["plain", "residual", "slices"],
)
def test_the_network_gives_what_nnunets_gives_from_the_same_scan(
    tmp_path: Path, plan: Plan, size: tuple[int, ...], configuration: str
) -> None:
    tensors = nnunet(plan)
    imported = import_weights(write(tmp_path / "f.pth", as_saved(tensors, configuration)), tmp_path / "model")
    network, report = imported.model.network.double(), imported.report
    assert report.source == f"nnU-Net v2: Dataset003_Liver, {configuration}, nnUNetTrainer"
    assert report.missing == report.unexpected == report.mis_shaped == []
    assert len(report.matched) + len(report.not_needed) == len(tensors)
    assert report.head_matched
    hounsfield = noise(2, 1, *size) * 400 - 100
    # Published: clipped to two percentiles, then mean and deviation. Here: a window onto [0, 1], and the rest inside.
    published = (hounsfield.clamp(-18, 201) - 98.5) / 42.25
    intensity = imported.model.card.preprocessing.intensity
    assert (intensity.low, intensity.high) == (-18, 201)
    unit = ((hounsfield + 18) / 219).clamp(0, 1)
    with torch.no_grad():
        assert difference(network(unit), nnunet_logits(double(tensors), plan, published)) < EXACT


def test_the_card_has_what_the_plans_say(tmp_path: Path) -> None:
    path = write(tmp_path / "f.pth", as_saved(nnunet(PLAIN), "3d_small"))
    card = import_weights(path, tmp_path / "model").model.card
    assert (card.task, card.activation, card.patch_size) == ("segmentation", "softmax", (32, 64, 64))
    assert card.preprocessing.spacing == (0.8, 0.75, 5.0), "x, y, z"
    assert [(entry.name, entry.value) for entry in card.structures] == [("liver", 1), ("tumour", 2)]
    assert card.channels == ("CT",)
    assert card.licence.startswith("not known")
    settings = card.network
    assert (settings.level_strides[1], settings.level_kernels[0]) == ((1, 2, 2), (1, 3, 3))
    assert (settings.filters, settings.blocks, settings.decoder_blocks) == ((4, 8, 8), (2, 2, 2), (2, 2))
    assert settings.residual is False


def test_plans_beside_the_checkpoint_serve_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres" / "fold_0"
    folder.mkdir(parents=True)
    (folder.parent / "plans.json").write_text(json.dumps(plans("ZScoreNormalization")))
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    (folder.parent / "dataset.json").write_text(
        json.dumps({"labels": labels, "regions_class_order": [1, 2], "channel_names": {"0": "T1"}})
    )
    plan = PLAIN._replace(classes=2)
    path = write(folder / "checkpoint_final.pth", {"network_weights": nnunet(plan)})
    card = import_weights(path, tmp_path / "model").model.card
    assert (card.activation, [entry.name for entry in card.structures]) == ("sigmoid", ["whole", "core"])
    assert (card.preprocessing.modality, card.preprocessing.intensity.limit) == ("mr", 5)
    assert (card.network.input_scale, card.network.input_shift) == (10, -5)
    (folder.parent / "plans.json").write_text("[1")
    with pytest.raises(ModelError, match=r"plans\.json: cannot be read"):
        import_weights(path, tmp_path / "other")
    alone = import_weights(write(tmp_path / "alone.pth", {"network_weights": nnunet(plan)}), tmp_path / "alone")
    assert (alone.model.card.preprocessing, alone.model.card.task) == (None, "pretraining")


KNOWN = "dynamic_network_architectures.architectures.unet.PlainConvUNet"


def with_architecture(name: str, **arguments: object) -> dict[str, object]:
    """Plans that name the network, as those of newer versions do."""
    given = {
        "n_stages": 3,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
        **arguments,
    }
    found = plans()
    found["configurations"]["3d_fullres"]["architecture"] = {"network_class_name": name, "arch_kwargs": given}
    return found


def test_plans_that_name_a_network_we_have_are_followed(tmp_path: Path) -> None:
    content = as_saved(nnunet(PLAIN), plans=with_architecture(KNOWN))
    assert import_weights(write(tmp_path / "f.pth", content), tmp_path / "model").report.head_matched


def test_plans_that_cannot_be_followed_are_refused(tmp_path: Path) -> None:
    for number_, (more, said) in enumerate(
        [
            ({"plans": {**plans(), "transpose_forward": [1, 0, 2]}}, "turn the axes"),
            ({"configuration": "3d_cascade_fullres"}, "second stage of a cascade"),
            ({"plans": with_architecture("x.architectures.primus.Primus")}, "ask for x.architectures.primus.Primus,"),
            ({"plans": with_architecture(KNOWN, nonlin_first=True)}, "ask for nonlin_first"),
            ({"plans": with_architecture(KNOWN, nonlin="torch.nn.ReLU")}, "ask for nonlin torch.nn.ReLU"),
            ({"configuration": "3d_absent"}, "configuration '3d_absent'"),
            ({"plans": {"configurations": {"3d_fullres": {"patch_size": "wide"}}}}, "cannot be read"),
        ]
    ):
        content = as_saved(nnunet(PLAIN), **{"configuration": "3d_fullres", **more})
        path = write(tmp_path / f"{number_}.pth", content)
        with pytest.raises(ModelError, match=said):
            import_weights(path, tmp_path / "model")


def test_openminds_residual_encoder_l_at_its_size_is_known_with_and_without_a_decoder(tmp_path: Path) -> None:
    for decoder in (True, False):
        tensors = nnunet(LARGE, make=Shapes(), decoder=decoder)
        contents = recognise(tensors, LAYOUTS)
        settings = contents.layout.settings(contents.own())
        assert contents.parts == ("encoder+decoder" if decoder else "encoder")
        assert settings.model_copy(update={"out_channels": 1}) == type(settings)(), "the defaults are that network"
        with torch.device("meta"):
            network = create_network(settings)
        _, findings = convert(contents, settings, network.state_dict(), drop_head=True)
        statuses = {item.status for item in findings}
        assert statuses == ({"matched", "missing", "not needed"} if decoder else {"matched", "not needed"})
        assert [item.ours for item in findings if item.status == "missing"] == (
            ["head.weight", "head.bias"] if decoder else []
        )
        # As others have counted in a real file: 448 tensors whose names begin with the encoder's, of 956.
        assert sum(name.startswith("encoder.") for name in tensors) == 448
        if decoder:
            assert len(tensors) == 956
            assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(102.35e6, rel=1e-3)
    path = write(tmp_path / "n.pth", from_nnssl(nnunet(SMALL, decoder=False)))
    imported = import_weights(path, tmp_path / "model")
    assert imported.report.source.startswith("ResEnc-L pre-trained with nnssl")
    card = imported.model.card
    assert (card.learnt, card.task, card.network.input_scale) == ("encoder", "pretraining", 10)
    assert card.licence.startswith("CC BY 4.0")
    bottleneck_only = imported.model.network.forward_features(noise(1, 1, 16, 8, 8).float())
    assert torch.isfinite(bottleneck_only).all()


def test_parts_that_would_compute_something_else_are_refused(tmp_path: Path) -> None:
    tensors = nnunet(SMALL)
    tensors["encoder.stages.1.blocks.0.squeeze_excitation.fc1.weight"] = torch.zeros(2, 8, 1, 1, 1)
    with pytest.raises(UnmatchedWeightsError, match="another architecture"):
        import_weights(write(tmp_path / "f.pth", as_saved(tensors)), tmp_path / "model")
    uneven = nnunet(SMALL._replace(channels=(4, 6, 10, 10)))
    with pytest.raises(UnmatchedWeightsError, match="mis-shaped"):
        import_weights(write(tmp_path / "u.pth", as_saved(uneven)), tmp_path / "model")


def test_numbers_of_numpy_are_read_as_numbers_and_nothing_else_of_it_is(tmp_path: Path) -> None:
    values = {"a": np.float64(1.5), "b": np.int64(-7), "c": np.float32(0.25), "d": np.bool_(True), "e": np.uint8(9)}
    path = write(tmp_path / "f.pth", {"network_weights": {"x": torch.zeros(1)}, "logging": values})
    told = read_checkpoint(path).told["logging"]
    assert told == {"a": 1.5, "b": -7, "c": 0.25, "d": True, "e": 9}
    assert not any(type(value).__module__.startswith("numpy") for value in told.values())
    for name, bad in [("array", np.zeros(3)), ("text", np.str_("x")), ("complex", np.complex128(1))]:
        path = write(tmp_path / f"{name}.pth", {"network_weights": {"x": torch.zeros(1)}, "logging": bad})
        with pytest.raises(ModelError, match=r"refused, because reading it would run code"):
            read_checkpoint(path)
    kind = NumberType("f8")
    for wrong in (lambda: NumberType("O8"), lambda: number(kind, b"short"), lambda: number(kind, "12345678")):
        with pytest.raises(pickle.UnpicklingError, match=r"Unsupported|damaged"):
            wrong()
    with pytest.raises(pickle.UnpicklingError, match="order"):
        kind.__setstate__((3, "?"))
