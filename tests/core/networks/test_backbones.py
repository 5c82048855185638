"""Every backbone of the registry: what it computes, takes, refuses and stores; MONAI's are MONAI's exactly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genesis_core.errors import NetworkError
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import load_model, save_model
from genesis_core.networks import (
    DynUNetSettings,
    NetworkSettings,
    NNUNetSettings,
    ResNetSettings,
    SegResNetSettings,
    SwinUNETRSettings,
    UNet3DSettings,
    create_network,
)
from genesis_core.networks.registry import BACKBONES, network_settings, with_defaults
from genesis_core.networks.resnet_settings import BUILDS
from genesis_core.networks.swin_unetr import PatchMerging

# Small variants of every backbone; what is not here fails `test_every_backbone_is_swept`.
SMALL = {
    "unet3d": UNet3DSettings(width=4, depth=3, in_channels=2, out_channels=3),
    "segresnet": SegResNetSettings(width=8, blocks_down=(1, 1, 2), blocks_up=(1, 1), in_channels=2, out_channels=3),
    "swin_unetr": SwinUNETRSettings(width=12, in_channels=2, out_channels=3, window=3),
    "dynunet": DynUNetSettings(width=4, depth=3, in_channels=2, out_channels=3),
    "resnet": ResNetSettings(width=4, in_channels=2, out_channels=3),
    "nnunet": NNUNetSettings(
        width=4,
        largest=8,
        level_strides=((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)),
        level_kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        blocks=(1, 2, 1, 1),
        decoder_blocks=(1, 1, 2),
        in_channels=2,
        out_channels=3,
    ),
}
MORE = {
    "unet3d_2d": SMALL["unet3d"].model_copy(update={"dims": 2}),
    "segresnet_2d": SMALL["segresnet"].model_copy(update={"dims": 2}),
    "swin_unetr_2d": SMALL["swin_unetr"].model_copy(update={"dims": 2}),
    "swin_unetr_xyz": SMALL["swin_unetr"].model_copy(update={"axes": "xyz", "merging": "fixed"}),
    "dynunet_2d": SMALL["dynunet"].model_copy(update={"dims": 2}),
    "dynunet_flat": SMALL["dynunet"].model_copy(update={"flat_levels": 1}),
    "dynunet_residual": SMALL["dynunet"].model_copy(update={"residual": True, "norm": "batch"}),
    "resnet_2d": SMALL["resnet"].model_copy(update={"dims": 2, "depth": 18}),
    "nnunet_2d": SMALL["nnunet"].model_copy(update={"dims": 2}),
    "nnunet_plain": SMALL["nnunet"].model_copy(update={"residual": False, "norm": "batch"}),
    "resnet_50": SMALL["resnet"].model_copy(update={"depth": 50, "norm": "instance"}),
}
EVERY = {**SMALL, **MORE}
every = pytest.mark.parametrize("settings", EVERY.values(), ids=EVERY.keys())


def sized(network: nn.Module, batch: int = 1, channels: int = 2, seed: int = 0) -> Tensor:
    """An input of two bottleneck voxels along the first axis, one along the others: no two axes are alike."""
    size = [stride * times for stride, times in zip(network.strides, (2, 1, 1), strict=False)]
    return torch.rand((batch, channels, *size), generator=torch.Generator().manual_seed(seed))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_backbone_is_swept() -> None:
    assert {settings.kind for settings in SMALL.values()} == set(BACKBONES)


@every
def test_output_has_the_inputs_size_and_every_parameter_learns(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1)
    x = sized(network, batch=2)
    kept = x.clone()
    y = network(x)
    assert y.shape == (2, 3, *x.shape[2:])
    y.square().mean().backward()
    assert torch.equal(x, kept), "the input is never changed"
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@every
def test_features_are_the_bottleneck_the_decoder_starts_from(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1).eval()
    x = sized(network, batch=2)
    features = network.forward_features(x)
    reduced = tuple(length // stride for length, stride in zip(x.shape[2:], network.strides, strict=True))
    assert features.shape == (2, network.feature_channels, *reduced)
    bottleneck, skips = network.encode(x)
    assert torch.equal(features.flatten(2), bottleneck.flatten(2)), "one axis alone is longer than one"
    assert torch.equal(network.head(network.decode(bottleneck, skips)), network(x))
    del network.decoder, network.head
    assert torch.equal(network.forward_features(x), features), "classification needs no decoder"


@every
def test_saved_and_loaded_it_is_the_same_network_and_no_random_number_is_drawn(
    settings: NetworkSettings, tmp_path: Path
) -> None:
    network = create_network(settings, seed=1)
    card = ModelCard(name="x", task="restoration", network=settings, activation="none", patch_size=(8, 8, 8))
    save_model(tmp_path, network, card)
    state = torch.random.get_rng_state()
    loaded = load_model(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert loaded.card.network == settings
    x = sized(network)
    with torch.no_grad():
        assert torch.equal(loaded.network(x), network.eval()(x))


@every
def test_sizes_that_do_not_fit_are_refused_or_padded(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1)
    x = sized(network)
    odd = x[:, :, 1:, :-1]
    fitting = "x".join(str(length) for length in x.shape[2:])
    with pytest.raises(NetworkError, match=rf"multiple of .* Use {fitting}"):
        network(odd)
    padding = create_network(settings.model_copy(update={"pad": True}), seed=1)
    with torch.no_grad():
        # Read from the back, so that the far end is where x and the padded input differ.
        assert padding.eval()(odd).shape == (1, 3, *odd.shape[2:])
        assert torch.equal(padding(x), network.eval()(x)), "sizes that fit are not touched"
    for wrong in (x[:, :1], x[0], torch.zeros(0, *x.shape[1:])):
        with pytest.raises(NetworkError, match=r"channel|empty"):
            network(wrong)


@every
def test_padding_repeats_the_last_voxels_of_the_axis_it_is_of(settings: NetworkSettings) -> None:
    network = create_network(settings.model_copy(update={"pad": True}), seed=1).eval()
    x = sized(network)
    by_hand = torch.cat([x[:, :, :-1], x[:, :, -2:-1]], dim=2)
    with torch.no_grad():
        assert torch.equal(network(x[:, :, :-1]), network(by_hand)[:, :, :-1])


@every
def test_one_voxel_at_the_bottom_is_refused_where_it_cannot_be_normalised(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1)
    x = sized(network)[:, :, : network.strides[0]]
    if network.normalises_by in ("batch_statistics", "batch", "instance"):
        with pytest.raises(NetworkError, match="one voxel"):
            network(x)
    else:
        assert torch.isfinite(network(x)).all()


@every
def test_parameters_are_grouped_by_level(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1)
    assert all(re.match(r"((encoder|decoder)\.\d+|head)\.", key) for key in network.state_dict())
    assert network.encoder_keys() == [key for key in network.state_dict() if key.startswith("encoder.")]
    for part in ("encoder", "decoder"):
        numbers = [int(key.split(".")[1]) for key in network.state_dict() if key.startswith(part)]
        assert numbers == sorted(numbers), "levels are in the order of computation"
    tensors = [tensor.data_ptr() for tensor in network.state_dict().values() if tensor.numel()]
    assert len(set(tensors)) == len(tensors), "nothing is stored twice"


@every
def test_bfloat16_gives_the_same_gradients_at_every_call(settings: NetworkSettings) -> None:
    network = create_network(settings, seed=1)
    x = sized(network)
    seen = set()
    for _ in range(3):
        poison = [torch.full((1 << bits,), float("nan")) for bits in range(6, 20)]
        del poison
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            network(x).float().square().mean().backward()
        seen.add(b"".join(parameter.grad.contiguous().numpy().tobytes() for parameter in network.parameters()))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("settings", "parameters", "tensors", "features"),
    [
        (UNet3DSettings(), 19_073_665, 64, 512),
        (UNet3DSettings(out_channels=32), 19_075_680, 64, 512),
        (SegResNetSettings(out_channels=32), 4_701_424, 83, 128),
        (SwinUNETRSettings(out_channels=32), 62_188_178, 159, 768),
    ],
    ids=["unet3d_1", "unet3d_32", "segresnet_32", "swin_unetr_32"],
)
def test_published_sizes_have_the_papers_parameters(
    settings: NetworkSettings, parameters: int, tensors: int, features: int
) -> None:
    with torch.device("meta"):
        network = create_network(settings)
    assert (count(network), len(network.state_dict()), network.feature_channels) == (parameters, tensors, features)


@pytest.mark.parametrize("depth", sorted(BUILDS))
def test_the_resnets_have_the_millions_of_parameters_their_repository_lists(depth: int) -> None:
    """Its table counts the running averages as well."""
    with torch.device("meta"):
        encoder = create_network(ResNetSettings(depth=depth)).encoder
    counted = sum(tensor.numel() for tensor in encoder.state_dict().values() if tensor.ndim)
    assert round(counted / 1e6, 2) == pytest.approx(BUILDS[depth].parameters / 1e6)


def test_settings_that_contradict_themselves_are_named() -> None:
    for values, said in [
        ({"kind": "segresnet", "width": 12}, "multiple of 8"),
        ({"kind": "segresnet", "blocks_up": [1]}, "one level fewer"),
        ({"kind": "swin_unetr", "width": 40}, "multiple of 12"),
        ({"kind": "swin_unetr", "heads": [5, 6, 12, 24]}, "do not divide"),
        ({"kind": "dynunet", "flat_levels": 1, "dims": 2}, "only in 3D"),
        ({"kind": "nnunet", "blocks": [1, 2]}, "one entry a level"),
        ({"kind": "nnunet", "level_strides": [[2, 2, 2]] * 6}, "keeps the resolution"),
        ({"kind": "nnunet", "level_kernels": [[2, 2, 2]] * 6}, "odd numbers"),
        ({"kind": "resnet", "width": 7}, "even number"),
        ({"kind": "resnet", "depth": 20}, "10, 18, 34"),
        ({"kind": "dynunet", "depth": 3, "flat_levels": 3}, "fewer than depth"),
    ]:
        with pytest.raises(ValueError, match=said):
            network_settings(values)


def test_defaults_are_filled_in_only_where_the_kind_knows_them() -> None:
    defaults = UNet3DSettings(norm="batch")
    assert with_defaults({"width": 8}, defaults, "norm") == {"kind": "unet3d", "norm": "batch", "width": 8}
    assert with_defaults({"kind": "segresnet"}, defaults, "norm") == {"kind": "segresnet"}
    assert with_defaults({"kind": "dynunet"}, defaults, "norm") == {"kind": "dynunet", "norm": "batch"}
    assert with_defaults(defaults, UNet3DSettings(), "norm") is defaults


def _of_monai(ours: nn.Module, theirs: nn.Module, rules: list[tuple[str, str]]) -> None:
    """Give MONAI's network our weights, by rules that rename its parameters to ours."""
    own, wanted = ours.state_dict(), theirs.state_dict()
    for key in wanted:
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        wanted[key] = own[name]
    theirs.load_state_dict(wanted)


