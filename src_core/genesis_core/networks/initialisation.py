"""Seeded initial weights: the same seed gives the same weights, and nobody else's random numbers change.

Schemes are those compared in Zhou et al. 2021 (sec. 3.3, table 3) as training from scratch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from genesis_core.networks.initialisation_scheme import Scheme
from genesis_core.randomness import stream


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Within the block torch's CPU generator is a function of (seed, name); afterwards it is what it was before.

    Networks are built on the CPU, so accelerators' generators are neither read nor changed.
    """
    with torch.random.fork_rng(devices=[]):
        # The CPU generator alone: torch.manual_seed would reseed every accelerator as well.
        torch.default_generator.manual_seed(stream(seed, "initial weights", name))
        yield


# Half width of Keras' `uniform`, which the published comparison used.
_UNIFORM = 0.05
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def initialise(network: nn.Module, scheme: Scheme, seed: int) -> None:
    """Draw the weights of every convolution anew, in place; biases become 0, norms stay.

    Linear layers stay as their network made them: those of a transformer feed attention and GELU, for which none of
    these schemes was made, and no network of convolutions has any.
    scheme: "msra" (He et al. 2015, normal, for ReLU), "xavier" (Glorot and Bengio 2010, uniform), "uniform" (in
    +-0.05), or "torch", which leaves the network as torch made it.
    """
    if scheme == "torch":
        return
    with seeded(seed, scheme), torch.no_grad():
        for layer in network.modules():
            if not isinstance(layer, _CONVOLUTIONS):
                continue
            if scheme == "msra":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif scheme == "xavier":
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.uniform_(layer.weight, -_UNIFORM, _UNIFORM)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
