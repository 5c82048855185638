"""Holding scans out for validation: whole scans, chosen by a hash of their ids, never crops of training scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from genesis_core.randomness import stream


class Split(NamedTuple):
    """Ids of the training and of the validation scans, each in their given order, and what the user should know."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    warning: str | None


def split_scans(ids: Sequence[str], fraction: float = 0.2, seed: int = 0) -> Split:
    """Hold out the nearest whole number to `fraction` of the scans, at least one of two and never all.

    ids: pseudonyms of the scans; their order does not matter. fraction: in [0, 1). The scans are ranked by a hash of
    (seed, id) and the first are held out, so a larger fraction holds out the same ones and more. One scan alone, or a
    fraction of 0, gives no validation and a warning.
    """
    unique = list(dict.fromkeys(ids))
    if len(unique) < 2 or fraction <= 0:
        found = "one scan" if len(unique) == 1 else "no scan" if not unique else "validation_fraction 0"
        warning = f"{found}: nothing is held out for validation, so the last state is kept instead of the best"
        return Split(tuple(unique), (), warning)
    count = min(max(1, round(fraction * len(unique))), len(unique) - 1)
    ranked = sorted(unique, key=lambda name: (stream(seed, "split", name), name))
    held_out = set(ranked[:count])
    return Split(
        tuple(name for name in unique if name not in held_out), tuple(name for name in unique if name in held_out), None
    )