@pytest.mark.parametrize("dims", [2, 3])
def test_segresnet_equals_monais_exactly(dims: int) -> None:
    from monai.networks.nets.segresnet import SegResNet

    settings = SegResNetSettings(width=8, blocks_down=(1, 2, 1), blocks_up=(1, 2), out_channels=4, dims=dims)
    ours = create_network(settings, seed=3)
    theirs = SegResNet(dims, 8, 1, 4, blocks_down=(1, 2, 1), blocks_up=(1, 2))
    rules = [
        (r"^convInit", "encoder.0.convolution"),
        (r"^down_layers\.0", "encoder.0.blocks"),
        (r"^down_layers", "encoder"),
        (r"^up_samples\.(\d)", r"decoder.\1.up"),
        (r"^up_layers\.(\d)", r"decoder.\1.blocks"),
        (r"^conv_final\.0", "decoder.2.0"),
        (r"^conv_final\.2", "head"),
    ]
    _of_monai(ours, theirs, rules)
    x = sized(ours, channels=1)
    assert torch.equal(ours(x), theirs(x))
    assert ours(x).std() > 0.01


@pytest.mark.parametrize("settings", [value for key, value in EVERY.items() if key.startswith("dynunet")])
def test_dynunet_equals_monais_exactly(settings: DynUNetSettings) -> None:
    from monai.networks.nets.dynunet import DynUNet

    ours = create_network(settings, seed=3)
    strides = settings.level_strides
    theirs = DynUNet(
        settings.dims,
        2,
        3,
        settings.level_kernels,
        strides,
        strides[1:],
        filters=settings.filters,
        norm_name=("instance", {"affine": True}) if settings.norm == "instance" else "batch",
        res_block=settings.residual,
    )
    last = settings.depth - 1
    rules = [
        (r"^skip_layers\.next_layer\.next_layer", "bottleneck"),
        (r"^skip_layers\.next_layer\.downsample", "downsamples.0"),
        (r"^skip_layers\.next_layer\.upsample", "upsamples.0"),
        (r"^skip_layers\.downsample", "input_block"),
        (r"^skip_layers\.upsample", "upsamples.1"),
        (r"^input_block", "encoder.0"),
        (r"^downsamples\.0", "encoder.1"),
        (r"^bottleneck", f"encoder.{last}"),
        (r"^upsamples", "decoder"),
        (r"^output_block", "head"),
    ]
    _of_monai(ours, theirs, rules)
    x = sized(ours, batch=2)
    assert torch.equal(ours(x), theirs(x))


