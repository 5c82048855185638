"""A 3D convolution that stays deterministic in bfloat16 on the CPU, for our own blocks and for MONAI's."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SoundConv3d(nn.Conv3d):
    """torch's 3D convolution, but for a case its CPU kernel gets wrong, which is computed in float32.

    Found with torch 2.13 on AVX-512: in bfloat16, the weights' gradient of a 3x3x3 convolution over exactly two slices
    reads memory it never wrote, so it differs at each call and is now and then not-a-number. Such levels are tiny.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 5 and x.shape[2] == 2 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def make_sound(network: nn.Module) -> None:
    """Let every plain 3D convolution of a network compute as `SoundConv3d` does, in place; its weights stay."""
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = SoundConv3d
