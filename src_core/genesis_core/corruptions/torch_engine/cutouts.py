"""Inner and outer cut-out in torch: boxes as bits along each axis, so that no mask is made for any one of them.

Bit b of an axis position says that it lies in box b; a voxel is inside the boxes whose bit is set on all three axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.boxes import Box, Boxes, box_array
from genesis_core.corruptions.corruption import Shape3
from genesis_core.corruptions.torch_engine.hashing import uniform_noise
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion, Tables, noise_keys
from genesis_core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# Boxes to a word: the number of the highest bit is read from a float32's exponent, which is exact up to here.
BITS = 24


class CutoutOnDevice(DeviceVersion):
    """Cut-out inside or outside of boxes, filled with noise or with constants."""

    def __init__(self, kind: str, *, outside: bool, constant: bool) -> None:
        self._kind = kind
        self._outside = outside
        self._constant = constant

    def tables(self, portion: Portion) -> Tables:
        arrays: dict[str, NDArray[Any]] = {
            "axes": _axis_bits([decided.boxes for decided in portion.decided], portion.shape)
        }
        if self._constant:
            arrays["values"] = self._values(portion.decided, arrays["axes"].shape[0])
        else:
            arrays["keys"] = noise_keys(portion)
        return Tables(arrays)

    def _values(self, drawn: Sequence[Boxes], words: int) -> NDArray[np.float32]:
        # Value 0 stands for "in no box"; one outer cut-out has a single value.
        values = np.zeros((len(drawn), 1 + words * BITS), np.float32)
        for index, decided in enumerate(drawn):
            wanted = 1 if self._outside else len(decided.boxes)
            if len(decided.values) != wanted:
                raise RecipeError(
                    f"{self._kind}: {wanted} value{'s are' if wanted != 1 else ' is'} needed to fill with, and "
                    f"{len(decided.values)} are given"
                )
            values[index, 1 : 1 + wanted] = decided.values
        return values

    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        import torch

        words = [_box_bits(axes, portion.shape) for axes in arrays["axes"]]
        if self._constant and not self._outside:
            value, inside = _last_value(words, arrays["values"])
            return torch.where(inside, value, x)
        inside = words[0] != 0
        for word in words[1:]:
            inside |= word != 0
        fill = arrays["values"][:, 1:2, None] if self._constant else uniform_noise(arrays["keys"], portion.voxels)
        return torch.where(inside, x, fill) if self._outside else torch.where(inside, fill, x)


def _axis_bits(boxes: Sequence[Sequence[Box]], shape: Shape3) -> NDArray[np.int32]:
    """Return (word, sample, z + y + x): which boxes each axis position lies in."""
    words = max(1, -(-max(map(len, boxes)) // BITS))
    bits = np.zeros((words, len(boxes), sum(shape)), np.int32)
    first = (0, shape[0], shape[0] + shape[1])
    for sample, own in enumerate(boxes):
        for number, box in enumerate(box_array(own, shape).tolist()):
            word, bit = divmod(number, BITS)
            for axis in range(3):
                start = first[axis] + box[axis]
                bits[word, sample, start : start + box[3 + axis]] |= 1 << bit
    return bits


def _box_bits(axes: Tensor, shape: Shape3) -> Tensor:
    """Return (sample, 1, voxel) int32: the boxes of this word that each voxel lies in."""
    depth, height, _ = shape
    z, y, x = axes[:, :depth], axes[:, depth : depth + height], axes[:, depth + height :]
    bits: Tensor = (z[:, :, None] & y[:, None, :])[..., None] & x[:, None, None, :]
    return bits.view(len(axes), 1, -1)


def _last_value(words: Sequence[Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
    """Return each voxel's constant, that of the last box it lies in, and whether there is one."""
    import torch

    last = None
    for number, word in enumerate(words):
        # frexp's exponent is the number of the highest bit, counted from 1; 0 if none is set.
        exponent = torch.frexp(word.to(torch.float32)).exponent
        last = exponent if last is None else torch.where(word != 0, exponent + number * BITS, last)
    assert last is not None
    value = values.gather(1, last.view(len(values), -1).to(torch.int64)).view(last.shape)
    return value, last != 0
