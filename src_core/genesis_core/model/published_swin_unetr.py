"""Checkpoints of Swin UNETR named as MONAI's network: SuPreM's, and the self-supervised one on 5,050 scans.

Their axes stay (x, y, z), since attention is bound to their order, and their merging is MONAI's of before 1.5: both are
settings of our network, which keeps the weights exactly as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError
from torch import Tensor

from genesis_core.model.layout import Layout, count_of, size_of
from genesis_core.networks.monai_settings import SwinUNETRSettings

_STAGES = (1, 2, 3, 4)
# Blocks on the skip connections: our level -> the file's number.
_SKIPS = {0: 1, 1: 2, 2: 3, 3: 4, 5: 10}
_PAIRS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.linear1", "mlp.linear2")
_BOTH = ("weight", "bias")


def _names(settings: SwinUNETRSettings) -> dict[str, str]:
    """Return our parameter name -> the published one, 159 with two blocks a stage."""
    names = {f"encoder.1.way.proj.{kind}": f"swinViT.patch_embed.proj.{kind}" for kind in _BOTH}
    for stage, blocks in zip(_STAGES, settings.depths, strict=True):
        ours, theirs = f"encoder.{stage + 1}.way", f"swinViT.layers{stage}.0"
        within = [f"blocks.{block}.{part}.{kind}" for block in range(blocks) for part in _PAIRS for kind in _BOTH]
        for block in range(blocks):
            within += [f"blocks.{block}.attn.relative_position_{what}" for what in ("bias_table", "index")]
        within += ["downsample.reduction.weight", "downsample.norm.weight", "downsample.norm.bias"]
        names |= {f"{ours}.{name}": f"{theirs}.{name}" for name in within}
    for level, number in _SKIPS.items():
        # Where a block changes the number of channels, a third convolution leads past it.
        convolutions = (1, 2, 3) if level == 0 else (1, 2)
        for n in convolutions:
            name = f"layer.conv{n}.conv.weight"
            names[f"encoder.{level}.skip.{name}"] = f"encoder{number}.{name}"
    for level in range(5):
        for name in ("transp_conv.conv.weight", *(f"conv_block.conv{n}.conv.weight" for n in (1, 2, 3))):
            names[f"decoder.{level}.{name}"] = f"decoder{5 - level}.{name}"
    return {**names, **{f"head.conv.conv.{kind}": f"out.conv.conv.{kind}" for kind in _BOTH}}


def _settings(tensors: Mapping[str, Tensor]) -> SwinUNETRSettings:
    """Return the settings of the network a file was written from; what it tells absurdly is taken as published."""
    width, in_channels = size_of(tensors, "swinViT.patch_embed.proj.weight", 5, default=(48, 1))
    out_channels, _ = size_of(tensors, "out.conv.conv.weight", 5, default=(1, 0))
    places = [f"swinViT.layers{stage}.0.blocks.0.attn.relative_position_bias_table" for stage in _STAGES]
    tables = [size_of(tensors, name, 2, default=(13**3, 3 * 2**n)) for n, name in enumerate(places)]
    try:
        return SwinUNETRSettings(
            width=width,
            in_channels=in_channels,
            out_channels=out_channels,
            depths=tuple(count_of(tensors, rf"swinViT\.layers{stage}\.0\.blocks\.(\d+)\.") for stage in _STAGES),
            heads=tuple(heads for _, heads in tables),
            # The table holds an entry for each offset between two tokens of a window: (2 w - 1) along each axis.
            window=(round(tables[0][0] ** (1 / 3)) + 1) // 2,
            merging="published",
            axes="xyz",
        )
    except ValidationError:
        return SwinUNETRSettings(axes="xyz")


SWIN_UNETR = Layout(
    kind="swin_unetr",
    title="Swin UNETR (MONAI before 1.5)",
    pattern=re.compile(r"(swinViT|encoder(1|2|3|4|10)|decoder[1-5])\.(?!\d)"),
    settings=_settings,
    names=_names,
    buffers=None,
    turned=False,
)
