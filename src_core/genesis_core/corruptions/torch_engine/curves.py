"""Non-linear intensity in torch: the compiled engine's table with its levels laid side by side, and one search in it.

A table's cell is refined again and again where its curve is steep. On the device all leaves stand in one sorted row,
so that a voxel finds its own by a binary search instead of descending. Where a voxel lies in its leaf is exact in
float32 either way, since widths of cells are powers of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.kernels.curve import CELLS, FINER
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion, Tables

if TYPE_CHECKING:
    from torch import Tensor

    from genesis_core.corruptions.nonlinear import Curve


class CurvesOnDevice(DeviceVersion):
    """`Nonlinear` on the device."""

    def tables(self, portion: Portion) -> Tables:
        leaves = [leaf_table(curve) for curve in portion.decided]
        most = max(len(edges) for edges, *_ in leaves)
        # Padding begins at infinity, where no voxel is.
        edges = np.full((len(leaves), most), np.inf, np.float32)
        pieces = np.zeros((3, len(leaves), most), np.float32)
        for index, (own, *others) in enumerate(leaves):
            edges[index, : len(own)] = own
            for part, values in enumerate(others):
                pieces[part, index, : len(own)] = values
        # Without the first edge, 0, the number of edges passed is the leaf's own number.
        return Tables({"edges": np.ascontiguousarray(edges[:, 1:]), "pieces": pieces})

    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        import torch

        values = x.view(len(x), -1)
        leaf = torch.searchsorted(arrays["edges"], values, right=True)
        scale, base, slope = arrays["pieces"]
        # Multiplied, then added: fused, as some compilers do it, the last bit would differ.
        result: Tensor = scale.gather(1, leaf).mul_(values).frac_().mul_(slope.gather(1, leaf))
        return result.add_(base.gather(1, leaf)).view_as(x)


def leaf_table(
    curve: Curve,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return a curve's leaves in order: where each begins, cells per unit at its level, base and slope; float32."""
    base, slope, child = curve.table()
    entry = np.arange(CELLS + 1)
    begin = entry / CELLS
    scale = np.full(CELLS + 1, float(CELLS))
    refined = np.isnan(slope[entry])
    while refined.any():
        copies = np.where(refined, FINER, 1)
        inner = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
        was, parent = np.repeat(refined, copies), np.repeat(entry, copies)
        scale = np.repeat(scale, copies) * np.where(was, FINER, 1)
        begin = np.repeat(begin, copies) + inner / scale
        entry = np.where(was, child[parent] + inner, parent)
        refined = np.isnan(slope[entry])
    edges = begin.astype(np.float32)
    # A value lies at or above an edge exactly if it does so above the next float32.
    short = edges < begin
    edges[short] = np.nextafter(edges[short], np.float32(np.inf))
    return edges, scale.astype(np.float32), base[entry], slope[entry]
