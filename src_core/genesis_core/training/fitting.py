"""What a training step does where memory is too small for a batch: pass it in pieces, or say what to lower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from genesis_core.task import Batch
from genesis_core.training.failures import OutOfMemoryError, memory_advice
from genesis_core.training.hardware import memory_in_words
from genesis_core.training.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


def pieces(batch: Batch, most: int | None) -> Iterator[Batch]:
    """Yield the batch, whose inputs are as the network is to see them, in pieces of at most `most`; None: whole."""
    count = len(batch.origins)
    if most is None or count <= most:
        yield batch
        return
    for first in range(0, count, most):
        rows = slice(first, first + most)
        weights = None if batch.weights is None else batch.weights[rows]
        yield Batch(batch.inputs[rows], batch.targets[rows], batch.origins[rows], weights=weights)


def shares(batch: Batch, piece: Batch, samples: int) -> float | Tensor:
    """Return how many pieces like this one a step of `samples` sub-volumes has, by which its loss is divided.

    A loss over weighted voxels is a mean over those: then pieces of a batch count by their weights.
    """
    if piece.weights is None or batch.weights is None or piece is batch:
        return samples / len(piece.origins)
    # A piece without weights has no loss, and counts for nothing: its share is infinite.
    return samples / len(batch.origins) * batch.weights.sum().clamp_min(1) / piece.weights.sum()


def halved(network: nn.Module, settings: TrainingSettings, samples: int) -> tuple[int, str]:
    """Return how many sub-volumes to pass at a time where `samples` were too many, and a sentence that says so."""
    fewer = (samples + 1) // 2
    total = settings.batch_size * settings.accumulate
    norm = getattr(network, "normalises_by", "")
    among = (
        f"; its norms see the statistics of {fewer} instead of {samples} sub-volumes"
        if norm in ("batch", "batch_statistics")
        else ""
    )
    return fewer, (
        f"not enough memory for {samples} sub-volumes at a time: from here on {fewer} at a time pass through the "
        f"network, and the gradients of the same {total} are added for each step{among}"
    )


def out_of_memory(
    network: nn.Module, settings: TrainingSettings, parts: Sequence[Batch], samples: int, device: str
) -> OutOfMemoryError:
    """Return the error for a step on `parts`, of which `samples` at a time were too many, with this run's numbers."""
    width = getattr(getattr(network, "settings", None), "width", None)
    patch = tuple(parts[0].inputs.shape[2:])
    return OutOfMemoryError(memory_advice(settings, samples, patch, width, memory_in_words(device)))
