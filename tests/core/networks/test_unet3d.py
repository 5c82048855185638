"""The U-Net: its size, the sizes it takes, its norms, and what must never change while it computes."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import genesis_core
from genesis_core.errors import NetworkError
from genesis_core.networks import UNet3D, UNet3DSettings, create_network

NORMS = ["batch_statistics", "batch", "instance"]


def tiny(**changes: object) -> UNet3D:
    network = create_network(UNet3DSettings(**{"width": 4, **changes}), seed=1)
    assert isinstance(network, UNet3D)
    return network


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_published_network_has_19073665_parameters_of_which_7027776_are_the_encoders() -> None:
    network = genesis_core.networks.UNet3D(in_channels=1, out_channels=1, width=32, norm="batch_statistics")
    state = network.state_dict()
    assert count(network) == 19_073_665
    assert sum(state[key].numel() for key in network.encoder_keys()) == 7_027_776
    assert len(state) == 64, "nothing but parameters: batch statistics are not remembered"
    assert network.feature_channels == 512
    assert network.divisor == 8


def test_32_outputs_change_the_head_alone() -> None:
    assert count(UNet3D(out_channels=32)) == 19_075_680


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_output_has_the_inputs_size_and_every_parameter_learns(norm: str, dims: int, depth: int) -> None:
    network = tiny(norm=norm, dims=dims, depth=depth, in_channels=2, out_channels=3)
    x = torch.rand(2, 2, *(16, 32, 24)[:dims])
    y = network(x)
    assert y.shape == (2, 3, *(16, 32, 24)[:dims])
    y.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    touched = [name for name, p in network.named_parameters() if p.grad.abs().max() > 0]
    # A bias straight before a normalisation by the batch's own mean has no effect, so its gradient is rounding only.
    assert {name for name, _ in network.named_parameters() if "convolution.bias" not in name} <= set(touched)


def test_the_encoder_alone_gives_the_bottleneck_the_whole_network_uses() -> None:
    network = tiny()
    x = torch.rand(2, 1, 16, 32, 24)
    bottleneck, skips = network.encode(x)
    assert bottleneck.shape == (2, 64, 2, 4, 3)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(8, 16, 32, 24), (16, 8, 16, 12), (32, 4, 8, 6)]
    assert torch.equal(network.forward_features(x), bottleneck)


def test_forward_features_needs_no_decoder() -> None:
    network = tiny()
    del network.decoder, network.head
    assert network.forward_features(torch.rand(1, 1, 16, 16, 16)).shape == (1, 64, 2, 2, 2)


@pytest.mark.parametrize("norm", NORMS)
def test_evaluation_changes_nothing_but_where_the_norm_says_so(norm: str) -> None:
    network = tiny(norm=norm)
    x = torch.rand(2, 1, 16, 16, 16)
    before = copy.deepcopy(network.state_dict())
    training = network(x)
    network.load_state_dict(before)
    evaluation = network.eval()(x)
    assert torch.equal(training, evaluation) is (norm != "batch")
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "evaluation must leave no trace"


def test_batch_statistics_look_at_batch_mates_and_instance_does_not() -> None:
    x = torch.rand(2, 1, 16, 16, 16)
    published, instance = tiny().eval(), tiny(norm="instance").eval()
    assert (published(x)[:1] - published(x[:1])).abs().max() > 1e-3
    torch.testing.assert_close(instance(x)[:1], instance(x[:1]))


def test_with_a_batch_of_one_batch_statistics_are_instance_normalisation() -> None:
    published, instance = tiny(), tiny(norm="instance")
    instance.load_state_dict(published.state_dict())
    x = torch.rand(1, 1, 16, 16, 16)
    torch.testing.assert_close(published(x), instance(x))


def test_instance_norm_equals_torchs_own() -> None:
    layer = tiny(norm="instance").encoder[1].convolutions[0].norm
    x = torch.randn(3, 8, 5, 6, 7)
    torch.testing.assert_close(layer(x), functional.instance_norm(x, eps=1e-5), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_bfloat16_autocast_and_channels_last_give_the_same_numbers_within_their_precision(norm: str) -> None:
    network = tiny(norm=norm, width=8)
    x = torch.rand(2, 1, 16, 32, 32)
    plain = network(x)
    last = copy.deepcopy(network).to(memory_format=network.channels_last)
    torch.testing.assert_close(last(x.contiguous(memory_format=network.channels_last)), plain, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        low = last(x.contiguous(memory_format=network.channels_last))
    # bfloat16 keeps 8 bits; over 15 layers a tenth of the output's spread is generous and still finds a wrong norm.
    assert (low.float() - plain).abs().max() < 0.15 * plain.std()
    low.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in last.parameters())


@pytest.mark.parametrize("norm", NORMS)
def test_statistics_in_bfloat16_stay_right_for_large_volumes_far_from_zero(norm: str) -> None:
    layer = tiny(norm=norm).encoder[1].convolutions[0].norm
    x = (torch.randn(2, 8, 32, 64, 64) + 20).bfloat16()
    y = layer(x.contiguous(memory_format=torch.channels_last_3d)).float()
    assert y.mean((0, 2, 3, 4)).abs().max() < 0.02
    assert (y.std((0, 2, 3, 4)) - 1).abs().max() < 0.02


@pytest.mark.parametrize("size", [(20, 20, 20), (36, 64, 64), (16, 16, 12)])
def test_a_size_that_cannot_be_halved_is_refused_and_the_next_good_size_named(size: tuple[int, ...]) -> None:
    fitting = "x".join(str(-(-length // 8) * 8) for length in size)
    with pytest.raises(NetworkError, match=f"multiple of 8. Use {fitting}"):
        tiny()(torch.rand(1, 1, *size))


def test_a_bottleneck_of_one_voxel_is_refused_only_where_it_cannot_be_normalised() -> None:
    one = torch.rand(1, 1, 8, 8, 8)
    for network in (tiny(), tiny(norm="instance"), tiny(norm="batch")):
        with pytest.raises(NetworkError, match="one voxel"):
            network(one)
        with pytest.raises(NetworkError, match="one voxel"):
            network.forward_features(one)
    assert tiny(norm="batch").eval()(one).shape == one.shape
    assert tiny()(torch.rand(2, 1, 8, 8, 8)).shape == (2, 1, 8, 8, 8)
    with pytest.raises(NetworkError, match="one voxel"):
        tiny(norm="instance")(torch.rand(2, 1, 8, 8, 8))


@pytest.mark.parametrize(
    "shape", [(1, 2, 16, 16, 16), (1, 16, 16, 16), (1, 1, 16, 16), (0, 1, 16, 16, 16), (1, 1, 0, 8, 8)]
)
def test_wrong_axes_channels_or_emptiness_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(NetworkError, match=r"channel|empty"):
        tiny()(torch.zeros(shape))


@settings(deadline=None, max_examples=25)
@given(size=st.tuples(*[st.integers(1, 40)] * 3), norm=st.sampled_from(NORMS))
def test_padded_networks_take_any_size_and_return_it(size: tuple[int, int, int], norm: str) -> None:
    network = tiny(pad=True, norm=norm, width=2)
    x = torch.rand(2, 1, *size)
    if norm == "instance" and max(size) <= 8:
        with pytest.raises(NetworkError, match="one voxel"):
            network(x)
    else:
        assert network(x).shape == x.shape


def test_padding_repeats_the_last_voxels_at_the_far_end_and_crops_the_same() -> None:
    x = torch.rand(1, 1, 15, 16, 17)
    by_hand = functional.pad(x, (0, 7, 0, 0, 0, 1), mode="replicate")
    assert torch.equal(tiny(pad=True)(x), tiny()(by_hand)[:, :, :15, :16, :17])
    assert torch.equal(tiny(pad=True)(by_hand), tiny()(by_hand)), "sizes that fit are not touched"


def test_the_input_is_never_changed() -> None:
    x = torch.rand(2, 1, 16, 16, 16)
    kept = x.clone()
    tiny()(x).sum().backward()
    assert torch.equal(x, kept)


def test_no_intermediate_outlives_a_forward_pass() -> None:
    network = tiny()
    intermediates: list[weakref.ref[torch.Tensor]] = []
    for part in (*network.encoder, *network.decoder):
        part.register_forward_hook(lambda _part, _inputs, output: intermediates.append(weakref.ref(output)))
    result = network(torch.rand(1, 1, 16, 16, 16))
    assert len(intermediates) == 7
    del result
    gc.collect()
    assert all(intermediate() is None for intermediate in intermediates)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"depth": 1}, {"norm": "group"}, {"dims": 4}, {"in_channels": 0}])
def test_settings_out_of_bounds_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(NetworkError, match=next(iter(wrong))):
        UNet3D(**wrong)


@pytest.mark.parametrize("size", [(8, 16, 16), (16, 32, 32), (32, 32, 32)])
def test_gradients_in_bfloat16_are_the_same_at_every_call_whatever_the_memory_held(size: tuple[int, int, int]) -> None:
    """With two slices on a level torch's own kernel reads memory it never wrote; the network must not use it there."""
    network = create_network(UNet3DSettings(width=4, depth=3, norm="instance"), seed=0)
    x = torch.rand((2, 1, *size), generator=torch.Generator().manual_seed(1))
    seen = set()
    for _ in range(6):
        poison = [torch.full((1 << bits,), float("nan")) for bits in range(6, 20)]
        del poison
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(x).float().square().mean()
        loss.backward()
        seen.add(b"".join(parameter.grad.contiguous().numpy().tobytes() for parameter in network.parameters()))
    assert len(seen) == 1
