"""Averaging predictions over mirrored scans: which axes, and which structures change sides with them.

In a scan mirrored from left to right, the left kidney looks like a right one. What the network says of such a scan is
therefore mirrored back, and the channels of left and right structures are exchanged, by their names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from genesis_core.errors import SettingsError

_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l", "lt": "rt", "rt": "lt"}
_AXES = {"z": 0, "y": 1, "x": 2}


@dataclass(frozen=True)
class Mirror:
    """One way to look at a scan. axes: spatial axes to be turned around (0 = z). order: of the channels afterwards."""

    axes: tuple[int, ...]
    order: tuple[int, ...]


def mirrors(flips: Sequence[str], axis_codes: str, names: Sequence[str]) -> tuple[Mirror, ...]:
    """Return every combination of flips along the axes named, the unchanged scan first: 2 to the number of axes.

    flips: of "x", "y", "z", the axes of the model's grid. axis_codes: that grid's, which tell the left-right axis.
    names: what the channels stand for. Raises SettingsError for an unknown axis, and for a left-right flip with a
    one-sided structure whose counterpart is not segmented: nothing could tell the two apart.
    """
    unknown = [flip for flip in flips if flip not in _AXES]
    if unknown or len(set(flips)) < len(flips):
        raise SettingsError(f"flips = {','.join(flips)}: expected some of x, y, z, each once")
    straight = tuple(range(len(names)))
    sideways = next(axis for axis, code in zip("xyz", axis_codes, strict=True) if code in "LR")
    swapped = exchange_sides(names) if sideways in flips else straight
    return tuple(
        Mirror(tuple(_AXES[flip] for flip in chosen), swapped if sideways in chosen else straight)
        for count in range(len(flips) + 1)
        for chosen in combinations(flips, count)
    )


def exchange_sides(names: Sequence[str]) -> tuple[int, ...]:
    """Return for each name the position of its counterpart on the other side; its own if it has no side.

    A side is a word of the name: left, right, L, R, lt, rt; words end at capitals ("KidneyLeft"), spaces and signs.
    Raises SettingsError if the counterpart of a one-sided structure is missing or occurs twice.
    """
    words = [_words(name) for name in names]
    order = []
    for position, own in enumerate(words):
        other = tuple(_OTHER_SIDE.get(word, word) for word in own)
        if other == own:
            order.append(position)
            continue
        found = [place for place, candidate in enumerate(words) if candidate == other]
        if len(found) != 1:
            raise SettingsError(
                f"flips: '{names[position]}' has a side, and its counterpart is segmented {len(found)} times, not "
                "once: a scan mirrored from left to right would show the other one in its place. Leave that axis out"
            )
        order.append(found[0])
    return tuple(order)


def _words(name: str) -> tuple[str, ...]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return tuple(word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word)
