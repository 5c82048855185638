"""Patch shuffling in torch: the swaps as they were drawn, one after the other, copied on the device.

Each swap is three copies of a small box. They follow each other, so samples do not share launches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genesis_core.corruptions.boxes import box_array
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion, Tables

if TYPE_CHECKING:
    from torch import Tensor


class PatchShuffleOnDevice(DeviceVersion):
    """`PatchShuffle` on the device."""

    def tables(self, portion: Portion) -> Tables:
        return Tables(
            facts=[
                [box_array((swap.first, swap.second), portion.shape).tolist() for swap in decided.swaps]
                for decided in portion.decided
            ]
        )

    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        for sample, swaps in zip(x.view(*x.shape[:2], *portion.shape), facts, strict=True):
            for boxes in swaps:
                one, other = (
                    sample[:, z : z + depth, y : y + height, w : w + width] for z, y, w, depth, height, width in boxes
                )
                kept = one.clone()
                one.copy_(other)
                other.copy_(kept)
        return x
