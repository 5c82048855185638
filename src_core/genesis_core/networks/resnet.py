"""The 3D ResNets of MedicalNet (10 to 200 layers), written from their published description, with a decoder of ours.

Unlike other 3D ResNets, MONAI's among them, the last two stages are dilated by 2 and 4 instead of halving the
resolution: weights learnt so compute something else in a network that halves it, though every shape fits.
Source: Chen et al. 2019 (Med3D) and the published repository.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.normalisation import normalisation
from genesis_core.networks.resnet_settings import Depth, ResNetSettings
from genesis_core.networks.sound_convolution import make_sound
from genesis_core.settings import validate

# Of the four stages. Source: the published network.
_STRIDES, _DILATIONS = (1, 2, 1, 1), (1, 1, 2, 4)
_STAGES = len(_STRIDES)
ResNetNorm = Literal["batch", "instance"]


def _convolution(dims: int, inputs: int, outputs: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Module:
    """Return a convolution without bias that keeps the size, or divides it by its stride."""
    convolution = nn.Conv3d if dims == 3 else nn.Conv2d
    padding = dilation * (size // 2)
    return convolution(inputs, outputs, size, stride, padding, dilation, bias=False)


class _Fill(nn.Module):
    """Shortcut "A": every second voxel, and zeros for the channels that are not there yet. It has no parameters."""

    def __init__(self, stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        every = [slice(None)] * 2 + [slice(None, None, self.stride)] * (x.ndim - 2)
        kept = x[tuple(every)]
        # Pairs from the last axis on: nothing in space, then after the channels.
        return functional.pad(kept, [0, 0] * (x.ndim - 2) + [0, self.channels - x.shape[1]])


class ResidualBlock(nn.Module):
    """Convolutions with norms, added to a shortcut, then ReLU: two of 3x3x3, or 1x1x1, 3x3x3, 1x1x1 with `expansion`.

    (batch, inputs, *space) -> (batch, width * expansion, *space / stride).
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        expansion: int,
        shortcut: nn.Module | None,
        norm: ResNetNorm,
        dims: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        channels = (inputs, width, width) if expansion == 1 else (inputs, width, width, width * expansion)
        sizes = (3, 3) if expansion == 1 else (1, 3, 1)
        # The first 3x3x3 convolution takes the stride; all of them are dilated.
        at = sizes.index(3)
        self.convolutions = nn.ModuleList(
            _convolution(dims, before, after, size, stride if place == at else 1, dilation if size == 3 else 1)
            for place, (size, (before, after)) in enumerate(zip(sizes, pairwise(channels), strict=True))
        )
        self.norms = nn.ModuleList(normalisation(norm, after, dims) for after in channels[1:])
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.shortcut is None else self.shortcut(x)
        last = len(self.convolutions) - 1
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x))
            x = x + past if place == last else x
            x = functional.relu(x, inplace=True)
        return x


class _Stem(nn.Module):
    """The first convolution, 7x7x7 with stride 2, its norm and ReLU."""

    def __init__(self, inputs: int, width: int, norm: ResNetNorm, dims: int) -> None:
        super().__init__()
        self.convolution = _convolution(dims, inputs, width, 7, 2)
        self.norm = normalisation(norm, width, dims)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.convolution(x)), inplace=True)


class _Stage(nn.Module):
    """A stage of residual blocks; pooled: the resolution is halved before them."""

    def __init__(self, blocks: list[ResidualBlock], pooled: bool, dims: int) -> None:
        super().__init__()
        pool = nn.MaxPool3d if dims == 3 else nn.MaxPool2d
        self.pool = pool(3, stride=2, padding=1) if pooled else None
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(x if self.pool is None else self.pool(x))
        return result


