"""Averaging predictions over mirrored scans: which axes, and which structures change sides with them.

In a scan mirrored from left to right, the left kidney looks like a right one. What the network says of such a scan is
therefore mirrored back, and the channels of left and right structures are exchanged, by their names, as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from genesis_core.errors import SettingsError
from genesis_core.volumes.sides import LEFT_WORDS, RIGHT_WORDS, find_sides

_AXES = {"z": 0, "y": 1, "x": 2}


@dataclass(frozen=True)
class Mirror:
    """One way to look at a scan. axes: spatial axes to be turned around (0 = z). order: of the channels afterwards."""

    axes: tuple[int, ...]
    order: tuple[int, ...]


def mirrors(
    flips: Sequence[str],
    axis_codes: str,
    names: Sequence[str],
    left: Sequence[str] = LEFT_WORDS,
    right: Sequence[str] = RIGHT_WORDS,
) -> tuple[Mirror, ...]:
    """Return every combination of flips along the axes named, the unchanged scan first: 2 to the number of axes.

    flips: of "x", "y", "z", the axes of the model's grid. axis_codes: that grid's, which tell the left-right axis.
    names: what the channels stand for. left, right: words that name a side, as in `find_sides`. Raises SettingsError
    for an unknown axis, and for a left-right flip with a one-sided structure whose counterpart is not segmented:
    nothing could tell the two apart.
    """
    unknown = [flip for flip in flips if flip not in _AXES]
    if unknown or len(set(flips)) < len(flips):
        raise SettingsError(f"flips = {','.join(flips)}: expected some of x, y, z, each once")
    straight = tuple(range(len(names)))
    sideways = next(axis for axis, code in zip("xyz", axis_codes, strict=True) if code in "LR")
    swapped = _exchanged(names, left, right) if sideways in flips else straight
    return tuple(
        Mirror(tuple(_AXES[flip] for flip in chosen), swapped if sideways in chosen else straight)
        for count in range(len(flips) + 1)
        for chosen in combinations(flips, count)
    )


def _exchanged(names: Sequence[str], left: Sequence[str], right: Sequence[str]) -> tuple[int, ...]:
    """Return for each name the position of its counterpart on the other side; its own if it has no side."""
    partners, alone = find_sides(names, left, right)
    if alone:
        raise SettingsError(
            f"flips: '{alone[0]}' has a side, and no counterpart of its own is segmented: a scan mirrored from left to "
            "right would show the other one in its place. Leave that axis out"
        )
    return tuple(partners.get(number, number) for number in range(len(names)))
