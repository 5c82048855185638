"""MONAI's SegResNet with its parts named by level, so that transfer and freezing treat it as any other backbone.

The blocks are MONAI's own (Apache-2.0); here stands what joins them, which is checked against MONAI's forward pass.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.monai_settings import SegResNetSettings
from genesis_core.networks.sound_convolution import make_sound
from genesis_core.settings import validate


class _FirstLevel(nn.Module):
    """The first convolution and the blocks at full resolution."""

    def __init__(self, convolution: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(self.convolution(x))
        return result


class _DecoderLevel(nn.Module):
    """Fewer channels and doubled resolution, the skip added, then the blocks."""

    def __init__(self, up: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.blocks = blocks

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.blocks(self.up(x) + skip)
        return result


class SegResNet(EncoderDecoder):
    """Residual encoder-decoder, returning logits of the input's size; skips are added, not concatenated.

    With w = width and four levels: encoder.0 to encoder.3 have w, 2w, 4w, 8w channels at 1, 1/2, 1/4, 1/8 of the
    resolution; decoder.0 to decoder.2 come back to w, decoder.3 is a norm and ReLU; the head is a 1x1x1 convolution.
    Arguments are those of `SegResNetSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 16,
        blocks_down: tuple[int, ...] = (1, 2, 2, 4),
        blocks_up: tuple[int, ...] = (1, 1, 1),
        dims: Literal[2, 3] = 3,
        pad: bool = False,
    ) -> None:
        values = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "blocks_down": blocks_down,
            "blocks_up": blocks_up,
            "dims": dims,
            "pad": pad,
        }
        super().__init__(validate(SegResNetSettings, values, where="SegResNet", error=NetworkError))
        from monai.networks.nets.segresnet import SegResNet as MonaiSegResNet

        made = MonaiSegResNet(
            spatial_dims=dims,
            init_filters=width,
            in_channels=in_channels,
            out_channels=out_channels,
            blocks_down=blocks_down,
            blocks_up=blocks_up,
        )
        first, *others = made.down_layers
        self.encoder = nn.ModuleList([_FirstLevel(made.convInit, first), *others])
        levels = [_DecoderLevel(up, blocks) for up, blocks in zip(made.up_samples, made.up_layers, strict=True)]
        norm, activation, self.head = made.conv_final
        # The last norm belongs to the features, not to what they are used for: it is transferred with them.
        self.decoder = nn.ModuleList([*levels, nn.Sequential(norm, activation)])
        make_sound(self)

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck, 128 for SuPreM's network."""
        return int(self.settings.width * 2 ** (len(self.settings.blocks_down) - 1))

    def decode(self, bottleneck: Tensor, skips: list[Tensor]) -> Tensor:
        """As `EncoderDecoder.decode`."""
        for level in self.decoder[:-1]:
            bottleneck = level(bottleneck, skips.pop())
        features: Tensor = self.decoder[-1](bottleneck)
        return features
