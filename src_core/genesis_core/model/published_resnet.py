"""MedicalNet's 3D ResNets: what their tensors are called and how they become the encoder of ours.

The files hold an encoder; a decoder (`conv_seg`), where one is there, belongs to other data and is dropped. Kernels are
(z, y, x) already: the published reading code calls its axes depth, height, width, and its input is 56 x 448 x 448.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError
from torch import Tensor

from genesis_core.model.layout import Layout, count_of, size_of
from genesis_core.networks.resnet_settings import BUILDS, ResNetSettings

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _normed(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for kind in _NORM}


def _names(settings: ResNetSettings) -> dict[str, str]:
    """Return our name in the encoder -> the published one: 72 with 10 layers, 318 with 50."""
    build = settings.build
    names = {"encoder.0.convolution.weight": "conv1.weight", **_normed("encoder.0.norm", "bn1")}
    for stage, blocks in enumerate(build.blocks, 1):
        for block in range(blocks):
            ours, theirs = f"encoder.{stage}.blocks.{block}", f"layer{stage}.{block}"
            for n in range(2 if build.expansion == 1 else 3):
                names[f"{ours}.convolutions.{n}.weight"] = f"{theirs}.conv{n + 1}.weight"
                names |= _normed(f"{ours}.norms.{n}", f"{theirs}.bn{n + 1}")
        # The first stage changes neither channels nor size, unless its blocks expand.
        if build.shortcut == "B" and (stage > 1 or build.expansion > 1):
            names[f"encoder.{stage}.blocks.0.shortcut.0.weight"] = f"layer{stage}.0.downsample.0.weight"
            names |= _normed(f"encoder.{stage}.blocks.0.shortcut.1", f"layer{stage}.0.downsample.1")
    return names


def _settings(tensors: Mapping[str, Tensor]) -> ResNetSettings:
    """Return the settings of the network a file was written from; what it tells absurdly is taken as published."""
    width, in_channels = size_of(tensors, "conv1.weight", 5, default=(64, 1))
    blocks = tuple(count_of(tensors, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    expansion = 4 if "layer1.0.conv3.weight" in tensors else 1
    depth = next((n for n, build in BUILDS.items() if (build.blocks, build.expansion) == (blocks, expansion)), 10)
    try:
        return ResNetSettings.model_validate({"depth": depth, "width": width, "in_channels": in_channels})
    except ValidationError:
        return ResNetSettings.model_validate({"depth": depth})


RESNET = Layout(
    kind="resnet",
    title="3D ResNet of MedicalNet",
    pattern=re.compile(r"((conv1|bn1)\.|layer[1-4]\.\d+\.|conv_seg\.)"),
    settings=_settings,
    names=_names,
    buffers=None,
    turned=False,
    dropped=(re.compile(r"conv_seg\..*"), "a decoder for its own data"),
    parts="encoder",
)
