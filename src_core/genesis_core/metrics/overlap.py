"""How much of a segmentation is right, in voxels: Dice, IoU of the foreground, and the error of the volume.

Label maps are counted once for all structures. Where a figure is not defined it is None, never 1 or 0 by convention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError

# Voxels looked at together: tables of codes stay in the processor's cache, whatever the size of the scan.
_TOGETHER = 1 << 20


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one structure: in `both`, in the `prediction`, in the `reference`. All figures follow from them.

    A structure that neither draws has no Dice, no IoU and no relative error: None. One that only one side draws has
    Dice and IoU 0.
    """

    both: int
    prediction: int
    reference: int

    @property
    def dice(self) -> float | None:
        """2 |P and R| / (|P| + |R|), in [0, 1]; None if both are empty. Source: Dice 1945."""
        total = self.prediction + self.reference
        return 2 * self.both / total if total else None

    @property
    def iou(self) -> float | None:
        """|P and R| / |P or R| of the foreground, in [0, 1]; None if both are empty. Source: Jaccard 1912."""
        union = self.prediction + self.reference - self.both
        return self.both / union if union else None

    @property
    def relative_volume_error(self) -> float | None:
        """(|P| - |R|) / |R|, signed, from -1; None if the reference is empty."""
        return (self.prediction - self.reference) / self.reference if self.reference else None

    def volume_error_ml(self, spacing: Sequence[float]) -> float:
        """Return volume of the prediction less that of the reference, signed, in ml; spacing: mm, any order."""
        return (self.prediction - self.reference) * millilitres(spacing)


def millilitres(spacing: Sequence[float]) -> float:
    """Return the volume of one voxel in ml, from its three edges in mm."""
    return float(np.prod(spacing)) / 1000


def overlap(prediction: NDArray[Any], reference: NDArray[Any]) -> Overlap:
    """Count two masks of one shape; every voxel that is not 0 (or False) belongs to the structure.

    Raises VolumeError if the shapes differ.
    """
    return overlaps(np.asarray(prediction) != 0, np.asarray(reference) != 0, [(1, 1)])[0]


def overlaps(
    prediction: NDArray[Any], reference: NDArray[Any], pairs: Sequence[tuple[int, int]]
) -> tuple[Overlap, ...]:
    """Count all structures of two label maps in one pass.

    prediction, reference: whole numbers or booleans, of one shape. pairs: for each structure its number in the
    prediction and its number in the reference, from 1. Raises VolumeError if the shapes differ.
    """
    first = sorted({pair[0] for pair in pairs})
    second = sorted({pair[1] for pair in pairs})
    table = joint_counts(
        label_codes(prediction, first), label_codes(reference, second), (len(first) + 1, len(second) + 1)
    )
    return tuple(overlap_in(table, first.index(one) + 1, second.index(two) + 1) for one, two in pairs)


def overlap_in(table: NDArray[np.int64], prediction: int, reference: int) -> Overlap:
    """Return what a table of `joint_counts` says of a code of the prediction and one of the reference, from 1.

    Code 0 stands for a structure that this side does not draw.
    """
    drawn = int(table[prediction].sum()) if prediction else 0
    wanted = int(table[:, reference].sum()) if reference else 0
    return Overlap(int(table[prediction, reference]) if prediction and reference else 0, drawn, wanted)


def label_codes(labels: NDArray[Any], values: Sequence[int]) -> NDArray[np.uint16]:
    """Return labels with the k-th of `values` (sorted, from 1) replaced by k + 1, and everything else by 0.

    Raises VolumeError if there are more than 65,535 values, or the labels are not whole numbers.
    """
    if labels.dtype.kind not in "iub":
        raise VolumeError(f"labels must be whole numbers or booleans, not {labels.dtype}")
    if len(values) >= 1 << 16:
        raise VolumeError(f"{len(values)} structures: at most 65535 can be compared")
    sought = np.asarray(values, np.int64)
    codes = np.zeros(labels.shape, np.uint16)
    if not len(sought):
        return codes
    flat, out = np.ascontiguousarray(labels).reshape(-1), codes.reshape(-1)
    for start in range(0, flat.size, _TOGETHER):
        # What does not fit into int64 turns negative, which no structure's number is.
        part = flat[start : start + _TOGETHER].astype(np.int64)
        place = np.minimum(np.searchsorted(sought, part), len(sought) - 1)
        out[start : start + _TOGETHER] = np.where(sought[place] == part, place + 1, 0)
    return codes


def joint_counts(
    prediction: NDArray[np.uint16], reference: NDArray[np.uint16], sizes: tuple[int, int]
) -> NDArray[np.int64]:
    """Return how many voxels have code i in the prediction and j in the reference, as a table (i, j).

    sizes: how many codes there are on each side, 0 included. Raises VolumeError if the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise VolumeError(
            f"a prediction of shape {prediction.shape} and a reference of shape {reference.shape} cannot be compared"
        )
    table = np.zeros(sizes[0] * sizes[1], np.int64)
    first, second = prediction.reshape(-1), reference.reshape(-1)
    for start in range(0, first.size, _TOGETHER):
        joint = first[start : start + _TOGETHER].astype(np.int64) * sizes[1] + second[start : start + _TOGETHER]
        table += np.bincount(joint, minlength=table.size)
    return table.reshape(sizes)
