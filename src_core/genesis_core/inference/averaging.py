"""Several predictions of one window become their mean: models of an ensemble, and views of a mirrored scan.

Probabilities are averaged, never logits, and so they are in the blending of windows: one rule for windows, views and
models. Each has the same say, however sure it is, the mean is again a probability, and its entropy means something.
Averaging within the window gives what averaging the whole blended volumes would, in the memory of one. Imported only
where a scan is segmented, since it imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from genesis_core.inference.mirroring import Mirror
from genesis_core.inference.predictor import Activation, Precision, activate, computing, place, to_device
from genesis_core.inference.sliding_window import Predict, Stop, Stopped

if TYPE_CHECKING:
    from torch import nn


def make_averaging_predictor(
    networks: Sequence[nn.Module],
    activation: Activation,
    device: torch.device,
    precision: Precision,
    mirrors: Sequence[Mirror],
    *,
    squares: bool = False,
    stop: Stop | None = None,
) -> Predict:
    """Return a function from windows (batch, channels, z, y, x) to mean probabilities over all networks and views.

    squares: add one channel, the mean over all predictions of the sum of their squared probabilities, from which their
    spread can be told. What it returns is written over by the next call, since fresh memory for every window costs more
    than the probabilities do. stop: asked between networks and views; True ends in Stopped, since one window of many
    takes as long as many windows of one. Memory on the device: all networks, and three times the output of a window.
    A logit that is not finite makes the whole window not finite. Raises MemoryBudgetError as `make_predictor` does.
    """
    there = [place(network, device) for network in networks]
    number = len(there) * len(mirrors)
    memory = _WindowMemory()

    def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        with computing(device, precision, windows.shape):
            inputs = to_device(windows, device)
            mean: torch.Tensor | None = None
            for network, mirror in product(there, mirrors):
                # Before the first one whoever asks for the window has asked.
                if mean is not None and stop is not None and stop():
                    raise Stopped
                logits = _logits(network, inputs, mirror)
                channels = logits.shape[1]
                found = memory.get("mean" if mean is None else "next", logits, channels + squares)
                values = found[:, :channels]
                activate(logits, activation, out=values)
                # The sum is not finite if a logit is not; a logistic function would hide an infinity.
                if not bool(torch.isfinite(logits.sum())):
                    values.fill_(torch.nan)
                if squares:
                    found[:, channels] = torch.linalg.vector_norm(values, dim=1).square_()
                found = _mirrored_back(found, mirror)
                mean = found if mean is None else mean.add_(found)
            assert mean is not None
            result: NDArray[np.float32] = mean.div_(number).cpu().numpy()
            return result

    return predict


class _WindowMemory:
    """Memory that is used again from window to window, by name and shape."""

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] = {}

    def get(self, name: str, like: torch.Tensor, channels: int) -> torch.Tensor:
        """Return float32 memory of the shape of `like` but for its channels; what is in it is undefined."""
        shape = (like.shape[0], channels, *like.shape[2:])
        kept = self._kept.get(name)
        if kept is None or kept.shape != shape:
            kept = self._kept[name] = like.new_empty(shape)
        return kept


def _logits(network: nn.Module, inputs: torch.Tensor, mirror: Mirror) -> torch.Tensor:
    axes = _tensor_axes(mirror)
    seen = inputs.flip(axes).contiguous(memory_format=torch.channels_last_3d) if axes else inputs.clone()
    logits: torch.Tensor = network(seen).float()
    return logits


def _mirrored_back(found: torch.Tensor, mirror: Mirror) -> torch.Tensor:
    """Return probabilities as if the scan had not been mirrored, left and right exchanged; sums of squares move too."""
    if not mirror.axes:
        return found
    order = list(mirror.order)
    # A network that returns too few channels is refused by its shape, with a better message than an index would give.
    if order != list(range(len(order))) and found.shape[1] >= len(order):
        order += range(len(order), found.shape[1])
        found = found[:, order]
    return found.flip(_tensor_axes(mirror))


def _tensor_axes(mirror: Mirror) -> list[int]:
    return [axis + 2 for axis in mirror.axes]
