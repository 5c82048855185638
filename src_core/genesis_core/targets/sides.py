"""Left and right: which structures change names when a scan is mirrored from side to side."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Words of a name: "Lung_L", "left kidney", "KidneyLeft", "Left-Hippocampus"; a vertebra "L1" is one word.
_WORDS = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*(?![a-z])|\d+")


def find_sides(
    names: Sequence[str],
    left: Sequence[str] = ("left", "l", "lt", "lh"),
    right: Sequence[str] = ("right", "r", "rt", "rh"),
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return which structure each one with a side becomes in the mirror, by position, and those without a partner.

    left, right: words that name a side, in lower case, partner by partner. Two structures are partners if their names
    are the same but for one such word.
    """
    opposite = dict(zip([*left, *right], [*right, *left], strict=True))
    words = [tuple(word.lower() for word in _WORDS.findall(name)) for name in names]
    place = {found: number for number, found in enumerate(words)}
    partners, alone = {}, []
    for number, found in enumerate(words):
        sided = [position for position, word in enumerate(found) if word in opposite]
        if not sided:
            continue
        mirrored = [(*found[:p], opposite[found[p]], *found[p + 1 :]) for p in sided]
        partner = next((place[other] for other in mirrored if other in place), None)
        if partner is None:
            alone.append(names[number])
        else:
            partners[number] = partner
    return partners, tuple(alone)
