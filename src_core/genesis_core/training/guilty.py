"""Which sub-volumes of a step are to blame where its loss is not a number, and a sentence that names them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch

from genesis_core.task import Batch, Task

if TYPE_CHECKING:
    from torch import nn


def guilty_samples(
    task: Task, network: nn.Module, parts: Sequence[Batch], autocast: AbstractContextManager[None]
) -> list[str]:
    """Return the origins whose loss alone is not finite; none, if only a whole batch or its gradient is bad.

    parts: on the network's device, their inputs as the network is to see them. Running statistics of the network take
    in what passes through.
    """
    guilty = []
    with torch.no_grad(), autocast:
        for part in parts:
            for index, origin in enumerate(part.origins):
                if not bool(torch.isfinite(task.loss(network, part.only(index))[0])):
                    guilty.append(origin)
    return guilty


def not_a_number(step: int, names: Sequence[str], *, is_loss: bool, are_guilty: bool) -> str:
    """Return what the user is told. step: counted from 0. names: of the guilty sub-volumes, or of all of the step."""
    return (
        f"{'the loss' if is_loss else 'the gradient'} is not a number at step {step + 1}, on "
        f"{'' if are_guilty else 'one of '}{', '.join(names)}. The state before this step is kept in "
        "checkpoints/last.pt. Look at that sub-volume; if it is sound, start again with a lower "
        "training.learning_rate, or with training.precision=float32"
    )