class _DecoderLevel(nn.Module):
    """Double the resolution if it is to be, join a skip connection if there is one, and run two convolution blocks.

    Where the resolution stays, the first convolution is 1x1x1: it only brings many channels down to few.
    """

    def __init__(self, inputs: int, skipped: int, outputs: int, doubled: bool, norm: ResNetNorm, dims: int) -> None:
        super().__init__()
        transposed = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
        self.up = transposed(inputs, outputs, 2, 2, bias=False) if doubled else None
        joined = (outputs if doubled else inputs) + skipped
        self.convolutions = nn.ModuleList(
            [_convolution(dims, joined, outputs, 3 if doubled else 1), _convolution(dims, outputs, outputs, 3)]
        )
        self.norms = nn.ModuleList(normalisation(norm, outputs, dims) for _ in self.convolutions)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = x if self.up is None else self.up(x)
        x = x if skip is None else torch.cat((x, skip), dim=1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.relu(norm(convolution(x)), inplace=True)
        return x


class ResNet(EncoderDecoder):
    """A MedicalNet ResNet with a decoder, returning logits of the input's size.

    Width w (published: 64), e = 1 up to 34 layers and 4 from 50 on:

    | part      | operations                                                | channels | resolution |
    |-----------|-----------------------------------------------------------|----------|------------|
    | encoder.0 | convolution of 7, stride 2; norm; ReLU: skip              | w        | 1/2        |
    | encoder.1 | max-pool of 3, stride 2; residual blocks: skip            | w e      | 1/4        |
    | encoder.2 | residual blocks, stride 2: skip                           | 2w e     | 1/8        |
    | encoder.3 | residual blocks, dilated by 2: skip                       | 4w e     | 1/8        |
    | encoder.4 | residual blocks, dilated by 4: the bottleneck             | 8w e     | 1/8        |
    | decoder.0 | join skip; convolutions of 1 and 3                        | 4w       | 1/8        |
    | decoder.1 | join skip; convolutions of 1 and 3                        | 2w       | 1/8        |
    | decoder.2 | transposed convolution 2; join skip; two convolutions of 3| w        | 1/4        |
    | decoder.3 | transposed convolution 2; join skip; two convolutions of 3| w        | 1/2        |
    | decoder.4 | transposed convolution 2; two convolutions of 3           | w / 2    | 1          |
    | head      | 1x1x1 convolution                                         |          | 1          |

    The published networks have another decoder, for their own data, which is not kept. Arguments are those of
    `ResNetSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        depth: Depth = 10,
        width: int = 64,
        norm: ResNetNorm = "batch",
        dims: Literal[2, 3] = 3,
        pad: bool = False,
        input_scale: float = 1.0,
        input_shift: float = 0.0,
    ) -> None:
        values: dict[str, Any] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "depth": depth,
            "width": width,
            "norm": norm,
            "dims": dims,
            "pad": pad,
            "input_scale": input_scale,
            "input_shift": input_shift,
        }
        super().__init__(validate(ResNetSettings, values, where="ResNet", error=NetworkError))
        expansion = self.settings.build.expansion
        given = [width] + [width * 2**stage * expansion for stage in range(_STAGES)]
        self.encoder = nn.ModuleList(
            [
                _Stem(in_channels, width, norm, dims),
                *(_Stage(self._blocks(stage, given[stage]), stage == 0, dims) for stage in range(_STAGES)),
            ]
        )
        # What is decoded, what is joined on the way, and whether the resolution doubles before.
        decoded = [given[4], 4 * width, 2 * width, width, width, width // 2]
        joined = [given[3], given[2], given[1], given[0], 0]
        self.decoder = nn.ModuleList(
            _DecoderLevel(before, skipped, after, level > 1, norm, dims)
            for level, (skipped, (before, after)) in enumerate(zip(joined, pairwise(decoded), strict=True))
        )
        self.head = (nn.Conv3d if dims == 3 else nn.Conv2d)(width // 2, out_channels, kernel_size=1)
        make_sound(self)

    def _blocks(self, stage: int, inputs: int) -> list[ResidualBlock]:
        settings: ResNetSettings = self.settings
        blocks, expansion, kind, _ = settings.build
        width, stride, dilation = settings.width * 2**stage, _STRIDES[stage], _DILATIONS[stage]
        outputs = width * expansion
        shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            if kind == "A":
                shortcut = _Fill(stride, outputs)
            else:
                way = _convolution(settings.dims, inputs, outputs, 1, stride)
                shortcut = nn.Sequential(way, normalisation(settings.norm, outputs, settings.dims))
        made = [ResidualBlock(inputs, width, expansion, shortcut, settings.norm, settings.dims, stride, dilation)]
        for _ in range(1, blocks[stage]):
            made.append(ResidualBlock(outputs, width, expansion, None, settings.norm, settings.dims, 1, dilation))
        return made

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck: 512 up to 34 layers, 2048 from 50 on."""
        return int(8 * self.settings.width * self.settings.build.expansion)

    def decode(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """As `EncoderDecoder.decode`."""
        for level in self.decoder:
            bottleneck = level(bottleneck, skips.pop() if skips else None)
        return bottleneck
