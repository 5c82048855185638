"""Refusing a patch that the network cannot take before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis_core.errors import NetworkError, SettingsError

if TYPE_CHECKING:
    from torch import nn


def check_patch(network: nn.Module, channels: int, patch_size: Sequence[int]) -> None:
    """Let one empty batch through; raises SettingsError if the network refuses it."""
    import torch

    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(2, channels, *patch_size, device=next(network.parameters()).device))
    except NetworkError as problem:
        raise SettingsError(f"sampling.patch_size {tuple(patch_size)}: {problem}") from None
