"""Model folders whose networks threshold the intensity, by weights set by hand, so that every result is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from genesis_core.model.card import LabelEntry, ModelCard
from genesis_core.model.folder import save_model
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import UNet3DSettings
from genesis_core.networks.unet3d import UNet3D
from genesis_core.volumes.preprocessing import Preprocessing

LIMITS = (-200.5, 150.5)
NAMES = ("soft tissue", "bone")
_STEEP = 1e4


def save_threshold_model(
    folder: Path,
    limits: Sequence[float] = LIMITS,
    names: Sequence[str] = NAMES,
    *,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    in_channels: int = 1,
    **card: Any,
) -> Path:
    """Write a model that finds the bands between `limits` (HU; sigmoid: all above each), summed over its channels."""
    units = [(limit + 1000 * in_channels) / 2000 for limit in limits]
    exclusive = activation == "softmax"
    settings = UNet3DSettings(
        width=1, depth=2, norm="batch", in_channels=in_channels, out_channels=len(limits) + exclusive
    )
    network = create_network(settings, seed=0)
    assert isinstance(network, UNet3D)
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.fill_(1.0 if "norm.weight" in name else 0.0)
        # The intensity goes along the skip connection untouched; the four channels from below come first there.
        state = network.state_dict()
        state["encoder.0.convolutions.0.convolution.weight"][0, :, 1, 1, 1] = 1
        state["encoder.0.convolutions.1.convolution.weight"][0, 0, 1, 1, 1] = 1
        state["decoder.0.convolutions.0.convolution.weight"][0, 4, 1, 1, 1] = 1
        state["decoder.0.convolutions.1.convolution.weight"][0, 0, 1, 1, 1] = 1
        if exclusive:
            # Lines whose upper envelope changes hands at the limits.
            for k, total in enumerate(itertools.accumulate(units, initial=0.0)):
                state["head.weight"][k, 0], state["head.bias"][k] = _STEEP * k, -_STEEP * total
        else:
            for k, unit in enumerate(units):
                state["head.weight"][k, 0], state["head.bias"][k] = _STEEP, -_STEEP * unit
    facts: dict[str, Any] = {
        "name": "threshold",
        "task": "segmentation",
        "network": settings,
        "activation": activation,
        "preprocessing": Preprocessing.model_validate({"modality": "ct"}),
        "patch_size": (8, 16, 16),
        "structures": tuple(LabelEntry(name=name, value=k + 1) for k, name in enumerate(names)),
    }
    save_model(folder, network, ModelCard(**{**facts, **card}))
    return folder


def bands(array: NDArray[Any], limits: Sequence[float] = LIMITS) -> NDArray[np.uint8]:
    """Return what such a model finds: how many limits each voxel lies above."""
    return np.sum([array > limit for limit in limits], axis=0).astype(np.uint8)
