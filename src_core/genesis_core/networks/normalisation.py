"""Normalisation layers of the U-Net: the published one, which looks at the batch even in evaluation, and two others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.networks.settings import Norm

# Source: Ioffe and Szegedy 2015 as torch has it, and as the published network was trained.
EPSILON = 1e-5


class _Affine(nn.Module):
    """A learnt scale and shift per channel, starting at 1 and 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class BatchStatistics(_Affine):
    """Normalise by mean and variance over the batch and space, in training and in evaluation alike.

    So a sample's output depends on its batch mates; with a batch of one it is instance normalisation. Nothing is
    remembered between calls. x: (batch, channel, *space), any floating dtype. Source: the published PyTorch network.
    """

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=EPSILON)


class InstanceStatistics(_Affine):
    """Normalise every sample and channel by its own mean and variance. x: (batch, channel, *space).

    Source: Ulyanov et al. 2016, with learnt scale and shift.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return functional.instance_norm(x, None, None, self.weight, self.bias, eps=EPSILON)
        # The same numbers, sample by sample: torch's own kernel would copy channels-last input to and fro on the CPU.
        samples = [
            functional.batch_norm(sample, None, None, self.weight, self.bias, training=True, eps=EPSILON)
            for sample in torch.split(x, 1)
        ]
        return samples[0] if len(samples) == 1 else torch.cat(samples)


def normalisation(norm: Norm, channels: int, dims: int) -> nn.Module:
    """Return the layer called `norm` for `channels` channels and `dims` spatial axes."""
    if norm == "batch_statistics":
        return BatchStatistics(channels)
    if norm == "instance":
        return InstanceStatistics(channels)
    return nn.BatchNorm3d(channels, eps=EPSILON) if dims == 3 else nn.BatchNorm2d(channels, eps=EPSILON)
