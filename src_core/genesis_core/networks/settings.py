"""What a network is made of, declared once; importing this never loads torch.

A backbone declares its settings as a subclass of `NetworkSettings` with a `kind` of its own, and is listed in
`registry.BACKBONES`. What stands here is what a model card stores.
"""

from __future__ import annotations

from typing import Literal

from genesis_core.settings import Settings, setting

Norm = Literal["batch_statistics", "batch", "instance"]


class NetworkSettings(Settings):
    """What every network has: a kind, channels in and out, and two or three spatial axes."""

    kind: str = setting(..., "Name of the backbone.")
    in_channels: int = setting(1, "Channels of the input (image modalities).", ge=1, le=1024)
    out_channels: int = setting(1, "Channels of the output (logits).", ge=1, le=1024)
    dims: Literal[2, 3] = setting(3, "Spatial axes: 3 for volumes, 2 for slices.")


class UNet3DSettings(NetworkSettings):
    """The published 3D U-Net and its variations; the defaults are the published network.

    Source: Zhou et al. 2021 (Models Genesis), the PyTorch network: 19,073,665 parameters, logistic output.
    """

    kind: Literal["unet3d"] = setting("unet3d", "Name of the backbone.")
    width: int = setting(32, "Channels of the very first convolution; doubled on every level.", ge=1, le=256)
    depth: int = setting(4, "Resolution levels; the input is halved (depth - 1) times.", ge=2, le=7)
    norm: Norm = setting(
        "batch_statistics",
        "batch_statistics: the batch's own mean and variance always, also in evaluation (published). "
        "batch: running averages in evaluation. instance: each sample on its own.",
    )
    pad: bool = setting(
        False,
        "Grow inputs of any size to one that can be halved (edge voxels repeated), and crop the output.",
    )
