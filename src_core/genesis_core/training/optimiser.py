"""The optimiser of a training, from its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from genesis_core.training.settings import TrainingSettings

# Source: Zhou et al. 2021, published training script.
_MOMENTUM = 0.9


def make_optimiser(
    network: nn.Module, settings: TrainingSettings, groups: Iterable[dict[str, Any]] | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of `settings` over all parameters; norms and biases are decayed like the rest.

    groups: of `parameter_groups`; None: one group of all parameters.
    """
    parameters: Any = network.parameters() if groups is None else groups
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, settings.learning_rate, momentum=_MOMENTUM, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay)
