"""Settings of the backbones whose blocks are MONAI's: SegResNet, Swin UNETR and DynUNet; importing this loads no torch.

The defaults are the networks of SuPreM (Li et al. 2024) and of nnU-Net; their parameter counts are in the tests.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from genesis_core.networks.settings import HEAD_TEXT, Head, NetworkSettings, head_features
from genesis_core.settings import setting

PAD = "Grow inputs of any size to one that can be halved (edge voxels repeated), and crop the output."
Counts = tuple[Annotated[int, Field(ge=1, le=16)], ...]
Four = Annotated[Counts, Field(min_length=4, max_length=4)]


class SegResNetSettings(NetworkSettings):
    """Residual encoder and decoder with group norm and learnt-free up-sampling; the defaults are SuPreM's.

    Source: Myronenko 2018, MONAI's SegResNet; 4,701,424 parameters with 32 outputs.
    """

    kind: Literal["segresnet"] = setting("segresnet", "Name of the backbone.")
    width: int = setting(16, "Channels of the first level, a multiple of 8; doubled on every level.", ge=8, le=256)
    blocks_down: Annotated[Counts, Field(min_length=2, max_length=6)] = setting(
        (1, 2, 2, 4), "Residual blocks on each level of the encoder; its length is the number of levels."
    )
    blocks_up: Annotated[Counts, Field(min_length=1, max_length=5)] = setting(
        (1, 1, 1), "Residual blocks on each level of the decoder, one level fewer."
    )
    pad: bool = setting(False, PAD)

    @field_validator("width")
    @classmethod
    def _whole_groups(cls, width: int) -> int:
        if width % 8:
            raise ValueError("its norm has groups of 8: use a multiple of 8")
        return width

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError("blocks_up needs one level fewer than blocks_down")
        return self

    @property
    def strides(self) -> tuple[int, ...]:
        """8 along every axis with four levels."""
        return (int(2 ** (len(self.blocks_down) - 1)),) * self.dims

    @property
    def peak_features(self) -> float:
        """As for every network; measured at width 16, windows of 96x96x96, float32."""
        return 6.0 * self.width

    @property
    def training_features(self) -> float:
        """As for every network; measured at width 16, sub-volumes of 64x64x64, relative to the U-Net."""
        return 36.0 * self.width

    @property
    def parameters(self) -> float:
        """As for every network: SuPreM's, by the square of the width."""
        return 4_701_424 / 16**2 * self.width**2


class SwinUNETRSettings(NetworkSettings):
    """A shifted-window transformer with a convolutional decoder; the defaults are SuPreM's.

    Source: Hatamizadeh et al. 2022, MONAI's SwinUNETR; 62,188,178 parameters with 32 outputs.
    """

    kind: Literal["swin_unetr"] = setting("swin_unetr", "Name of the backbone.")
    width: int = setting(48, "Channels of the first level, a multiple of 12 (feature size).", ge=12, le=192)
    depths: Four = setting((2, 2, 2, 2), "Transformer blocks of each stage.")
    heads: Annotated[tuple[Annotated[int, Field(ge=1, le=192)], ...], Field(min_length=4, max_length=4)] = setting(
        (3, 6, 12, 24), "Attention heads of each stage; each divides its channels."
    )
    window: int = setting(7, "Edge of the attention windows.", ge=2, le=16, unit="tokens")
    merging: Literal["published", "fixed"] = setting(
        "published",
        "How tokens are merged in 3D. published: as in MONAI 0.9 to 1.4 and in all weights from then, where two of "
        "eight neighbours are taken twice. fixed: each of the eight once, as since MONAI 1.5.",
    )
    axes: Literal["zyx", "xyz"] = setting(
        "zyx",
        "Order of the axes it computes in, which its weights are bound to. Input and output are (z, y, x) in any case; "
        "weights that were learnt on (x, y, z) need xyz.",
    )
    pad: bool = setting(False, PAD)
    head: Head = setting("convolution", HEAD_TEXT)

    @field_validator("width")
    @classmethod
    def _whole_heads(cls, width: int) -> int:
        if width % 12:
            raise ValueError("use a multiple of 12")
        return width

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.head == "text_driven" and self.width % 16:
            raise ValueError("head text_driven needs a width that is a multiple of 48")
        for stage, heads in enumerate(self.heads):
            if self.width * 2**stage % heads:
                raise ValueError(f"heads: {heads} do not divide the {self.width * 2**stage} channels of stage {stage}")
        return self

    @property
    def strides(self) -> tuple[int, ...]:
        """32 along every axis: the patch embedding, then four stages."""
        return (32,) * self.dims

    @property
    def peak_features(self) -> float:
        """As for every network; measured at width 48, windows of 64x64x64 and 96x96x96, float32."""
        return 12.0 * self.width + head_features(self.head, self.out_channels)

    @property
    def training_features(self) -> float:
        """As for every network; measured at width 48, sub-volumes of 64x64x64, relative to the U-Net."""
        return 60.0 * self.width

    @property
    def parameters(self) -> float:
        """As for every network: SuPreM's, by the square of the width."""
        return 62_188_178 / 48**2 * self.width**2


