"""Checkpoints of nnU-Net and nnssl: what their tensors are called and how they become those of our network.

The whole network is told by the tensors themselves: channels, kernels and blocks by their shapes and names, strides by
the kernels of the transposed convolutions. Axes are (z, y, x), as nnU-Net reads scans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from genesis_core.model.layout import Layout, count_of
from genesis_core.networks.nnunet_settings import NNUNetSettings

_NORMS = {
    "instance": ("weight", "bias"),
    "batch": ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
}


def _names(settings: NNUNetSettings) -> dict[str, str]:
    """Return our parameter name -> the published one."""
    names: dict[str, str] = {}

    def convolution(ours: str, theirs: str, bias: bool = True) -> None:
        for kind in ("weight", "bias") if bias else ("weight",):
            names[f"{ours}.convolution.{kind}"] = f"{theirs}.conv.{kind}"
        for kind in _NORMS[settings.norm]:
            names[f"{ours}.norm.{kind}"] = f"{theirs}.norm.{kind}"

    filters = settings.filters
    if settings.residual:
        convolution("encoder.0.stem", "encoder.stem.convs.0")
    for level, count in enumerate(settings.blocks):
        for block in range(count):
            ours = f"encoder.{level}.blocks.{block}"
            if not settings.residual:
                convolution(ours, f"encoder.stages.{level}.0.convs.{block}")
                continue
            theirs = f"encoder.stages.{level}.blocks.{block}"
            convolution(f"{ours}.first", f"{theirs}.conv1")
            convolution(f"{ours}.second", f"{theirs}.conv2")
            if block == 0 and level and filters[level] != filters[level - 1]:
                # Place 0 of a shortcut pools, where there is a stride; else the convolution stands there.
                place = int(max(settings.level_strides[level][-settings.dims :]) > 1)
                convolution(f"{ours}.shortcut.way", f"{theirs}.skip.{place}", bias=False)
    last = len(settings.decoder_blocks) - 1
    for level, count in enumerate(settings.decoder_blocks):
        for kind in ("weight", "bias"):
            names[f"decoder.{level}.up.{kind}"] = f"decoder.transpconvs.{level}.{kind}"
            names[f"head.{kind}"] = f"decoder.seg_layers.{last}.{kind}"
        for block in range(count):
            convolution(f"decoder.{level}.blocks.{block}", f"decoder.stages.{level}.convs.{block}")
    return names


def _settings(tensors: Mapping[str, Tensor]) -> NNUNetSettings:
    """Return the settings of the network a file was written from; what it tells absurdly is taken as the default."""
    residual = "encoder.stem.convs.0.conv.weight" in tensors
    within = r"blocks\.(\d+)\." if residual else r"0\.convs\.(\d+)\."
    first = "blocks.0.conv1.conv.weight" if residual else "0.convs.0.conv.weight"
    depth = count_of(tensors, r"encoder\.stages\.(\d+)\.")
    shapes = [_shape(tensors, f"encoder.stages.{level}.{first}") for level in range(depth)]
    entry = _shape(tensors, "encoder.stem.convs.0.conv.weight" if residual else f"encoder.stages.0.{first}")
    ups = [_shape(tensors, f"decoder.transpconvs.{depth - 1 - level}.weight") for level in range(1, depth)]
    head = _shape(tensors, f"decoder.seg_layers.{depth - 2}.weight")
    plain = (1, 1, *(3,) * 3)
    values: dict[str, Any] = {
        "in_channels": (entry or plain)[1],
        "out_channels": (head or plain)[0],
        "dims": len(entry or plain) - 2,
        "residual": residual,
        "width": (entry or plain)[0],
        "largest": max((shape[0] for shape in shapes if shape), default=1),
        "level_kernels": tuple(_three((shape or plain)[2:]) for shape in shapes),
        # Without a decoder nothing tells the strides; all such files that are known halve every axis.
        "level_strides": ((1, 1, 1), *(_three(shape[2:]) if shape else (2, 2, 2) for shape in ups)),
        "blocks": tuple(count_of(tensors, rf"encoder\.stages\.{level}\.{within}") for level in range(depth)),
        "decoder_blocks": tuple(
            count_of(tensors, rf"decoder\.stages\.{level}\.convs\.(\d+)\.") or 1 for level in range(depth - 1)
        ),
        "norm": "batch" if any(name.endswith("running_mean") for name in tensors) else "instance",
    }
    try:
        return NNUNetSettings.model_validate(values)
    except ValidationError:
        return NNUNetSettings()


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    tensor = tensors.get(name)
    return tuple(tensor.shape) if tensor is not None and tensor.ndim in (4, 5) and min(tensor.shape) > 0 else ()


def _three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return sizes along z, y, x; of a network of slices, 1 along z."""
    return (1,) * (3 - len(sizes)) + sizes


NNUNET = Layout(
    kind="nnunet",
    title="U-Net of nnU-Net v2 and nnssl",
    pattern=re.compile(r"(encoder\.(stages|stem)|decoder\.(stages|transpconvs|seg_layers|encoder))\."),
    settings=_settings,
    names=_names,
    buffers=None,
    turned=False,
    dropped=(
        re.compile(r"decoder\.encoder\..*|.*\.all_modules\.\d+\..*|decoder\.seg_layers\.\d+\..*"),
        "the same numbers under a second name, or an output at a coarser level",
    ),
    decoder="decoder.stages.",
)
