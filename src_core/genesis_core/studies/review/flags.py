"""What of a proposal looks wrong, told from figures alone: empty, in pieces, at the border, of unusual size.

A flag is a hint to look, not a verdict. What is usual comes from the labels the run was trained on, where they could
be read, so that lesions, paired organs and structures that always reach the border are not flagged for being so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genesis_core.studies.review.ranking import Drawn, Flag

# What holds for over half of the training cases is usual.
USUAL = 0.5
# A structure with this share of its voxels in one piece is one that comes in one piece (as the check of labels has it).
ONE_PIECE = 0.9
# Where training labels are unknown, two pieces are no fault: lungs and kidneys are often one structure.
PIECES_UNKNOWN = 2
# Robust standard deviations from the median of the logarithms: Iglewicz and Hoaglin 1993, "How to Detect and Handle
# Outliers". 1.4826 x MAD estimates one standard deviation of normal data.
DEVIATIONS, MAD_TO_SD = 3.5, 1.4826
# Volumes within this factor of the median are no outliers, however alike the others are: adults' organs vary as much.
FACTOR = 1.5
# A median of fewer training cases says nothing; proposals may be wrong themselves, so more of them are needed.
ENOUGH_TRAINING, ENOUGH_PROPOSALS = 5, 8


@dataclass(frozen=True)
class Expected:
    """What is usual. reference: by structure, as `usual.py` gives it. volumes: by structure, the least and the most
    that is usual in ml, and whose volumes say so.
    """

    reference: Mapping[str, Mapping[str, Any]]
    volumes: Mapping[str, tuple[float, float, str]]


def expected(reference: Mapping[str, Mapping[str, Any]], proposed: Iterable[Sequence[Drawn]]) -> Expected:
    """Return what is usual, by the training labels (`reference`, {} if unknown) or else by all the proposals."""
    found: dict[str, list[float]] = {}
    for structures in proposed:
        for one in structures:
            volumes = found.setdefault(one.name, [])
            if one.voxels:
                volumes.append(one.ml)
    limits = {}
    for name, volumes in found.items():
        known = reference.get(name, {}).get("ml", ())
        if len(known) >= ENOUGH_TRAINING:
            limits[name] = (*_usual_range(known), "training cases")
        elif len(volumes) >= ENOUGH_PROPOSALS:
            limits[name] = (*_usual_range(volumes), "the other proposals")
    return Expected(reference, limits)


def flags_of(structures: Iterable[Drawn], usual: Expected) -> tuple[Flag, ...]:
    """Return the flags of one case. Every threshold is a constant of this module, with its reason."""
    found: list[Flag] = []
    for one in structures:
        reference = usual.reference.get(one.name, {})
        if not one.voxels:
            found += _empty(one, reference)
            continue
        found += _fragmented(one, reference)
        found += _edge(one, reference)
        found += _volume(one, usual.volumes.get(one.name))
    return tuple(found)


def _empty(one: Drawn, usual: Mapping[str, Any]) -> list[Flag]:
    cases, looked_for = usual.get("cases", 0), usual.get("looked_for", 0)
    if looked_for and cases <= USUAL * looked_for:
        return []
    known = f", and {cases} of {looked_for} training cases show it" if looked_for else ""
    return [Flag("empty", one.name, f"{one.name}: nothing was found{known}.")]


def _fragmented(one: Drawn, usual: Mapping[str, Any]) -> list[Flag]:
    if one.pieces is None or one.largest is None or one.largest >= ONE_PIECE:
        return []
    largest = usual.get("largest")
    allowed = PIECES_UNKNOWN if largest is None else 1 if largest >= ONE_PIECE else math.inf
    if one.pieces <= allowed:
        return []
    return [Flag("fragmented", one.name, f"{one.name}: in {one.pieces} pieces, the largest {one.largest:.0%} of it.")]


def _edge(one: Drawn, usual: Mapping[str, Any]) -> list[Flag]:
    if not one.at_border or usual.get("at_border", 0) > USUAL:
        return []
    return [Flag("touches_edge", one.name, f"{one.name}: reaches the border of the scan.")]


def _volume(one: Drawn, limits: tuple[float, float, str] | None) -> list[Flag]:
    if limits is None or limits[0] <= one.ml <= limits[1]:
        return []
    low, high, whose = limits
    text = f"{one.name}: {one.ml:.3g} ml, where {low:.3g} to {high:.3g} ml is usual ({whose})."
    return [Flag("volume_outlier", one.name, text)]


def _usual_range(volumes: Sequence[float]) -> tuple[float, float]:
    logs = np.log(np.asarray(volumes, dtype=np.float64))
    middle = float(np.median(logs))
    reach = max(math.log(FACTOR), DEVIATIONS * MAD_TO_SD * float(np.median(np.abs(logs - middle))))
    return math.exp(middle - reach), math.exp(middle + reach)
