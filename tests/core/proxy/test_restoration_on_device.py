"""Restoration whose sub-volumes are corrupted where the network trains: the same task, fed another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genesis_core.corruptions.recipe import Recipe
from genesis_core.proxy.restoration import Region, RestorationTask
from genesis_core.randomness import stream, uniforms
from genesis_core.sampling.sampler import SubVolume
from genesis_core.task import Batch

SHAPE = (8, 16, 16)


class Noise:
    """Stands in for a sampler: noise, a pure function of (stream, step, index)."""

    notes: tuple[str, ...] = ()

    def sub_volume(self, stream_name: str, step: int, index: int) -> SubVolume:
        values = uniforms(stream(1, stream_name, step, index), int(np.prod(SHAPE)))
        return SubVolume(values.astype(np.float32).reshape(SHAPE), 0, "scan_0", (0, 0, 0), 1, False, ())


class Seen(nn.Module):
    """Remembers its input and returns one level."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.inputs = x
        return self.level.expand_as(x)


def task(recipe: Recipe, *, on_device: bool, region: Region = "everywhere") -> RestorationTask:
    noise = Noise()
    return RestorationTask(
        recipe,
        noise,  # type: ignore[arg-type]
        noise,  # type: ignore[arg-type]
        seed=3,
        loss_region=region,
        validation_samples=4,
        corrupt_on="device" if on_device else "cpu",
    )


@pytest.mark.parametrize(("name", "region"), [("outer_cutout", "everywhere"), ("inpainting", "replaced")])
def test_the_network_sees_and_is_told_what_it_is_by_the_compiled_engine(name: str, region: Region) -> None:
    recipe = Recipe.read(name)
    here, there = task(recipe, on_device=False, region=region), task(recipe, on_device=True, region=region)
    expected, batch = here.sample(5, 7, range(4)), there.sample(5, 7, range(4))
    assert torch.equal(batch.inputs, expected.targets)
    network = Seen()
    loss = there.loss(network, batch.to(torch.device("cpu"), torch.channels_last_3d))[0]
    assert torch.equal(network.inputs, expected.inputs)
    assert not torch.equal(expected.inputs, expected.targets)
    assert torch.equal(loss, here.loss(network, expected)[0])
    # What is measured on the fixed set compares between the engines.
    assert there.validate(network) == here.validate(network)


def test_a_sample_is_corrupted_the_same_in_any_batch_and_alone() -> None:
    own = task(Recipe.genesis(), on_device=True)
    whole, network = own.sample(5, 7, range(6)), Seen()
    own.loss(network, whole)
    inputs = network.inputs
    for index in range(6):
        for one in (whole.only(index), own.sample(5, 7, [index])):
            own.loss(network, one)
            assert torch.equal(network.inputs[0], inputs[index])
            assert torch.equal(one.targets[0], whole.targets[index])


def test_what_is_corrupted_later_travels_once() -> None:
    batch = task(Recipe.genesis(), on_device=True).sample(5, 7, range(2))
    moved = batch.to(torch.device("meta"))
    assert moved.inputs is moved.targets
    assert moved.corruption is not None
    assert moved.corruption.apply(moved.inputs).device.type == "meta"
    apart = Batch(torch.zeros(1), torch.ones(1), ("a",)).to(torch.device("meta"))
    assert apart.inputs is not apart.targets
