"""What the training loop knows of the thing it trains: a `Task` draws batches, gives a loss, validates and previews.

Pre-training, segmentation and classification differ only in their task object. `sample` is a pure function of its
arguments, so a checkpoint needs no state of any generator and a resumed run draws what an unbroken one would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class DeferredCorruption(Protocol):
    """What is still to be done to a batch's inputs, where they are: a pure function, decided beforehand."""

    def to(self, device: torch.device) -> Self:
        """Return it with its arrays on `device`."""
        ...

    def only(self, index: int) -> Self:
        """Return that of one sample alone, on the CPU."""
        ...

    def apply(self, x: Tensor) -> Tensor:
        """Return the inputs (batch, channel, z, y, x) as a network is to see them; `x` is not changed."""
        ...


@dataclass(frozen=True)
class Batch:
    """Inputs and targets (batch, channel, z, y, x) float32, and where each sample came from.

    origins: one phrase per sample that names it to a person ("scan_3f.. at 10,64,80"). drawn, fallbacks: how many
    sub-volumes were drawn, and how many of them are a last resort after every try was refused. weights: of each voxel
    in the loss, in the shape of the targets; None: all alike. corruption: what the task shall do to the inputs once
    they are on the device; None: they are as the network is to see them.
    """

    inputs: Tensor
    targets: Tensor
    origins: tuple[str, ...]
    drawn: int = 0
    fallbacks: int = 0
    weights: Tensor | None = None
    corruption: DeferredCorruption | None = None

    def only(self, index: int) -> Batch:
        """Return the batch of one sample alone."""
        one = slice(index, index + 1)
        weights = None if self.weights is None else self.weights[one]
        corruption = None if self.corruption is None else self.corruption.only(index)
        return Batch(self.inputs[one], self.targets[one], self.origins[one], weights=weights, corruption=corruption)

    def to(self, device: torch.device, memory_format: torch.memory_format | None = None) -> Batch:
        """Return the batch on `device`, in `memory_format` where the arrays are volumes."""
        move: dict[str, Any] = {"device": device, "non_blocking": True}
        if memory_format is not None:
            move["memory_format"] = memory_format
        targets = self.targets.to(**move)
        return replace(
            self,
            # Inputs that are the targets, still to be corrupted, travel once.
            inputs=targets if self.inputs is self.targets else self.inputs.to(**move),
            targets=targets,
            weights=None if self.weights is None else self.weights.to(**move),
            corruption=None if self.corruption is None else self.corruption.to(device),
        )


class Task(Protocol):
    """Anything the loop can train. transfers: which part of the network a later fine-tuning starts from."""

    transfers: Literal["encoder", "encoder+decoder"]
    held_out: bool
    """Whether `validate` measures on scans that are never trained on, so that a best state can be chosen by it."""

    def sample(self, seed: int, step: int, indices: Sequence[int]) -> Batch:
        """Draw the samples `indices` of step `step`'s global batch: a pure function of its arguments."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the scalar loss to minimise, and figures worth logging."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return figures measured on a fixed set; the first key is the one monitored, lower is better."""
        ...

    def preview(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        """Return small arrays for a viewer, by name, each (sample, z, y, x)."""
        ...

    def advise(self, figures: dict[str, float]) -> str | None:
        """Return a warning for the user if `figures` of a validation show that something goes wrong, else None."""
        ...
