"""Networks: the published 3D U-Net and its variations. Names are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Public name -> the module it lives in.
_PUBLIC = {
    "UNet3D": "unet3d",
    "UNet3DSettings": "settings",
    "NetworkSettings": "settings",
    "create_network": "registry",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from genesis_core.networks.registry import create_network as create_network
    from genesis_core.networks.settings import NetworkSettings as NetworkSettings
    from genesis_core.networks.settings import UNet3DSettings as UNet3DSettings
    from genesis_core.networks.unet3d import UNet3D as UNet3D


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"genesis_core.networks.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'genesis_core.networks' has no attribute '{name}'")