SWIN_RULES = [
    (r"^swinViT\.patch_embed", "encoder.1.way"),
    *[(rf"^swinViT\.layers{stage}\.0", f"encoder.{stage + 1}.way") for stage in (1, 2, 3, 4)],
    *[
        (rf"^encoder{number}\.", f"encoder.{level}.skip.")
        for number, level in [(10, 5), (1, 0), (2, 1), (3, 2), (4, 3)]
    ],
    *[(rf"^decoder{5 - level}\.", f"decoder.{level}.") for level in range(5)],
    (r"^out\.", "head."),
]


@pytest.mark.parametrize("dims", [2, 3])
def test_swin_unetr_with_the_fixed_merging_equals_the_installed_monais_exactly(dims: int) -> None:
    from monai.networks.nets.swin_unetr import SwinUNETR

    ours = create_network(SwinUNETRSettings(width=12, window=3, out_channels=4, merging="fixed", dims=dims), seed=3)
    theirs = SwinUNETR(1, 4, feature_size=12, window_size=3, spatial_dims=dims)
    _renamed(theirs, ours)
    x = sized(ours, channels=1)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def _renamed(theirs: nn.Module, ours: nn.Module) -> None:
    own, wanted = ours.state_dict(), theirs.state_dict()
    for key in wanted:
        for pattern, replacement in SWIN_RULES:
            name, found = re.subn(pattern, replacement, key)
            if found:
                wanted[key] = own[name]
                break
        else:
            raise AssertionError(key)
    theirs.load_state_dict(wanted)


