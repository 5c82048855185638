"""What a network is made of, declared once; importing this never loads torch.

A backbone declares its settings as a subclass of `NetworkSettings` with a `kind` of its own, and is listed in
`registry.BACKBONES`. What stands here is what a model card stores.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from genesis_core.settings import Settings, setting

Norm = Literal["batch_statistics", "batch", "instance"]
Head = Literal["convolution", "text_driven"]
HEAD_TEXT = (
    "Last layer. convolution: 1x1x1. text_driven: its weights follow from class names and the image, as published with "
    "SuPreM; for applying those models, not for training."
)


def head_features(head: Head, classes: int) -> float:
    """Return what a last layer adds to `peak_features`: the text-driven one gathers its classes, then stacks them."""
    return 3.0 * classes if head == "text_driven" else 0.0


class NetworkSettings(Settings):
    """What every network has: a kind, channels in and out, and two or three spatial axes."""

    kind: str = setting(..., "Name of the backbone.")
    in_channels: int = setting(1, "Channels of the input (image modalities).", ge=1, le=1024)
    out_channels: int = setting(1, "Channels of the output (logits).", ge=1, le=1024)
    dims: Literal[2, 3] = setting(3, "Spatial axes: 3 for volumes, 2 for slices.")

    @property
    def strides(self) -> tuple[int, ...]:
        """What the encoder divides each spatial axis by, in the order of the axes."""
        return (1,) * self.dims

    @property
    def divisor(self) -> int:
        """The largest of the strides: what an axis must be a multiple of to fit in any case."""
        return max(self.strides)

    @property
    def peak_features(self) -> float:
        """Numbers a forward pass without gradients holds at its peak, per voxel of its input."""
        return 512.0

    @property
    def training_features(self) -> float:
        """Numbers a training step holds at its peak, per voxel of its input."""
        return 1856.0

    @property
    def parameters(self) -> float:
        """About how many parameters the network has."""
        return 19_073_665.0


class StandardisedSettings(NetworkSettings):
    """Of networks whose published weights were learnt on standardised intensities, while ours get [0, 1]."""

    input_scale: float = setting(
        1.0, "What the input in [0, 1] is multiplied by before the first layer, to be what its weights know.", gt=0
    )
    input_shift: float = setting(0.0, "What is added to the input then.")


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
    head: Head = setting("convolution", HEAD_TEXT)

    @property
    def strides(self) -> tuple[int, ...]:
        """8 along every axis at depth 4."""
        return (int(2 ** (self.depth - 1)),) * self.dims

    @model_validator(mode="after")
    def _groups_of_16(self) -> Self:
        if self.head == "text_driven" and self.width % 8:
            raise ValueError("head text_driven needs a width that is a multiple of 8")
        return self

    @property
    def peak_features(self) -> float:
        """As for every network; measured at widths 8 and 32, windows of 32x64x64 and 96x96x96, float32."""
        return 16.0 * self.width + head_features(self.head, self.out_channels)

    @property
    def training_features(self) -> float:
        """As for every network; measured at widths 8 to 32, one core: 96 to 116 bytes in bfloat16, 213 in float32."""
        return 58.0 * self.width

    @property
    def parameters(self) -> float:
        """As for every network: those of the published one, by the square of the width."""
        return 19_073_665 / 32**2 * self.width**2
