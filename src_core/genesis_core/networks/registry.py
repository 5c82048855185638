"""The table of backbones, and the one function that builds a network from its settings.

A new backbone is one file with its settings and its module, and one line in `BACKBONES`. Importing this loads no torch;
the module is imported when a network is built.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, SerializeAsAny

from genesis_core.networks.monai_settings import DynUNetSettings, SegResNetSettings, SwinUNETRSettings
from genesis_core.networks.nnunet_settings import NNUNetSettings
from genesis_core.networks.resnet_settings import ResNetSettings
from genesis_core.networks.settings import NetworkSettings, UNet3DSettings

if TYPE_CHECKING:
    from torch import nn


class Backbone(NamedTuple):
    """settings: the model that declares the parameters. module, network: the `nn.Module` that takes them by name."""

    settings: type[NetworkSettings]
    module: str
    network: str


BACKBONES: dict[str, Backbone] = {
    "unet3d": Backbone(UNet3DSettings, "genesis_core.networks.unet3d", "UNet3D"),
    "segresnet": Backbone(SegResNetSettings, "genesis_core.networks.segresnet", "SegResNet"),
    "swin_unetr": Backbone(SwinUNETRSettings, "genesis_core.networks.swin_unetr", "SwinUNETR"),
    "dynunet": Backbone(DynUNetSettings, "genesis_core.networks.dynunet", "DynUNet"),
    "resnet": Backbone(ResNetSettings, "genesis_core.networks.resnet", "ResNet"),
    "nnunet": Backbone(NNUNetSettings, "genesis_core.networks.nnunet", "NNUNet"),
}


def network_settings(values: Any) -> NetworkSettings:
    """Return the settings of the backbone that `values["kind"]` names (settings are returned as they are).

    Raises ValueError for an unknown kind, and pydantic's ValidationError for values out of bounds or unknown keys.
    """
    if isinstance(values, NetworkSettings):
        return values
    if not isinstance(values, Mapping):
        raise ValueError("expected 'key: value' lines with a 'kind'")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in BACKBONES:
        raise ValueError(f"unknown kind of network {kind!r}: choose from {', '.join(sorted(BACKBONES))}")
    return BACKBONES[kind].settings.model_validate(dict(values))


def with_defaults(values: Any, defaults: NetworkSettings, *names: str) -> Any:
    """Return partly given settings with a kind, and those of `names` left open that their kind knows, from `defaults`.

    Anything but a mapping is returned as it is.
    """
    if not isinstance(values, Mapping):
        return values
    values = {"kind": defaults.kind, **values}
    backbone = BACKBONES.get(values["kind"]) if isinstance(values["kind"], str) else None
    known = backbone.settings.model_fields if backbone is not None else {}
    return {**{name: getattr(defaults, name) for name in names if name in known}, **values}


# A pydantic field that holds the settings of any backbone in the table.
AnyNetworkSettings = Annotated[SerializeAsAny[NetworkSettings], BeforeValidator(network_settings)]


def create_network(settings: NetworkSettings, seed: int | None = None) -> nn.Module:
    """Build the network, on the CPU, in training mode, returning logits for (batch, channel, z, y, x) input.

    seed: makes the initial weights a function of (settings, seed) alone and leaves torch's own generator untouched;
    without it they come from that generator. Raises NetworkError for a kind that is not in the table.
    """
    from genesis_core.errors import NetworkError

    if settings.kind not in BACKBONES:
        raise NetworkError(f"unknown kind of network '{settings.kind}': choose from {', '.join(sorted(BACKBONES))}")
    backbone = BACKBONES[settings.kind]
    make = getattr(importlib.import_module(backbone.module), backbone.network)
    values = settings.model_dump(exclude={"kind"})
    network: nn.Module
    if seed is None:
        network = make(**values)
    else:
        from genesis_core.networks.initialisation import seeded

        with seeded(seed, settings.kind):
            network = make(**values)
    return network
