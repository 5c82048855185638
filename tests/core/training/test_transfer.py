"""Starting from another network's weights: what is taken, inflated, frozen, slowed down and averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from genesis_core.errors import ModelError
from genesis_core.model.card import ModelCard
from genesis_core.model.folder import Model
from genesis_core.networks.initialisation import initialise
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.training.averaging import averaged
from genesis_core.training.parameter_groups import NEVER, FreezingSettings, apply_freezing, parameter_groups
from genesis_core.training.transfer import start_from


def model(**settings: object) -> Model:
    chosen = UNet3DSettings.model_validate({"width": 4, "norm": "batch", **settings})
    card = ModelCard(
        name="source", task="restoration", network=chosen, activation="sigmoid", patch_size=(16, 16, 16), schema=1
    )
    return Model(create_network(chosen, seed=5).eval(), card, Path("source"))


def network(**settings: object) -> nn.Module:
    return create_network(UNet3DSettings.model_validate({"width": 4, "norm": "batch", **settings}), seed=9)


def test_encoder_and_decoder_are_taken_and_the_last_layer_starts_anew() -> None:
    source, own = model(), network(out_channels=3)
    before = own.state_dict()["head.weight"].clone()
    report = start_from(own, source, "encoder+decoder")
    theirs, ours = source.network.state_dict(), own.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in report.taken)
    assert torch.equal(ours["head.weight"], before)
    assert set(report.fresh) == {"head.weight", "head.bias"}
    assert set(report.taken) | set(report.fresh) == set(ours)


def test_the_encoder_alone_leaves_the_decoder_as_it_was() -> None:
    source, own = model(), network()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    report = start_from(own, source, "encoder")
    assert all(name.startswith("encoder.") for name in report.taken)
    after = own.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after if not name.startswith("encoder."))


def test_an_inflated_first_convolution_answers_equal_channels_as_the_source_answers_one() -> None:
    source, own = model(), network(in_channels=4).eval()
    report = start_from(own, source, "encoder+decoder")
    assert report.inflated == ("encoder.0.convolutions.0.convolution.weight",)
    assert "copied to every input channel" in report.sentence("x")
    scan = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        theirs = source.network.encode(scan)[0]
        ours = own.encode(scan.repeat(1, 4, 1, 1, 1))[0]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_source_of_another_width_is_refused_with_the_sizes() -> None:
    with pytest.raises(ModelError, match=r"does not fit.*\(4, 1, 3, 3, 3\).*network\.width"):
        start_from(network(width=8), model(), "encoder")


def test_a_frozen_encoder_keeps_weights_and_running_statistics() -> None:
    own = network()
    names = frozenset(name for name, _ in own.named_parameters() if name.startswith("encoder."))
    groups = parameter_groups(own, FreezingSettings(freeze="encoder"), names, 100)
    assert {group["frozen_until"] for group in groups} == {0, NEVER}
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    optimiser = torch.optim.AdamW(groups, 0.1)
    own.train()
    apply_freezing(own, optimiser.param_groups, 0)
    own(torch.rand(2, 1, 16, 16, 16)).square().mean().backward()
    optimiser.step()
    after = own.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("encoder."))
    assert not torch.equal(after["decoder.0.up.weight"], before["decoder.0.up.weight"])


def test_a_frozen_warm_up_ends_at_its_step() -> None:
    own = network()
    names = frozenset(name for name, _ in own.named_parameters() if name.partition(".")[0] != "head")
    groups = parameter_groups(own, FreezingSettings(freeze="warmup", warmup_share=0.2), names, 50)
    apply_freezing(own, groups, 9)
    assert {name for name, p in own.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
    apply_freezing(own, groups, 10)
    assert all(parameter.requires_grad for parameter in own.parameters())


def test_learning_rates_fall_level_by_level_toward_the_input() -> None:
    own = network()
    groups = parameter_groups(own, FreezingSettings(layer_decay=0.5), frozenset(), 10)
    scale = {id(p): group["scale"] for group in groups for p in group["params"]}
    of = {name: scale[id(p)] for name, p in own.named_parameters()}
    assert of["head.weight"] == 1.0
    assert of["decoder.2.up.weight"] == 0.5
    assert of["decoder.0.up.weight"] == 0.125
    assert of["encoder.3.convolutions.0.convolution.weight"] == 0.0625
    assert of["encoder.0.convolutions.0.convolution.weight"] == 0.5**7
    assert len(scale) == len(list(own.parameters()))


def test_the_average_of_weights_forgets_the_start_and_then_moves_slowly() -> None:
    layer = nn.Linear(1, 1, bias=False)
    follower = averaged(layer, 0.9)
    for value in (0.0, 1.0, 1.0):
        layer.weight.data.fill_(value)
        follower.update_parameters(layer)
    # The first update copies; then decays of 2/11 and 3/12.
    assert float(follower.module.weight) == pytest.approx(1 - (2 / 11) * (3 / 12))


@pytest.mark.parametrize(("scheme", "spread"), [("msra", (2 / 27) ** 0.5), ("uniform", 0.05 / 3**0.5)])
def test_initial_weights_follow_the_scheme_and_the_seed(scheme: str, spread: float) -> None:
    first, second = network(width=16), network(width=16)
    initialise(first, scheme, seed=3)  # type: ignore[arg-type]
    initialise(second, scheme, seed=3)  # type: ignore[arg-type]
    weight = first.state_dict()["encoder.0.convolutions.0.convolution.weight"]
    assert torch.equal(weight, second.state_dict()["encoder.0.convolutions.0.convolution.weight"])
    assert float(weight.std()) == pytest.approx(spread, rel=0.15)
