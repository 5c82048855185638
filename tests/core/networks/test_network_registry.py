"""Settings without torch, seeded weights, and a toy backbone that needs one line."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Literal

import pytest
import torch
from torch import nn

from genesis_core.errors import NetworkError
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import load_model, save_model
from genesis_core.networks import NetworkSettings, UNet3D, UNet3DSettings, create_network
from genesis_core.networks.registry import BACKBONES, Backbone


def test_settings_and_registry_load_no_torch() -> None:
    code = (
        "import sys, genesis_core.networks, genesis_core.networks.settings, genesis_core.networks.registry as r;"
        "r.network_settings({'kind': 'unet3d'});"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba', 'SimpleITK')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    settings = UNet3DSettings(width=4)
    first, again, other = (create_network(settings, seed=seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_seeded_weights_neither_read_nor_change_torchs_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    weights = create_network(UNet3DSettings(width=4), seed=7).state_dict()["head.weight"]
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(create_network(UNet3DSettings(width=4), seed=7).state_dict()["head.weight"], weights)


def test_initial_weights_are_spread_as_torchs_default_spreads_them() -> None:
    weight = create_network(UNet3DSettings(width=16), seed=0).state_dict()[
        "encoder.2.convolutions.0.convolution.weight"
    ]
    bound = 1 / (64 * 27) ** 0.5
    assert weight.abs().max() <= bound
    assert abs(weight.std().item() / (bound / 3**0.5) - 1) < 0.02


def test_settings_and_module_agree() -> None:
    settings = UNet3DSettings(width=4, depth=3, norm="instance", in_channels=2, out_channels=5, dims=2, pad=True)
    network = create_network(settings)
    assert isinstance(network, UNet3D)
    assert network.settings == settings


class ToySettings(NetworkSettings):
    kind: Literal["toy"] = "toy"
    size: int = 1


class Toy(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, dims: int, size: int) -> None:
        super().__init__()
        self.only = nn.Conv3d(in_channels, out_channels, size, padding=size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.only(x)


def test_a_toy_backbone_needs_one_line_to_be_built_saved_and_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    module = types.ModuleType("toy_backbone")
    module.Toy = Toy
    monkeypatch.setitem(sys.modules, "toy_backbone", module)
    with pytest.raises(NetworkError, match="toy"):
        create_network(ToySettings())
    monkeypatch.setitem(BACKBONES, "toy", Backbone(ToySettings, "toy_backbone", "Toy"))
    network = create_network(ToySettings(size=3), seed=1)
    card = ModelCard(
        name="toy", task="restoration", network=ToySettings(size=3), activation="none", patch_size=(8, 8, 8)
    )
    save_model(f"{tmp_path}/toy", network, card)
    loaded = load_model(f"{tmp_path}/toy")
    assert loaded.card.network == ToySettings(size=3)
    x = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(loaded.network(x), network(x))
