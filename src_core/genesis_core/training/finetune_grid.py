"""Spacing and patch of a fine-tuning, chosen together: a patch shall hold the largest structure with its surroundings.

Arithmetic on `SetFacts` alone; how many voxels there is room for is said by `finetune_plan`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from genesis_core.training.set_facts import SetFacts, Triple

if TYPE_CHECKING:
    from genesis_core.training.finetune_plan import Given

Size = tuple[int, int, int]

# Spacings within this of the median are one spacing: resampling would cost sharpness and gain nothing.
_SAME_SPACING = 0.1
# Room around a structure that a network needs to tell it from its surroundings, as a share of its size, and in mm.
_CONTEXT, _MARGIN = 1.25, 10.0
# The smallest structure keeps this many voxels across, so that coarser voxels never lose it.
_VOXELS_ACROSS = 6.0
_COARSEST = 3.0
_WORTH_RESAMPLING = 1.25
LOWEST_PATCH = 16


def choose_grid(
    facts: SetFacts, given: Given, room: int, divisor: int, reasons: dict[str, str]
) -> tuple[Triple | None, Size]:
    """Choose spacing and patch together: the patch has to hold the largest structure with some of what is around it."""
    usual = facts.median_spacing
    wanted = _wanted_extent(facts)
    spacing: Triple | None
    if given.spacing == "as scanned":
        spacing, why = None, "as scanned: as you set it."
    elif given.spacing is not None:
        spacing, why = given.spacing, "as you set it."
    elif all(is_close(one, usual) for one in facts.spacings):
        spacing, why = None, "as scanned: all cases have nearly the same."
    else:
        spacing, why = usual, "the median of the cases, whose spacings differ."
    if given.spacing is None and given.patch is None:
        coarser = _coarser(facts, spacing or usual, wanted, room)
        if coarser is not None:
            spacing = coarser
            why = (
                f"coarser than the scans ({mm_text(usual)} mm), so that a patch holds the largest structure "
                f"({mm_text(wanted)} mm with its surroundings)."
            )
    reasons["data.spacing"] = f"{mm_text(spacing)} mm: {why}" if spacing else why
    if given.patch is not None:
        reasons["sampling.patch_size"] = f"{size_text(given.patch)} voxels: as you set it."
        return spacing, given.patch
    patch = _patch(facts, spacing or usual, wanted, room, divisor)
    covered = _triple_of(n * s for n, s in zip(patch[::-1], spacing or usual, strict=True))
    whole = all(c >= e for c, e in zip(covered, facts.median_extent, strict=True))
    what = (
        "whole scans" if whole else f"{mm_text(covered)} mm; the structures with surroundings take {mm_text(wanted)} mm"
    )
    reasons["sampling.patch_size"] = f"{size_text(patch)} voxels (z, y, x): {what}."
    return spacing, patch


def shrunk(patch: Size, spacing: Triple, divisor: int) -> Size:
    """Return a patch (z, y, x) shorter by one `divisor` along its longest axis in mm; spacing: x, y, z."""
    lengths = [n * s for n, s in zip(patch, spacing[::-1], strict=True)]
    axis = max((a for a in range(3) if patch[a] > max(LOWEST_PATCH, divisor)), key=lambda a: lengths[a])
    new = [n - divisor if a == axis else n for a, n in enumerate(patch)]
    return new[0], new[1], new[2]


def _wanted_extent(facts: SetFacts) -> Triple:
    """Return what a patch should cover, x, y, z in mm: the largest structure with context, never beyond the scans."""
    largest = [max((s.extent[axis] for s in facts.structures), default=0.0) for axis in range(3)]
    return _triple_of(
        min(size * _CONTEXT + _MARGIN, scan) for size, scan in zip(largest, facts.median_extent, strict=True)
    )


def _coarser(facts: SetFacts, spacing: Triple, wanted: Triple, room: int) -> Triple | None:
    """Return a coarser spacing if the wanted extent needs more voxels than there is room for, else None.

    Fine axes are coarsened first, so voxels become more alike in their edges.
    """
    needed = math.prod(w / s for w, s in zip(wanted, spacing, strict=True))
    if needed <= room:
        return None
    smallest = min((_diameter(s.ml) for s in facts.structures if s.ml > 0), default=math.inf)
    limit = max(min(smallest / _VOXELS_ACROSS, _COARSEST * max(spacing)), max(spacing))
    new = list(spacing)
    while math.prod(w / s for w, s in zip(wanted, new, strict=True)) > room:
        finest = min(range(3), key=lambda axis: new[axis])
        if new[finest] * 1.05 > limit:
            break
        new[finest] *= 1.05
    rounded = _triple_of(max(round(value, 2), old) for value, old in zip(new, spacing, strict=True))
    # A little coarser blurs every scan and gains next to nothing.
    return rounded if any(n > _WORTH_RESAMPLING * o for n, o in zip(rounded, spacing, strict=True)) else None


def _patch(facts: SetFacts, spacing: Triple, wanted: Triple, room: int, divisor: int) -> Size:
    """Return (z, y, x): whole scans if there is room, else shortened along the axis with most to spare."""
    scan = [max(1, round(e / s)) for e, s in zip(facts.median_extent, spacing, strict=True)][::-1]
    aim = [max(1.0, w / s) for w, s in zip(wanted, spacing, strict=True)][::-1]
    lowest = max(LOWEST_PATCH, divisor)
    patch = [max(lowest if n > divisor else divisor, math.ceil(n / divisor) * divisor) for n in scan]
    while math.prod(patch) > room:
        longest = max(
            (axis for axis in range(3) if patch[axis] > lowest),
            key=lambda axis: (patch[axis] / aim[axis], patch[axis]),
            default=None,
        )
        if longest is None:
            break
        patch[longest] -= divisor
    return patch[0], patch[1], patch[2]


def _diameter(ml: float) -> float:
    """Return the diameter in mm of a ball of this volume."""
    return float(2 * (3 * ml * 1000 / (4 * math.pi)) ** (1 / 3))


def is_close(first: Triple, second: Triple) -> bool:
    """Whether two spacings in mm differ so little that resampling from one to the other gains nothing."""
    return all(abs(a - b) <= _SAME_SPACING * b for a, b in zip(first, second, strict=True))


def _triple_of(values: Iterable[float]) -> Triple:
    x, y, z = values
    return float(x), float(y), float(z)


def mm_text(values: Triple) -> str:
    """Return lengths for people, such as "1 x 1 x 2.5"."""
    return " x ".join(f"{value:.3g}" for value in values)


def size_text(values: Size) -> str:
    """Return a size in voxels as the command line takes it, such as "32,64,64"."""
    return ",".join(map(str, values))
