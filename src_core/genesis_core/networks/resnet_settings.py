"""Settings of the 3D ResNets of MedicalNet with a decoder of ours; importing this loads no torch.

Sources: Chen et al. 2019 (Med3D) and the published repository: widths, depths, kinds of shortcut, dilations.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import field_validator

from genesis_core.networks.monai_settings import PAD
from genesis_core.networks.settings import StandardisedSettings
from genesis_core.settings import setting

Depth = Literal[10, 18, 34, 50, 101, 152, 200]


class Build(NamedTuple):
    """blocks: residual blocks of each stage. expansion: channels a stage gives, over its width.

    shortcut: where channels grow, "A" fills up with zeros, "B" is a 1x1x1 convolution. parameters: of the encoder, its
    running averages included, as the repository counts them.
    """

    blocks: tuple[int, int, int, int]
    expansion: int
    shortcut: Literal["A", "B"]
    parameters: float


# Source: the repository's table of settings, and its table of parameters in millions.
BUILDS: dict[int, Build] = {
    10: Build((1, 1, 1, 1), 1, "B", 14.36e6),
    18: Build((2, 2, 2, 2), 1, "A", 32.99e6),
    34: Build((3, 4, 6, 3), 1, "A", 63.31e6),
    50: Build((3, 4, 6, 3), 4, "B", 46.21e6),
    101: Build((3, 4, 23, 3), 4, "B", 85.31e6),
    152: Build((3, 8, 36, 3), 4, "B", 117.51e6),
    200: Build((3, 24, 36, 3), 4, "B", 126.74e6),
}


class ResNetSettings(StandardisedSettings):
    """A MedicalNet 3D ResNet as the encoder, with a decoder of ours that joins each of its stages.

    Source: Chen et al. 2019 (Med3D): the last two stages are dilated by 2 and 4 and keep an eighth of the resolution.
    """

    kind: Literal["resnet"] = setting("resnet", "Name of the backbone.")
    depth: Depth = setting(10, "Layers of the ResNet: 10, 18, 34, 50, 101, 152 or 200.")
    width: int = setting(64, "Channels of the first convolution, an even number (published: 64).", ge=2, le=256)
    norm: Literal["batch", "instance"] = setting(
        "batch", "batch: running averages in evaluation (published). instance: each sample on its own."
    )
    pad: bool = setting(False, PAD)

    @field_validator("width")
    @classmethod
    def _even(cls, width: int) -> int:
        if width % 2:
            raise ValueError("use an even number: the last level of the decoder has half of it")
        return width

    @property
    def build(self) -> Build:
        """What the depth stands for."""
        return BUILDS[self.depth]

    @property
    def strides(self) -> tuple[int, ...]:
        """8 along every axis: the first convolution, the pooling and the second stage halve it once each."""
        return (8,) * self.dims

    @property
    def peak_features(self) -> float:
        """As for every network; measured at depths 10 and 50, width 64, windows of 96x96x96, float32."""
        return 2.5 * self.width

    @property
    def training_features(self) -> float:
        """As for every network; measured at depths 10 and 50, sub-volumes of 64x64x64, relative to the U-Net."""
        return (11.0 if self.build.expansion == 1 else 15.0) * self.width

    @property
    def parameters(self) -> float:
        """As for every network: the encoder's as published, and the decoder's, by the square of the width."""
        decoder = 3_293_312 if self.build.expansion == 1 else 4_264_064
        return (self.build.parameters + decoder) / 64**2 * self.width**2
