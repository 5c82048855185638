"""The 3D U-Net of Models Genesis, written from its published description, and its variations.

Two convolutions a level, each followed by normalisation and ReLU; max-pooling down; transposed convolutions up, which
keep their channels; the way up comes first in the concatenation with the way down. It returns logits: the published
network ends in a logistic function, which the model card names as its activation.
Source: Zhou et al. 2021 (Models Genesis), the PyTorch network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.normalisation import normalisation
from genesis_core.networks.settings import Norm, UNet3DSettings
from genesis_core.settings import validate


class ConvolutionBlock(nn.Module):
    """3x3x3 convolution (same size), normalisation, ReLU. (batch, inputs, *space) -> (batch, outputs, *space)."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, dims: int) -> None:
        super().__init__()
        convolution = nn.Conv3d if dims == 3 else nn.Conv2d
        self.convolution = convolution(inputs, outputs, kernel_size=3, padding=1)
        self.norm = normalisation(norm, outputs, dims)

    def forward(self, x: Tensor) -> Tensor:
        if _bfloat16_is_unsound(x):
            with torch.autocast("cpu", enabled=False):
                x = self.convolution(x.float())
        else:
            x = self.convolution(x)
        # In place: the normalisation's backward pass needs its input, not its output.
        return functional.relu(self.norm(x), inplace=True)


def _bfloat16_is_unsound(x: Tensor) -> bool:
    """Whether torch's CPU kernel for the weights' gradient would read memory it never wrote.

    Found with torch 2.13 on AVX-512: in bfloat16, a 3x3x3 convolution over exactly two slices gives another gradient
    at each call, now and then not-a-number. Such levels are tiny, so they are computed in float32.
    """
    return x.ndim == 5 and x.shape[2] == 2 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


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


class UNet3D(nn.Module):
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
    ) -> None:
        super().__init__()
        values = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "depth": depth,
            "norm": norm,
            "dims": dims,
            "pad": pad,
        }
        self.settings = validate(UNet3DSettings, values, where="UNet3D", error=NetworkError)
        widths = [width * 2**level for level in range(depth)]
        inputs = [in_channels, *widths[1:]]
        self.encoder = nn.ModuleList(
            EncoderLevel(before, middle, norm, dims) for before, middle in zip(inputs, widths, strict=True)
        )
        self.pool = nn.MaxPool3d(2) if dims == 3 else nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(DecoderLevel(4 * middle, norm, dims) for middle in reversed(widths[:-1]))
        head = nn.Conv3d if dims == 3 else nn.Conv2d
        self.head = head(2 * width, out_channels, kernel_size=1)

    @property
    def divisor(self) -> int:
        """What every axis of the input must be a multiple of (8 at depth 4), unless `pad` is set."""
        return int(2 ** (self.settings.depth - 1))

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck, 512 for the published network."""
        return int(self.settings.width * 2**self.settings.depth)

    @property
    def channels_last(self) -> torch.memory_format:
        """The memory format that is fastest on CPUs and tensor cores, for the network and its inputs."""
        return torch.channels_last_3d if self.settings.dims == 3 else torch.channels_last

    def encoder_keys(self) -> list[str]:
        """Names in `state_dict()` that belong to the encoder."""
        return [key for key in self.state_dict() if key.startswith("encoder.")]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, out_channels, *space) for x (batch, in_channels, *space), floating point.

        Raises NetworkError if x has another number of axes or channels, or a size this network cannot take.
        """
        size = x.shape[2:]
        bottleneck, skips = self.encode(x)
        features = bottleneck
        for level in self.decoder:
            # The skip is given up here, so that without gradients its memory is free as soon as it was used.
            features = level(features, skips.pop())
        logits: Tensor = self.head(features)
        return logits if logits.shape[2:] == size else _crop(logits, size)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the bottleneck (batch, feature_channels, *space / divisor) and the skips, finest first.

        With `pad` these are of the padded size. Raises NetworkError as `forward`.
        """
        x = self._fit(x)
        skips: list[Tensor] = []
        for level in self.encoder[:-1]:
            skips.append(level(x))
            x = self.pool(skips[-1])
        return self.encoder[-1](x), skips

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the bottleneck alone, without the decoder and without keeping the skips (classification)."""
        x = self._fit(x)
        for level in self.encoder[:-1]:
            x = self.pool(level(x))
        features: Tensor = self.encoder[-1](x)
        return features

    def _fit(self, x: Tensor) -> Tensor:
        """Check x against this network, and pad it where the settings say so."""
        dims, channels, divisor = self.settings.dims, self.settings.in_channels, self.divisor
        if x.ndim != dims + 2 or x.shape[1] != channels:
            axes = "(batch, channel, z, y, x)" if dims == 3 else "(batch, channel, y, x)"
            raise NetworkError(
                f"this network takes {axes} with {channels} channel(s), not an input of shape {tuple(x.shape)}"
            )
        size = tuple(x.shape[2:])
        if min(x.shape) < 1:
            raise NetworkError(f"the input of shape {tuple(x.shape)} is empty")
        padded = tuple(-(-length // divisor) * divisor for length in size)
        if padded != size and not self.settings.pad:
            raise NetworkError(
                f"an input of size {_words(size)} cannot be halved {self.settings.depth - 1} times: every axis must be "
                f"a multiple of {divisor}. Use {_words(padded)}, or build the network with pad=True"
            )
        self._check_statistics(x.shape[0], padded)
        return x if padded == size else _pad(x, padded)

    def _check_statistics(self, batch: int, size: Sequence[int]) -> None:
        norm = self.settings.norm
        values = 1 if norm == "instance" else batch
        for length in size:
            values *= length // self.divisor
        if values < 2 and (norm != "batch" or self.training):
            way_out = "" if norm == "instance" else ", or a larger batch"
            raise NetworkError(
                f"an input of size {_words(size)} leaves a bottleneck of one voxel, which norm='{norm}' cannot "
                f"normalise: use at least {2 * self.divisor} voxels along one axis{way_out}"
            )


def _pad(x: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat the last voxel of each axis up to `size`."""
    # torch wants (before, after) of the last axis first.
    amounts = [value for old, new in zip(x.shape[:1:-1], size[::-1], strict=True) for value in (0, new - old)]
    return functional.pad(x, amounts, mode="replicate")


def _crop(x: Tensor, size: Sequence[int]) -> Tensor:
    return x[(slice(None), slice(None), *(slice(length) for length in size))]


def _words(size: Sequence[int]) -> str:
    return "x".join(str(length) for length in size)
