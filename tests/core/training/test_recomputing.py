"""Activation checkpointing: for every backbone the same gradients, statistics and names, from fewer kept numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genesis_core.networks import NetworkSettings, create_network
from genesis_core.networks.registry import BACKBONES
from genesis_core.training.recomputing import recompute_activations, stages

# What makes the networks small; others of the registry are swept as they come.
SMALL: dict[str, dict[str, Any]] = {
    "unet3d": {"width": 4, "depth": 3, "norm": "batch"},
    "segresnet": {"width": 8, "blocks_down": (1, 1, 2), "blocks_up": (1, 1)},
    "swin_unetr": {"width": 12, "window": 3},
    "dynunet": {"width": 4, "depth": 3, "norm": "batch"},
    "resnet": {"width": 4},
    "nnunet": {
        "width": 4,
        "level_strides": ((1, 1, 1), (2, 2, 2), (1, 2, 2)),
        "level_kernels": ((3, 3, 3),) * 3,
        "blocks": (1, 1, 1),
        "decoder_blocks": (1, 1),
        "norm": "batch",
    },
}
EVERY = {kind: backbone.settings(**SMALL.get(kind, {})) for kind, backbone in BACKBONES.items()}
every = pytest.mark.parametrize("settings", EVERY.values(), ids=EVERY.keys())


def gradients(network: nn.Module, x: Tensor, *, bfloat16: bool = False) -> tuple[Tensor, list[Tensor | None]]:
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        y = network(x)
    y.float().square().mean().backward()
    return y.detach(), [parameter.grad for parameter in network.parameters()]


def sized(network: nn.Module, batch: int = 2) -> Tensor:
    size = [2 * network.strides[0], *network.strides[1:]]
    return torch.rand((batch, 1, *size), generator=torch.Generator().manual_seed(0))


@every
def test_gradients_statistics_and_names_are_those_without(settings: NetworkSettings) -> None:
    plain = create_network(settings, seed=1).train()
    network = copy.deepcopy(plain)
    recompute_activations(network)
    x = sized(plain)
    (y, expected), (again, found) = gradients(plain, x), gradients(network, x)
    assert torch.equal(y, again)
    for one, other in zip(expected, found, strict=True):
        assert one is not None
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    # Running statistics, and the count of batches: a batch counts once, though it passes twice.
    assert list(plain.state_dict()) == list(network.state_dict())
    for name, value in plain.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


@every
def test_every_level_is_passed_twice_and_in_evaluation_once(
    settings: NetworkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = create_network(settings, seed=1)
    found = stages(network)
    calls = dict.fromkeys(range(len(found)), 0)
    # Below what the checkpoint wraps: a part that every pass through a level goes through.
    for number, stage in enumerate(found):
        first = next((part for part in stage.modules() if not list(part.children())), stage)
        first.register_forward_pre_hook(lambda *_, number=number: calls.update({number: calls[number] + 1}))
    with torch.no_grad():
        network(sized(network))
    once = dict(calls)
    assert min(once.values()) >= 1
    recompute_activations(network)
    gradients(network.train(), sized(network))
    assert calls == {number: 3 * count for number, count in once.items()}
    with torch.no_grad():
        network.eval()(sized(network))
    assert calls == {number: 4 * count for number, count in once.items()}


def test_autocast_holds_when_activations_are_computed_anew() -> None:
    plain = create_network(EVERY["unet3d"], seed=1).train()
    network = copy.deepcopy(plain)
    recompute_activations(network)
    x = torch.rand(2, 1, 16, 16, 16)
    _, expected = gradients(plain, x, bfloat16=True)
    _, found = gradients(network, x, bfloat16=True)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)


def test_a_copy_recomputes_with_weights_of_its_own() -> None:
    network = create_network(EVERY["unet3d"], seed=1).train()
    recompute_activations(network)
    twin = copy.deepcopy(network)
    before = gradients(network, sized(network))[0]
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not torch.equal(gradients(twin, sized(network))[0], before)
    assert all(parameter.grad is not None for parameter in twin.parameters())
    assert torch.equal(network.eval()(sized(network)), network(sized(network)))


def test_fewer_numbers_are_kept_for_the_backward_pass() -> None:
    def kept(network: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Any:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = network(torch.rand(1, 1, 32, 32, 32))
        del y
        return sum(sizes.values())

    plain = create_network(EVERY["unet3d"], seed=1).train()
    network = copy.deepcopy(plain)
    recompute_activations(network)
    assert kept(network) < kept(plain) / 2


def test_a_network_without_levels_recomputes_its_children() -> None:
    plain = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.ReLU(), nn.Conv3d(2, 1, 1))
    network = copy.deepcopy(plain)
    recompute_activations(network)
    assert stages(network) == list(network)
    x = torch.rand(2, 1, 4, 4, 4)
    for one, other in zip(gradients(plain, x)[1], gradients(network, x)[1], strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    assert torch.equal(plain[1].running_var, network[1].running_var)  # type: ignore[arg-type]
