"""Swin UNETR out of MONAI's blocks, named by resolution; what published weights are bound to are settings.

One is the order of the axes: attention windows flatten them, so the weights cannot be turned as kernels can, and the
module turns its input and output instead. The other is which neighbours are merged (`PatchMerging`), which MONAI
changed in 1.5 under the same name. The blocks are MONAI's (Apache-2.0); the forward pass is checked against MONAI's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.monai_settings import SwinUNETRSettings
from genesis_core.networks.settings import Head
from genesis_core.networks.sound_convolution import make_sound
from genesis_core.networks.text_driven_head import TextDrivenHead
from genesis_core.settings import validate

Merging = Literal["published", "fixed"]
# Which of eight neighbours are taken, in this order, by their offsets along the three axes. "published": MONAI 0.9.0 to
# 1.4, where 110 and 011 are missing and 010 and 001 come twice. "fixed": MONAI from 1.5 on.
OFFSETS: dict[Merging, tuple[str, ...]] = {
    "published": ("000", "100", "010", "001", "101", "010", "001", "111"),
    "fixed": ("000", "100", "010", "001", "110", "101", "011", "111"),
}
# In two dimensions nothing was ever wrong.
_FLAT_OFFSETS = ("00", "10", "01", "11")
# Stages of the transformer; the patch embedding before them halves the resolution once more.
_STAGES = 4


class PatchMerging(nn.Module):
    """Join the tokens of each 2x2x2 neighbourhood and map them to twice the channels of one.

    (batch, *space, channel) -> (batch, *space / 2, 2 * channel); odd axes are padded with zeros.
    """

    def __init__(self, channels: int, merging: Merging, dims: int) -> None:
        super().__init__()
        self._offsets = OFFSETS[merging] if dims == 3 else _FLAT_OFFSETS
        self.reduction = nn.Linear(2**dims * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(2**dims * channels)

    def forward(self, x: Tensor) -> Tensor:
        odd = [length % 2 for length in x.shape[1:-1]]
        if any(odd):
            x = functional.pad(x, [0, 0, *(value for more in reversed(odd) for value in (0, more))])
        parts = [x[(slice(None), *(slice(int(start), None, 2) for start in at))] for at in self._offsets]
        result: Tensor = self.reduction(self.norm(torch.cat(parts, -1)))
        return result


class _Level(nn.Module):
    """One resolution of the encoder: what leads there, and the convolutions on the skip connection, if there are any.

    way: the patch embedding, or a transformer stage that ends with merging; nothing at full resolution. skip: residual
    block, or nothing.
    """

    def __init__(self, way: nn.Module | None, skip: nn.Module | None) -> None:
        super().__init__()
        self.way = way
        self.skip = skip

    def tokens(self, finer: Tensor) -> Tensor:
        """Return this resolution's tokens from those of the finer one (the image itself at first)."""
        result: Tensor = finer if self.way is None else self.way(finer)
        return result

    def features(self, tokens: Tensor) -> Tensor:
        """Return what the decoder gets of these tokens."""
        features = tokens if self.way is None else _normalised(tokens)
        result: Tensor = features if self.skip is None else self.skip(features)
        return result


