"""The 3D U-Net of Models Genesis, written from its published description, and its variations.

Two convolutions a level, each followed by normalisation and ReLU; max-pooling down; transposed convolutions up, which
keep their channels; the way up comes first in the concatenation with the way down. It returns logits: the published
network ends in a logistic function, which the model card names as its activation.
Source: Zhou et al. 2021 (Models Genesis), the PyTorch network.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.normalisation import normalisation
from genesis_core.networks.settings import Head, Norm, UNet3DSettings
from genesis_core.networks.sound_convolution import SoundConv3d
from genesis_core.networks.text_driven_head import TextDrivenHead
from genesis_core.settings import validate


class ConvolutionBlock(nn.Module):
    """3x3x3 convolution (same size), normalisation, ReLU. (batch, inputs, *space) -> (batch, outputs, *space)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, dims: int) -> None:
        super().__init__()
        convolution = SoundConv3d if dims == 3 else nn.Conv2d
        self.convolution = convolution(inputs, outputs, kernel_size=3, padding=1)
        self.norm = normalisation(norm, outputs, dims)

    def forward(self, x: Tensor) -> Tensor:
        # In place: the normalisation's backward pass needs its input, not its output.
        return functional.relu(self.norm(self.convolution(x)), inplace=True)


class EncoderLevel(nn.Module):
    """Two convolution blocks at one resolution: inputs -> middle -> 2 * middle channels."""

    def __init__(self, inputs: int, middle: int, norm: Norm, dims: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            ConvolutionBlock(inputs, middle, norm, dims), ConvolutionBlock(middle, 2 * middle, norm, dims)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.convolutions(x)
        return result


class DecoderLevel(nn.Module):
    """Double the resolution, join the skip connection, and run two convolution blocks.

    (batch, inputs, *space) and skip (batch, inputs / 2, *2 space) -> (batch, inputs / 2, *2 space).
    """

    def __init__(self, inputs: int, norm: Norm, dims: int) -> None:
        super().__init__()
        transposed = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
        outputs = inputs // 2
        self.up = transposed(inputs, inputs, kernel_size=2, stride=2)
        self.convolutions = nn.Sequential(
            ConvolutionBlock(inputs + outputs, outputs, norm, dims), ConvolutionBlock(outputs, outputs, norm, dims)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.convolutions(torch.cat((self.up(x), skip), dim=1))
        return result


class UNet3D(EncoderDecoder):
    """U-Net of `depth` levels over 3 (or 2) spatial axes, returning logits of the input's size.

    Width w, depth 4 (published: w = 32), input (batch, in_channels, z, y, x):

    | part      | operations                                              | channels    | size of the result |
    |-----------|---------------------------------------------------------|-------------|--------------------|
    | encoder.0 | 2 blocks; skip; max-pool 2                              | w, 2w       | z, y, x            |
    | encoder.1 | 2 blocks; skip; max-pool 2                              | 2w, 4w      | z/2, y/2, x/2      |
    | encoder.2 | 2 blocks; skip; max-pool 2                              | 4w, 8w      | z/4, y/4, x/4      |
    | encoder.3 | 2 blocks: the bottleneck                                | 8w, 16w     | z/8, y/8, x/8      |
    | decoder.0 | transposed convolution 2; join skip (24w); 2 blocks     | 16w, 8w, 8w | z/4, y/4, x/4      |
    | decoder.1 | transposed convolution 2; join skip (12w); 2 blocks     | 8w, 4w, 4w  | z/2, y/2, x/2      |
    | decoder.2 | transposed convolution 2; join skip (6w); 2 blocks      | 4w, 2w, 2w  | z, y, x            |
    | head      | 1x1x1 convolution                                       | out_channels| z, y, x            |

    A block is a 3x3x3 convolution, normalisation and ReLU. Parameters at w = 32 with one output: 19,073,665, of which
    the encoder has 7,027,776. Arguments are those of `UNet3DSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 32,
        depth: int = 4,
        norm: Norm = "batch_statistics",
        dims: Literal[2, 3] = 3,
        pad: bool = False,
        head: Head = "convolution",
    ) -> None:
        values = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "depth": depth,
            "norm": norm,
            "dims": dims,
            "pad": pad,
            "head": head,
        }
        super().__init__(validate(UNet3DSettings, values, where="UNet3D", error=NetworkError))
        widths = [width * 2**level for level in range(depth)]
        inputs = [in_channels, *widths[1:]]
        self.encoder = nn.ModuleList(
            EncoderLevel(before, middle, norm, dims) for before, middle in zip(inputs, widths, strict=True)
        )
        self.pool = nn.MaxPool3d(2) if dims == 3 else nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(DecoderLevel(4 * middle, norm, dims) for middle in reversed(widths[:-1]))
        if head == "text_driven":
            self.head = TextDrivenHead(2 * width, self.feature_channels, out_channels, dims)
        else:
            self.head = (nn.Conv3d if dims == 3 else nn.Conv2d)(2 * width, out_channels, kernel_size=1)

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck, 512 for the published network."""
        return int(self.settings.width * 2**self.settings.depth)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `EncoderDecoder.encode`."""
        x = self._fit(x)
        skips: list[Tensor] = []
        for level in self.encoder[:-1]:
            skips.append(level(x))
            x = self.pool(skips[-1])
        return self.encoder[-1](x), skips

    def decode(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """As `EncoderDecoder.decode`."""
        for level in self.decoder:
            # The skip is given up here, so that without gradients its memory is free as soon as it was used.
            bottleneck = level(bottleneck, skips.pop())
        return bottleneck

    def forward_features(self, x: Tensor) -> Tensor:
        """As `EncoderDecoder.forward_features`, without keeping the skips."""
        x = self._fit(x)
        for level in self.encoder[:-1]:
            x = self.pool(level(x))
        features: Tensor = self.encoder[-1](x)
        return features
