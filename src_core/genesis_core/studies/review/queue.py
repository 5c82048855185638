"""In which order cases are shown: by uncertainty, at random, spread over sizes, or by name.

Uncertainty does not reliably beat a random or an evenly spread order (Burmeister et al. 2022, arXiv 2207.00845;
Lueth et al. 2025, arXiv 2511.19183), so the others are one choice away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Literal

from genesis_core.studies.review.decisions import OPEN

if TYPE_CHECKING:
    from genesis_core.studies.review.decisions import CaseState
    from genesis_core.studies.review.ranking import Proposal

Order = Literal["uncertainty", "random", "stratified", "name"]
# Small, medium and large: more strata would each hold too few of a few dozen cases.
_STRATA = 3


def order(
    proposals: Sequence[Proposal], states: Mapping[str, CaseState], by: Order = "uncertainty", seed: int = 0
) -> list[Proposal]:
    """Return all proposals in the order to look at them: undecided ones first, accepted and rejected ones after.

    by: "uncertainty": the most uncertain first. "random": shuffled by `seed`, the same on every machine, and whatever
    else is in the list. "stratified": in turns the next of the small, medium and large third by predicted volume, each
    third shuffled by `seed`. "name": as sorted. Ties go by name.
    """
    ranked = _ORDERS[by](sorted(proposals, key=lambda one: one.case), seed)
    return sorted(ranked, key=lambda one: states.get(one.case, OPEN).is_decided)


def _by_uncertainty(proposals: list[Proposal], _seed: int) -> list[Proposal]:
    return sorted(proposals, key=lambda one: -one.uncertainty)


def _at_random(proposals: list[Proposal], seed: int) -> list[Proposal]:
    return sorted(proposals, key=lambda one: blake2b(f"{seed}\0{one.case}".encode("utf-8", "surrogateescape")).digest())


def _stratified(proposals: list[Proposal], seed: int) -> list[Proposal]:
    by_size = sorted(proposals, key=lambda one: sum(one.volumes_ml.values()))
    count = len(by_size)
    bounds = [round(count * part / _STRATA) for part in range(_STRATA + 1)]
    strata = [_at_random(by_size[low:high], seed) for low, high in pairwise(bounds)]
    return [one for turn in zip_longest(*strata) for one in turn if one is not None]


def _by_name(proposals: list[Proposal], _seed: int) -> list[Proposal]:
    return proposals


_ORDERS = {
    "uncertainty": _by_uncertainty,
    "random": _at_random,
    "stratified": _stratified,
    "name": _by_name,
}