class SwinUNETR(EncoderDecoder):
    """Transformer encoder and convolutional decoder, returning logits of the input's size.

    With w = width, at 1 to 1/32 of the resolution:

    | part      | operations                                                        | channels | resolution |
    |-----------|-------------------------------------------------------------------|----------|------------|
    | encoder.0 | residual block on the input: skip                                 | w        | 1          |
    | encoder.1 | patch embedding; residual block: skip                             | w        | 1/2        |
    | encoder.2 | transformer stage, merging; residual block: skip                  | 2w       | 1/4        |
    | encoder.3 | transformer stage, merging; residual block: skip                  | 4w       | 1/8        |
    | encoder.4 | transformer stage, merging: skip                                  | 8w       | 1/16       |
    | encoder.5 | transformer stage, merging; residual block: the bottleneck        | 16w      | 1/32       |
    | decoder.i | transposed convolution 2; join skip; residual block (i = 0 to 4)  | 8w ... w | 1/16 to 1  |
    | head      | 1x1x1 convolution                                                 |          | 1          |

    Each resolution's tokens are normalised by their own mean and variance over channels before they leave the
    transformer. Arguments are those of `SwinUNETRSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 48,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        heads: tuple[int, ...] = (3, 6, 12, 24),
        window: int = 7,
        merging: Merging = "published",
        axes: Literal["zyx", "xyz"] = "zyx",
        dims: Literal[2, 3] = 3,
        pad: bool = False,
        head: Head = "convolution",
    ) -> None:
        values = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "depths": depths,
            "heads": heads,
            "window": window,
            "merging": merging,
            "axes": axes,
            "dims": dims,
            "pad": pad,
            "head": head,
        }
        super().__init__(validate(SwinUNETRSettings, values, where="SwinUNETR", error=NetworkError))
        from monai.networks.blocks.dynunet_block import UnetOutBlock
        from monai.networks.blocks.patchembedding import PatchEmbed
        from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock
        from monai.networks.nets.swin_unetr import BasicLayer

        def block(inputs: int, outputs: int) -> nn.Module:
            made: nn.Module = UnetrBasicBlock(dims, inputs, outputs, 3, 1, "instance", res_block=True)
            return made

        def stage(number: int) -> nn.Module:
            channels = width * 2**number
            made: nn.Module = BasicLayer(
                channels,
                depths[number],
                heads[number],
                (window,) * dims,
                drop_path=[0.0] * depths[number],
                qkv_bias=True,
            )
            # Ours, not MONAI's: what it calls "merging" depends on its version.
            made.downsample = PatchMerging(channels, merging, dims)
            return made

        embedding = PatchEmbed((2,) * dims, in_channels, width, norm_layer=None, spatial_dims=dims)
        self.encoder = nn.ModuleList(
            [
                _Level(None, block(in_channels, width)),
                _Level(embedding, block(width, width)),
                _Level(stage(0), block(2 * width, 2 * width)),
                _Level(stage(1), block(4 * width, 4 * width)),
                _Level(stage(2), None),
                _Level(stage(3), block(16 * width, 16 * width)),
            ]
        )
        self.decoder = nn.ModuleList(
            UnetrUpBlock(dims, inputs, outputs, 3, 2, "instance", res_block=True)
            for inputs, outputs in pairwise(width * times for times in (16, 8, 4, 2, 1, 1))
        )
        if head == "text_driven":
            self.head = TextDrivenHead(width, self.feature_channels, out_channels, dims)
        else:
            self.head = UnetOutBlock(dims, width, out_channels)
        make_sound(self)

    @property
    def levels(self) -> list[_Level]:
        """The levels of the encoder, finest first."""
        return [level for level in self.encoder if isinstance(level, _Level)]

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck, 768 for SuPreM's network."""
        return int(16 * self.settings.width)

    @property
    def channels_last(self) -> torch.memory_format | None:
        """None: its tokens are laid out by the transformer itself."""
        return None

    @property
    def traces_any_size(self) -> bool:
        """No: where its windows lie, and which tokens may see each other, follows from the size it was traced with."""
        return False

    @property
    def normalises_by(self) -> str:
        """The convolutions of the bottleneck have instance norm."""
        return "instance"

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `EncoderDecoder.encode`, but in the order of axes the network computes in."""
        tokens = self._turned(self._fit(x))
        skips: list[Tensor] = []
        for level in self.levels:
            tokens = level.tokens(tokens)
            skips.append(level.features(tokens))
        return skips.pop(), skips

    def decode(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """As `EncoderDecoder.decode`; what it returns is (z, y, x) again."""
        for level in self.decoder:
            bottleneck = level(bottleneck, skips.pop())
        return self._turned(bottleneck)

    def forward_features(self, x: Tensor) -> Tensor:
        """As `EncoderDecoder.forward_features`; (z, y, x) in any case, and without the skips."""
        tokens = self._turned(self._fit(x))
        for level in self.levels:
            tokens = level.tokens(tokens)
        return self._turned(self.levels[-1].features(tokens))

    def _turned(self, x: Tensor) -> Tensor:
        """Return (z, y, x) as (x, y, z) and the other way round, where the settings say so."""
        if self.settings.axes == "zyx":
            return x
        return x.permute(0, 1, *range(x.ndim - 1, 1, -1))


def _normalised(tokens: Tensor) -> Tensor:
    """Normalise each token over its channels, without learnt numbers: (batch, channel, *space), same."""
    axes = range(tokens.ndim)
    last = tokens.permute(0, *axes[2:], 1)
    # A plain number, also where sizes are traced.
    normed = functional.layer_norm(last, [int(last.shape[-1])])
    return normed.permute(0, axes[-1], *axes[1:-1])
