"""What a corruption brings to run on the training device: tables made on the CPU, and an application in torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genesis_core.corruptions.corruption import Shape3

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Portion:
    """One corruption's part in a batch, some samples of it: what was decided for each, and the step's key of each.

    shape: of a sample, (z, y, x). channels: of a sample.
    """

    decided: Sequence[Any]
    keys: Sequence[int]
    shape: Shape3
    channels: int

    @property
    def voxels(self) -> int:
        """Voxels of one channel of one sample."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True)
class Tables:
    """What the device needs to know. arrays: travel there, all in one copy. facts: stay on the CPU."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    facts: Any = None


class DeviceVersion(ABC):
    """A corruption on the device. It must neither wait for the device nor take a shape from what lies on it."""

    def elements(self, shape: Shape3, channels: int) -> int:
        """Return the most elements an intermediate array holds for each sample; batches are cut by it."""
        return channels * shape[0] * shape[1] * shape[2]

    @abstractmethod
    def tables(self, portion: Portion) -> Tables:
        """Return what `apply` needs. Raises RecipeError if what was decided does not fit the shape."""

    @abstractmethod
    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        """Return the corrupted samples.

        x: (sample, channel, voxel) float32 in [0, 1], contiguous; may be overwritten, and returned. arrays, facts:
        those of `tables`, the arrays on the device.
        """


def signed(values: Sequence[int]) -> NDArray[np.int64]:
    """Return 64-bit keys as the int64 of the same bits, which is what torch calculates with."""
    import numpy as np

    return np.array([value & 0xFFFFFFFFFFFFFFFF for value in values], np.uint64).view(np.int64)


def noise_keys(portion: Portion) -> NDArray[np.int64]:
    """Return the stream of every sample's and channel's noise, (sample, channel)."""
    from genesis_core.corruptions.boxes import noise_key

    keys = [int(noise_key(key, channel)) for key in portion.keys for channel in range(portion.channels)]
    return signed(keys).reshape(len(portion.keys), portion.channels)