class DynUNetSettings(NetworkSettings):
    """The U-Net of nnU-Net: two strided convolution blocks a level, instance norm, leaky ReLU.

    Source: Isensee et al. 2021, MONAI's DynUNet.
    """

    kind: Literal["dynunet"] = setting("dynunet", "Name of the backbone.")
    width: int = setting(32, "Channels of the first level; doubled on every level up to the largest.", ge=1, le=256)
    largest: int = setting(320, "Channels no level has more of.", ge=1, le=2048)
    depth: int = setting(5, "Resolution levels; the input is halved (depth - 1) times.", ge=3, le=8)
    flat_levels: int = setting(
        0,
        "Levels, from the finest, that neither halve z nor look across slices: for scans with thick slices.",
        ge=0,
        le=7,
    )
    residual: bool = setting(False, "Residual blocks in the encoder.")
    norm: Literal["instance", "batch"] = setting(
        "instance", "instance: each sample on its own. batch: running averages in evaluation."
    )
    pad: bool = setting(False, PAD)

    @model_validator(mode="after")
    def _flat_levels_fit(self) -> Self:
        if self.flat_levels and (self.dims == 2 or self.flat_levels >= self.depth):
            raise ValueError("flat_levels: fewer than depth, and only in 3D")
        return self

    @property
    def filters(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(min(self.width * 2**level, self.largest) for level in range(self.depth))

    @property
    def level_strides(self) -> list[Any]:
        """Stride of the first convolution of each level: one number, or (z, y, x)."""
        return [1] + [[1, 2, 2] if level <= self.flat_levels else 2 for level in range(1, self.depth)]

    @property
    def level_kernels(self) -> list[Any]:
        """Kernel of each level: 3, or (1, 3, 3) where it is flat."""
        return [[1, 3, 3] if level < self.flat_levels else 3 for level in range(self.depth)]

    @property
    def strides(self) -> tuple[int, ...]:
        """2^(depth - 1) along every axis, less along z with flat levels."""
        whole = (int(2 ** (self.depth - 1)),) * self.dims
        return (int(2 ** (self.depth - 1 - self.flat_levels)), *whole[1:]) if self.flat_levels else whole

    @property
    def peak_features(self) -> float:
        """As for every network; measured at width 32, windows of 96x96x96, float32."""
        return 8.0 * self.width

    @property
    def training_features(self) -> float:
        """As for every network; measured at width 32, sub-volumes of 64x64x64, relative to the U-Net."""
        return 22.0 * self.width

    @property
    def parameters(self) -> float:
        """As for every network: two 3x3x3 convolutions a level down, two and a half up."""
        return 140.0 * sum(channels**2 for channels in self.filters)
