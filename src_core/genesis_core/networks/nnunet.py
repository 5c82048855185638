"""nnU-Net's U-Nets, plain and with a residual encoder, written from their description, level by level.

Every convolution has a bias and is followed by instance norm and leaky ReLU; strided convolutions lead down, transposed
ones up. Only the finest output is built: the coarser ones served training. Sources: Isensee et al. 2021 and 2024.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.nnunet_settings import NNUNetSettings
from genesis_core.networks.normalisation import normalisation
from genesis_core.networks.sound_convolution import make_sound
from genesis_core.settings import validate

Size = tuple[int, ...]
NNUNetNorm = Literal["instance", "batch"]
# Slope of the leaky ReLU below zero. Source: nnU-Net.
_SLOPE = 0.01


class NormedConvolution(nn.Module):
    """A convolution that keeps the size or divides it by its stride, a norm, and leaky ReLU unless it is linear.

    (batch, inputs, *space) -> (batch, outputs, *space / stride).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size,
        norm: NNUNetNorm,
        bias: bool = True,
        linear: bool = False,
    ) -> None:
        super().__init__()
        make: Any = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
        self.convolution = make(inputs, outputs, kernel, stride, [size // 2 for size in kernel], bias=bias)
        self.norm = normalisation(norm, outputs, len(kernel))
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.convolution(x))
        return x if self.linear else functional.leaky_relu(x, _SLOPE, inplace=True)


class _Shortcut(nn.Module):
    """Averages of what the stride joins, where there is one; a 1x1x1 convolution and norm, where channels change."""

    def __init__(self, inputs: int, outputs: int, stride: Size, norm: NNUNetNorm) -> None:
        super().__init__()
        self.pool: nn.Module | None = None
        if max(stride) > 1:
            make: Any = nn.AvgPool3d if len(stride) == 3 else nn.AvgPool2d
            self.pool = make(stride, stride)
        one = (1,) * len(stride)
        self.way = NormedConvolution(inputs, outputs, one, one, norm, False, True) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.pool is None else self.pool(x)
        return x if self.way is None else self.way(x)


class ResidualBlock(nn.Module):
    """Two convolutions, the first with the stride and leaky ReLU, added to a shortcut; then leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size, norm: NNUNetNorm) -> None:
        super().__init__()
        self.first = NormedConvolution(inputs, outputs, kernel, stride, norm)
        self.second = NormedConvolution(outputs, outputs, kernel, (1,) * len(kernel), norm, linear=True)
        self.shortcut = _Shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.second(self.first(x)) + self.shortcut(x), _SLOPE, inplace=True)


class _EncoderLevel(nn.Module):
    """One resolution: a first convolution, where there is one, then blocks of which the first has the stride."""

    def __init__(self, stem: nn.Module | None, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(x if self.stem is None else self.stem(x))
        return result


class _DecoderLevel(nn.Module):
    """Raise the resolution, join the skip connection, and run the convolutions."""

    def __init__(self, up: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.up = up
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.blocks(torch.cat((self.up(x), skip), dim=1))
        return result


class NNUNet(EncoderDecoder):
    """U-Net as nnU-Net's plans describe it, returning logits of the input's size.

    Level l has min(width * 2^l, largest) channels; decoder.i comes back to level depth - 2 - i. Arguments are those of
    `NNUNetSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(validate(NNUNetSettings, values, where="NNUNet", error=NetworkError))
        settings: NNUNetSettings = self.settings
        filters, norm, dims = settings.filters, settings.norm, settings.dims
        kernels = [kernel[-dims:] for kernel in settings.level_kernels]
        strides = [stride[-dims:] for stride in settings.level_strides]
        one = (1,) * dims
        levels: list[nn.Module] = []
        inputs = settings.in_channels
        for level, count in enumerate(settings.blocks):
            kernel, outputs = kernels[level], filters[level]
            stem: nn.Module | None = None
            if settings.residual and level == 0:
                stem = NormedConvolution(inputs, outputs, kernel, one, norm)
                inputs = outputs
            block = ResidualBlock if settings.residual else NormedConvolution
            blocks: list[nn.Module] = [block(inputs, outputs, kernel, strides[level], norm)]
            blocks += [block(outputs, outputs, kernel, one, norm) for _ in range(1, count)]
            levels.append(_EncoderLevel(stem, blocks))
            inputs = outputs
        self.encoder = nn.ModuleList(levels)
        transposed: Any = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
        ways = []
        for place, count in enumerate(settings.decoder_blocks):
            level = len(filters) - 2 - place
            outputs, stride = filters[level], strides[level + 1]
            up = transposed(filters[level + 1], outputs, stride, stride)
            made: list[nn.Module] = [NormedConvolution(2 * outputs, outputs, kernels[level], one, norm)]
            made += [NormedConvolution(outputs, outputs, kernels[level], one, norm) for _ in range(1, count)]
            ways.append(_DecoderLevel(up, made))
        self.decoder = nn.ModuleList(ways)
        self.head = (nn.Conv3d if dims == 3 else nn.Conv2d)(filters[0], settings.out_channels, kernel_size=1)
        make_sound(self)

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck."""
        return int(self.settings.filters[-1])
