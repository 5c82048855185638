"""Schemes of initial weights are about convolutions; a transformer's linear layers keep their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genesis_core.networks import SwinUNETRSettings, create_network
from genesis_core.networks.initialisation import initialise

SETTINGS = SwinUNETRSettings(width=12, window=3, depths=(1, 1, 1, 1))


def weights(network: nn.Module, kind: type[nn.Module]) -> list[torch.Tensor]:
    return [module.weight.detach().clone() for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("scheme", ["msra", "xavier", "uniform"])
def test_linear_layers_of_a_transformer_stay_and_convolutions_are_drawn_anew(scheme: str) -> None:
    network, before = create_network(SETTINGS, seed=1), create_network(SETTINGS, seed=1)
    initialise(network, scheme, seed=3)
    # Four stages of four linear layers, and one that merges.
    assert len(weights(network, nn.Linear)) == 20
    assert all(map(torch.equal, weights(network, nn.Linear), weights(before, nn.Linear)))
    assert all(map(torch.equal, weights(network, nn.LayerNorm), weights(before, nn.LayerNorm)))
    drawn = weights(network, nn.Conv3d)
    assert not any(map(torch.equal, drawn, weights(before, nn.Conv3d)))
    if scheme == "msra":
        widest = max(drawn, key=torch.numel)
        fan_in = widest[0].numel()
        assert float(widest.std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
