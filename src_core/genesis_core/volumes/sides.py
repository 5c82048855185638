"""Left and right: which structures change names when a scan is mirrored from side to side, told by their names.

The one list of words for the sides. A training may name others, which its model's card then carries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LEFT_WORDS = ("left", "l", "lt", "lh")
RIGHT_WORDS = ("right", "r", "rt", "rh")
# Words of a name: "Lung_L", "left kidney", "KidneyLeft", "Left-Hippocampus"; a vertebra "L1" is one word.
WORD = re.compile(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*(?![a-z])|\d+")


def find_sides(
    names: Sequence[str], left: Sequence[str] = LEFT_WORDS, right: Sequence[str] = RIGHT_WORDS
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return which structure each one with a side becomes in the mirror, by position, and those without a partner.

    left, right: words that name a side, in lower case, partner by partner. Two structures are partners if their names
    are the same but for one such word; one that shares its partner with another has none.
    """
    opposite = dict(zip([*left, *right], [*right, *left], strict=True))
    words = [tuple(word.lower() for word in WORD.findall(name)) for name in names]
    place = {found: number for number, found in enumerate(words)}
    partners, sided = {}, []
    for number, found in enumerate(words):
        sides = [position for position, word in enumerate(found) if word in opposite]
        if not sides:
            continue
        sided.append(number)
        mirrored = [(*found[:p], opposite[found[p]], *found[p + 1 :]) for p in sides]
        partner = next((place[other] for other in mirrored if other in place), None)
        if partner is not None:
            partners[number] = partner
    paired = {number: other for number, other in partners.items() if partners.get(other) == number}
    return paired, tuple(names[number] for number in sided if number not in paired)
