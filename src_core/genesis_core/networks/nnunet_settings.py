"""Settings of nnU-Net's own U-Nets, plain and with a residual encoder, level by level; importing this loads no torch.

Sources: Isensee et al. 2021 (nnU-Net) and 2024 (residual encoders), and the plans such networks are built from.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from genesis_core.networks.monai_settings import PAD
from genesis_core.networks.settings import StandardisedSettings
from genesis_core.settings import setting

_Stride = Annotated[int, Field(ge=1, le=8)]
_Kernel = Annotated[int, Field(ge=1, le=7)]
_Count = Annotated[int, Field(ge=1, le=64)]
Strides = Annotated[tuple[tuple[_Stride, _Stride, _Stride], ...], Field(min_length=2, max_length=10)]
Kernels = Annotated[tuple[tuple[_Kernel, _Kernel, _Kernel], ...], Field(min_length=2, max_length=10)]
_ONE, _TWO, _THREE = (1, 1, 1), (2, 2, 2), (3, 3, 3)


class NNUNetSettings(StandardisedSettings):
    """nnU-Net's U-Net as its plans describe it; the defaults are its residual encoder of size L.

    Source: Isensee et al. 2024: 102 million parameters.
    """

    kind: Literal["nnunet"] = setting("nnunet", "Name of the backbone.")
    width: int = setting(32, "Channels of the first level; doubled on every level up to the largest.", ge=1, le=256)
    largest: int = setting(320, "Channels no level has more of.", ge=1, le=2048)
    residual: bool = setting(True, "Residual blocks in the encoder, after a first convolution; else convolutions.")
    level_strides: Strides = setting(
        (_ONE, *(_TWO,) * 5), "What each level divides z, y, x by before it begins; z is not looked at in 2D."
    )
    level_kernels: Kernels = setting((_THREE,) * 6, "Kernel of each level, odd numbers along z, y, x.")
    blocks: Annotated[tuple[_Count, ...], Field(min_length=2, max_length=10)] = setting(
        (1, 3, 4, 6, 6, 6), "Residual blocks, or convolutions, on each level of the encoder."
    )
    decoder_blocks: Annotated[tuple[_Count, ...], Field(min_length=1, max_length=9)] = setting(
        (1, 1, 1, 1, 1), "Convolutions on each level of the decoder, the coarsest first."
    )
    norm: Literal["instance", "batch"] = setting(
        "instance", "instance: each sample on its own. batch: running averages in evaluation."
    )
    pad: bool = setting(False, PAD)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        depth = len(self.level_strides)
        if not len(self.level_kernels) == len(self.blocks) == len(self.decoder_blocks) + 1 == depth:
            raise ValueError("level_strides, level_kernels and blocks need one entry a level, decoder_blocks one fewer")
        if max(self.level_strides[0][-self.dims :]) > 1:
            raise ValueError("level_strides: the first level keeps the resolution, 1, 1, 1")
        if any(size % 2 == 0 for kernel in self.level_kernels for size in kernel):
            raise ValueError("level_kernels: odd numbers only")
        return self

    @property
    def filters(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(min(self.width * 2**level, self.largest) for level in range(len(self.level_strides)))

    @property
    def strides(self) -> tuple[int, ...]:
        """The product of the levels' strides along each axis."""
        return tuple(math.prod(axis) for axis in zip(*self.level_strides, strict=True))[-self.dims :]

    @property
    def peak_features(self) -> float:
        """As for every network; measured at width 32, windows of 96x96x96, float32."""
        return 8.2 * self.width

    @property
    def training_features(self) -> float:
        """As for every network; measured at width 32, sub-volumes of 64x64x64, relative to the U-Net."""
        return (46.0 if self.residual else 30.0) * self.width

    @property
    def parameters(self) -> float:
        """As for every network: its convolutions of 3x3x3, and those that lead up."""
        convolutions = [2 * n if self.residual else n for n in self.blocks]
        down = sum(27 * n * channels**2 for n, channels in zip(convolutions, self.filters, strict=True))
        up = sum(
            (27 * (n + 1) + 8) * channels**2
            for n, channels in zip(self.decoder_blocks, reversed(self.filters[:-1]), strict=True)
        )
        return float(down + up)