def test_axes_xyz_is_the_same_network_on_turned_axes() -> None:
    settings = SwinUNETRSettings(width=12, window=3, out_channels=2)
    ours = create_network(settings, seed=3)
    turned = create_network(settings.model_copy(update={"axes": "xyz"}), seed=3)
    x = sized(ours, channels=1)
    with torch.no_grad():
        expected = ours(x)
        assert torch.equal(turned(x.permute(0, 1, 4, 3, 2)), expected.permute(0, 1, 4, 3, 2))
        there = turned.forward_features(x.permute(0, 1, 4, 3, 2))
        assert torch.equal(there, ours.forward_features(x).permute(0, 1, 4, 3, 2))
        long = torch.rand(1, 1, 32, 32, 64)
        assert not torch.allclose(turned(long), ours(long), atol=1e-3), "attention is bound to the order of its axes"


def test_published_merging_takes_two_neighbours_twice_and_two_never() -> None:
    """Two blocks of MONAI's order of neighbours, on tokens that name their place: offsets 110 and 011 are not there."""
    places = torch.tensor([[[[0.0], [1]], [[10], [11]]], [[[100], [101]], [[110], [111]]]])[None]
    for merging, expected in [
        ("published", [0, 100, 10, 1, 101, 10, 1, 111]),
        ("fixed", [0, 100, 10, 1, 110, 101, 11, 111]),
    ]:
        layer = PatchMerging(1, merging, 3)
        layer.norm = nn.Identity()
        layer.reduction = nn.Identity()
        assert layer(places).flatten().tolist() == expected


def test_odd_numbers_of_tokens_are_padded_with_zeros_where_they_end() -> None:
    layer = PatchMerging(3, "published", 3)
    x = torch.rand(1, 3, 2, 5, 3)
    padded = torch.zeros(1, 4, 2, 6, 3)
    padded[:, :3, :, :5] = x
    assert torch.equal(layer(x), layer(padded))
