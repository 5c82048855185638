"""The hash of `genesis_core.randomness` in torch: splitmix64 on int64, whose arithmetic wraps like that of uint64.

Shifts of int64 copy the sign down, so every shift is masked. What is made of the hashes (windows, noise) follows the
compiled kernels bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesis_core.randomness import GOLDEN, MIX_1, MIX_2

if TYPE_CHECKING:
    from torch import Tensor

LOW = 0xFFFFFFFF
# Fraction bits of two floats side by side, and the exponent of 1.0 over each. Source: IEEE 754, binary32.
_FRACTIONS, _ONES = 0x007FFFFF007FFFFF, 0x3F8000003F800000


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_GOLDEN, _MIX_1, _MIX_2 = _signed(GOLDEN), _signed(MIX_1), _signed(MIX_2)


def _fold(value: Tensor, shift: int) -> Tensor:
    return value.bitwise_xor_((value >> shift).bitwise_and_((1 << (64 - shift)) - 1))


def outputs(keys: Tensor, count: int) -> Tensor:
    """Return the first `count` outputs of each stream, int64, in the shape of `keys` plus one axis."""
    import torch

    counters = torch.arange(1, count + 1, dtype=torch.int64, device=keys.device).mul_(_GOLDEN)
    value = keys[..., None] + counters
    _fold(value, 30).mul_(_MIX_1)
    _fold(value, 27).mul_(_MIX_2)
    return _fold(value, 31)


def upper(value: Tensor) -> Tensor:
    """Return the upper 32 bits, unsigned, as int64."""
    return (value >> 32).bitwise_and_(LOW)


def uniform_noise(keys: Tensor, count: int) -> Tensor:
    """Return noise in [0, 1), float32, `count` voxels for each key: an output gives two, its low half first."""
    import torch

    value = outputs(keys, (count + 1) // 2)
    value.bitwise_right_shift_(9).bitwise_and_(_FRACTIONS).bitwise_or_(_ONES)
    return value.view(torch.float32)[..., :count].sub_(1.0)
