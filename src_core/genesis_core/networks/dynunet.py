"""MONAI's DynUNet, the U-Net of nnU-Net, with its parts named by level and registered once.

The blocks are MONAI's own (Apache-2.0); MONAI's module also lists each of them a second time, as nested skip layers,
which doubles its state dict. What joins them stands here, and is checked against MONAI's forward pass.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from genesis_core.errors import NetworkError
from genesis_core.networks.encoder_decoder import EncoderDecoder
from genesis_core.networks.monai_settings import DynUNetSettings
from genesis_core.networks.sound_convolution import make_sound
from genesis_core.settings import validate


class DynUNet(EncoderDecoder):
    """U-Net with strided convolutions down and transposed ones up, returning logits of the input's size.

    Level l has min(width * 2^l, largest) channels; levels up to `flat_levels` leave z alone. Arguments are those of
    `DynUNetSettings`. Raises NetworkError for values out of bounds.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 32,
        largest: int = 320,
        depth: int = 5,
        flat_levels: int = 0,
        residual: bool = False,
        norm: Literal["instance", "batch"] = "instance",
        dims: Literal[2, 3] = 3,
        pad: bool = False,
    ) -> None:
        values = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "largest": largest,
            "depth": depth,
            "flat_levels": flat_levels,
            "residual": residual,
            "norm": norm,
            "dims": dims,
            "pad": pad,
        }
        super().__init__(validate(DynUNetSettings, values, where="DynUNet", error=NetworkError))
        from monai.networks.nets.dynunet import DynUNet as MonaiDynUNet

        strides = self.settings.level_strides
        made = MonaiDynUNet(
            spatial_dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=self.settings.level_kernels,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=self.settings.filters,
            norm_name=("instance", {"affine": True}) if norm == "instance" else "batch",
            res_block=residual,
        )
        self.encoder = nn.ModuleList([made.input_block, *made.downsamples, made.bottleneck])
        self.decoder = nn.ModuleList(made.upsamples)
        self.head = made.output_block
        make_sound(self)

    @property
    def feature_channels(self) -> int:
        """Channels of the bottleneck."""
        return int(self.settings.filters[-1])
