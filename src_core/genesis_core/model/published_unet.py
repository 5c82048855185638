"""The published U-Net's checkpoint: what its tensors are called, how they lie, and how they become ours.

Only facts about the file stand here (names, shapes, axis order); the network is `networks.unet3d`. Models Genesis and
SuPreM name the backbone alike; SuPreM puts `backbone.` before it and a last layer of its own beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from genesis_core.model.layout import Layout, size_of
from genesis_core.networks.settings import UNet3DSettings

# Blocks of the file in the order of our levels. Source: the published PyTorch network's state dict.
ENCODER_BLOCKS = ("down_tr64", "down_tr128", "down_tr256", "down_tr512")
DECODER_BLOCKS = ("up_tr256", "up_tr128", "up_tr64")
HEAD = "out_tr.final_conv"
HEAD_WEIGHT = f"{HEAD}.weight"


def _names(_settings: UNet3DSettings) -> dict[str, str]:
    """Return our parameter name -> the published one, 64 of them."""
    modules = {}
    for ours, published in [("encoder", ENCODER_BLOCKS), ("decoder", DECODER_BLOCKS)]:
        for level, block in enumerate(published):
            if ours == "decoder":
                modules[f"decoder.{level}.up"] = f"{block}.up_conv"
            for index in (0, 1):
                modules[f"{ours}.{level}.convolutions.{index}.convolution"] = f"{block}.ops.{index}.conv1"
                modules[f"{ours}.{level}.convolutions.{index}.norm"] = f"{block}.ops.{index}.bn1"
    modules["head"] = HEAD
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in modules.items() for kind in ("weight", "bias")}


def _settings(tensors: Mapping[str, Tensor]) -> UNet3DSettings:
    """Return the settings of the network a file was written from: its width, channels in and channels out.

    What the file does not tell, or tells absurdly, is taken as published (32, 1, 1).
    """
    width, in_channels = size_of(tensors, f"{ENCODER_BLOCKS[0]}.ops.0.conv1.weight", 5, default=(32, 1))
    out_channels, _ = size_of(tensors, HEAD_WEIGHT, 5, default=(1, 0))
    return UNet3DSettings(
        width=width if width <= 256 else 32,
        in_channels=in_channels if in_channels <= 1024 else 1,
        out_channels=out_channels if out_channels <= 1024 else 1,
    )


UNET = Layout(
    kind="unet3d",
    title="3D U-Net of Models Genesis and SuPreM",
    pattern=re.compile(r"(down_tr\d+|up_tr\d+|out_tr)\."),
    settings=_settings,
    names=_names,
    # Of the published batch norm: stored, kept moving, and never read by its forward pass.
    buffers=re.compile(r"(down_tr|up_tr)\d+\.ops\.\d\.bn1\.(running_mean|running_var|num_batches_tracked)"),
    turned=True,
)
