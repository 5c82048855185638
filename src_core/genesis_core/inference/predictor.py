"""A model's network as a function from windows to predictions, on a device, without touching the model.

The network is copied before it is moved, so a model used by a viewer or a training run stays where and as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import MemoryBudgetError, ModelError, SettingsError

if TYPE_CHECKING:
    import torch
    from torch import nn

Activation = Literal["sigmoid", "softmax", "none"]
Precision = Literal["float32", "bfloat16"]


def choose_device(name: str) -> torch.device:
    """Return the torch device called `name`; "auto" is the first of CUDA, Apple's MPS and the CPU that is there.

    Raises SettingsError if the name means nothing to torch or no such device is there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(f"device = '{name}': expected auto, cpu, cuda, cuda:1 (any number) or mps") from None
    if device.type == "cpu":
        return device
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 0)
    if (device.index or 0) >= there:
        raise SettingsError(f"device = '{name}': torch sees {there} {device.type} device(s) here; use auto or cpu")
    return device


def make_predictor(
    network: nn.Module, activation: Activation, device: torch.device, precision: Precision = "float32"
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function from (batch, channels, z, y, x) float32 to the network's activated output, float32.

    precision: "bfloat16" lets torch's autocast compute in 16 bits where it deems that safe; results differ in the third
    digit. The function raises MemoryBudgetError if the device runs out of memory.
    """
    there = place(network, device)

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        with computing(device, precision, windows.shape):
            values: NDArray[np.float32] = activate(there(to_device(windows, device)).float(), activation).cpu().numpy()
            return values

    return predict


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy of the network in evaluation mode on a device; the network itself stays where and as it is."""
    import torch

    there: nn.Module = copy.deepcopy(network).eval().to(device)
    # Channels last makes the 3D convolutions of oneDNN and cuDNN faster; it changes the layout, not the numbers. A
    # network that gains nothing by it says None.
    layout = getattr(network, "channels_last", torch.channels_last_3d)
    if layout is not None:
        there.to(memory_format=layout)  # type: ignore[call-overload]
    return there


def to_device(windows: NDArray[np.float32], device: torch.device) -> torch.Tensor:
    """Return windows (batch, channels, z, y, x) as a tensor on a device, laid out as `place` expects."""
    import torch

    # `torch.tensor` copies, so a network that works in place cannot reach the scan.
    return torch.tensor(windows, device=device).contiguous(memory_format=torch.channels_last_3d)


@contextmanager
def computing(device: torch.device, precision: Precision, shape: tuple[int, ...]) -> Iterator[None]:
    """Compute without gradients in a precision; raise MemoryBudgetError if the device runs out of memory.

    shape: of the windows (batch, channels, z, y, x), for the message.
    """
    import torch

    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    except RuntimeError as problem:
        # On the CPU torch has no class of its own for this.
        if not isinstance(problem, torch.OutOfMemoryError) and "allocate memory" not in str(problem):
            raise
        raise MemoryBudgetError(
            f"{device} ran out of memory on windows of shape {shape} (batch, channels, z, y, x): "
            "use a smaller batch size, free the device, or compute on the CPU"
        ) from problem


def activate(logits: torch.Tensor, activation: Activation, out: torch.Tensor | None = None) -> torch.Tensor:
    """Return the values that logits (batch, channels, z, y, x) stand for, in the memory `out` if it is given."""
    import torch

    if activation == "sigmoid":
        return torch.sigmoid(logits, out=out)
    if activation == "softmax":
        return torch.softmax(logits, 1, out=out)
    if activation == "none":
        return logits if out is None else out.copy_(logits)
    raise ModelError(f"activation = '{activation}': expected sigmoid, softmax or none")
