"""Networks: the published 3D U-Net and the other backbones. Names are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Public name -> the module it lives in.
_PUBLIC = {
    "UNet3D": "unet3d",
    "SegResNet": "segresnet",
    "SwinUNETR": "swin_unetr",
    "DynUNet": "dynunet",
    "NNUNet": "nnunet",
    "ResNet": "resnet",
    "UNet3DSettings": "settings",
    "SegResNetSettings": "monai_settings",
    "SwinUNETRSettings": "monai_settings",
    "DynUNetSettings": "monai_settings",
    "NNUNetSettings": "nnunet_settings",
    "ResNetSettings": "resnet_settings",
    "NetworkSettings": "settings",
    "create_network": "registry",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from genesis_core.networks.dynunet import DynUNet as DynUNet
    from genesis_core.networks.monai_settings import DynUNetSettings as DynUNetSettings
    from genesis_core.networks.monai_settings import SegResNetSettings as SegResNetSettings
    from genesis_core.networks.monai_settings import SwinUNETRSettings as SwinUNETRSettings
    from genesis_core.networks.nnunet import NNUNet as NNUNet
    from genesis_core.networks.nnunet_settings import NNUNetSettings as NNUNetSettings
    from genesis_core.networks.registry import create_network as create_network
    from genesis_core.networks.resnet import ResNet as ResNet
    from genesis_core.networks.resnet_settings import ResNetSettings as ResNetSettings
    from genesis_core.networks.segresnet import SegResNet as SegResNet
    from genesis_core.networks.settings import NetworkSettings as NetworkSettings
    from genesis_core.networks.settings import UNet3DSettings as UNet3DSettings
    from genesis_core.networks.swin_unetr import SwinUNETR as SwinUNETR
    from genesis_core.networks.unet3d import UNet3D as UNet3D


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"genesis_core.networks.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'genesis_core.networks' has no attribute '{name}'")
