"""Sending a batch to the device: page-locked by the thread that draws, and corrupted there where it is to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from genesis_core.task import Batch


def pinned(batch: Batch) -> Batch:
    """Return the batch where a GPU fetches it by itself while the CPU goes on, its deferred corruption included.

    Raises RuntimeError where there is no such memory (without CUDA).
    """
    targets = batch.targets.pin_memory()
    # Not every deferred corruption has arrays of its own.
    corruption: Any = batch.corruption
    return replace(
        batch,
        # Inputs that are the targets, still to be corrupted, travel once.
        inputs=targets if batch.inputs is batch.targets else batch.inputs.pin_memory(),
        targets=targets,
        weights=None if batch.weights is None else batch.weights.pin_memory(),
        corruption=corruption.pinned() if hasattr(corruption, "pinned") else corruption,
    )


def on_device(batch: Batch, device: torch.device, memory_format: torch.memory_format | None) -> Batch:
    """Return the batch on `device`, in `memory_format`, its inputs as the network is to see them."""
    batch = batch.to(device, memory_format)
    if batch.corruption is None:
        return batch
    inputs = batch.corruption.apply(batch.inputs)
    if memory_format is not None:
        inputs = inputs.to(memory_format=memory_format)
    return replace(batch, inputs=inputs, corruption=None)
