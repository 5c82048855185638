"""The running average of the weights (EMA), which is steadier than any single state of a short training.

A "best" state picked on a few validation cases is picked by luck; the average of the last steps needs no picking.
Source: Polyak and Juditsky 1992; the decay and its warm-up are those in common use (Tarvainen and Valpola 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim.swa_utils import AveragedModel

    Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of `network` that follows it: call `update_parameters(network)` after every step.

    decay: weight of the past, in (0, 1). Early on it is smaller, (1 + n) / (10 + n) after n steps, so that the
    initial weights are soon forgotten. Buffers (running statistics) are copied.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel

    def follow(averages: Tensors, current: Tensors, count: torch.Tensor | int) -> None:
        steps = int(count)
        with torch.no_grad():
            torch._foreach_lerp_(list(averages), list(current), 1 - min(decay, (1 + steps) / (10 + steps)))

    model = AveragedModel(network, multi_avg_fn=follow)
    model.requires_grad_(False)
    return model
