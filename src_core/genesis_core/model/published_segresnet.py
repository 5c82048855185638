"""SuPreM's SegResNet checkpoint, named as MONAI's network: what its tensors are called and how they become ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError
from torch import Tensor

from genesis_core.model.layout import Layout, count_of, size_of
from genesis_core.networks.monai_settings import SegResNetSettings


def _block(ours: str, theirs: str) -> dict[str, str]:
    """Return the six tensors of a residual block: two norms with scale and shift, two convolutions without bias."""
    names = {f"{ours}.norm{n}.{kind}": f"{theirs}.norm{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}
    return {**names, **{f"{ours}.conv{n}.conv.weight": f"{theirs}.conv{n}.conv.weight" for n in (1, 2)}}


def _names(settings: SegResNetSettings) -> dict[str, str]:
    """Return our parameter name -> the published one, 83 with the published numbers of blocks."""
    names = {"encoder.0.convolution.conv.weight": "convInit.conv.weight"}
    for level, blocks in enumerate(settings.blocks_down):
        # Place 0 of a level halves the resolution; on the first level nothing stands there.
        ours = "encoder.0.blocks" if level == 0 else f"encoder.{level}"
        if level:
            names[f"{ours}.0.conv.weight"] = f"down_layers.{level}.0.conv.weight"
        for block in range(1, blocks + 1):
            names |= _block(f"{ours}.{block}", f"down_layers.{level}.{block}")
    for level, blocks in enumerate(settings.blocks_up):
        names[f"decoder.{level}.up.0.conv.weight"] = f"up_samples.{level}.0.conv.weight"
        for block in range(blocks):
            names |= _block(f"decoder.{level}.blocks.{block}", f"up_layers.{level}.{block}")
    for kind in ("weight", "bias"):
        names[f"decoder.{len(settings.blocks_up)}.0.{kind}"] = f"conv_final.0.{kind}"
        names[f"head.conv.{kind}"] = f"conv_final.2.conv.{kind}"
    return names


def _settings(tensors: Mapping[str, Tensor]) -> SegResNetSettings:
    """Return the settings of the network a file was written from; what it tells absurdly is taken as published."""
    width, in_channels = size_of(tensors, "convInit.conv.weight", 5, default=(16, 1))
    out_channels, _ = size_of(tensors, "conv_final.2.conv.weight", 5, default=(1, 0))
    levels = range(count_of(tensors, r"down_layers\.(\d+)\."))
    down = tuple(count_of(tensors, rf"down_layers\.{level}\.(\d+)\.(?:norm|conv)\d") for level in levels)
    up = tuple(count_of(tensors, rf"up_layers\.{level}\.(\d+)\.") for level in levels[:-1])
    try:
        return SegResNetSettings(
            width=width, in_channels=in_channels, out_channels=out_channels, blocks_down=down, blocks_up=up
        )
    except ValidationError:
        return SegResNetSettings()


SEGRESNET = Layout(
    kind="segresnet",
    title="SegResNet (MONAI)",
    pattern=re.compile(r"(convInit|down_layers|up_layers|up_samples|conv_final)\."),
    settings=_settings,
    names=_names,
    buffers=None,
    turned=True,
)
