"""Cases unlike the others of their set: spacing, intensities, orientation, pieces, left and right.

Robust statistics only (median and median absolute deviation), and a floor under each, so that sets which are uniform
do not make outliers of trifles. MR has no unit: a scale of its own in every scan is normal and not reported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

import numpy as np

from genesis_core.volumes.labelled.check_records import SPECK_VOXELS, CaseRecord, Problem
from genesis_core.volumes.labelled.layout import some
from genesis_core.volumes.labelled.measuring import opposite

# Fewer cases than this say nothing about what is usual.
ENOUGH_CASES = 8
# From this many scans of one modality on, a few of the other are an accident.
_ENOUGH_OF_A_KIND = 4
# Robust standard deviations; 1.4826 x MAD estimates one for normal data.
_DEVIATIONS, _MAD_TO_SD = 5.0, 1.4826
# Spacings within this factor are one protocol.
_SPACING_FACTOR = 1.6
# From this factor between the smallest and the largest on, the sizes in a set are worth a word.
_SPACINGS_VARY = 2.0
# HU by which the percentiles of CT scans of one kind differ by field of view and contrast alone.
_HU_FLOOR = 500.0
# More outliers than this share are a set of several kinds, not outliers.
_FEW = 0.2
# A structure with this share of its voxels in one piece is one that comes in one piece.
_ONE_PIECE = 0.9


def unlike_the_others(cases: Sequence[CaseRecord], channels: Sequence[str]) -> list[Problem]:
    """Return everything about usable cases that differs from the rest of their set. channels: names of the images."""
    return [
        *_single_images(cases, channels),
        *_modalities(cases, channels),
        *_intensities(cases, channels),
        *_spacings(cases),
        *_orientations(cases),
        *_left_and_right(cases),
        *_borders(cases),
        *_specks(cases),
    ]


def robust_outliers(values: Sequence[float], floor: float) -> list[int]:
    """Return which values lie further than `floor`, and than 5 robust deviations, from the median; none if many do."""
    if len(values) < ENOUGH_CASES:
        return []
    array = np.asarray(values)
    distance = np.abs(array - np.median(array))
    reach = max(floor, _DEVIATIONS * _MAD_TO_SD * float(np.median(distance)))
    found = [int(index) for index in np.flatnonzero(distance > reach)]
    return found if len(found) <= _FEW * len(values) else []


def _single_images(cases: Sequence[CaseRecord], channels: Sequence[str]) -> list[Problem]:
    problems = []
    for index in range(_most_channels(cases)):
        scans = [(case.name, case.channels[index]) for case in cases if len(case.channels) > index]
        of = _of(channels, index)
        if constant := tuple(name for name, channel in scans if channel.is_constant):
            problems.append(
                Problem(
                    "constant",
                    "warning",
                    constant,
                    f"Every voxel of the image{of} is the same: there is nothing to learn from.",
                    "Export the scan again, or take the case out.",
                )
            )
        if labels := tuple(name for name, channel in scans if channel.label_like and not channel.is_constant):
            problems.append(
                Problem(
                    "image_is_label",
                    "warning",
                    labels,
                    f"The image{of} holds a few whole numbers and looks like a label map.",
                    "See whether image and label were exchanged.",
                )
            )
    return problems


def _modalities(cases: Sequence[CaseRecord], channels: Sequence[str]) -> list[Problem]:
    """Tell scans of the other modality: among many of one kind an accident, otherwise a mixture."""
    problems = []
    for index in range(_most_channels(cases)):
        # A scan that nobody can tell is no evidence against the set.
        sure = [case for case in cases if len(case.channels) > index and case.channels[index].certainty >= 0.6]
        kinds = Counter(case.channels[index].modality for case in sure)
        if len(kinds) < 2:
            continue
        (usual, many), (rare, few) = kinds.most_common()
        odd = [case for case in sure if case.channels[index].modality == rare]
        names, of = tuple(case.name for case in odd), _of(channels, index)
        accident = few <= _FEW * (many + few) and many >= _ENOUGH_OF_A_KIND
        if accident and usual == "ct":
            values = odd[0].channels[index].percentiles
            told = f"{odd[0].name}: {values[0]:g} to {values[-1]:g}"
            text = f"Not in Hounsfield units{of}, as the {many} others are ({told})."
            fix = "Export them again with rescale slope and intercept applied, or take them out if they are no CT."
        else:
            text = f"The set mixes {many} {usual.upper()} and {few} {rare.upper()} scans{of} ({some(names, 5)})."
            fix = "Train on one of them at a time, unless the mixture is meant."
        problems.append(Problem("modality", "warning" if accident else "note", names, text, fix))
    return problems


def _intensities(cases: Sequence[CaseRecord], channels: Sequence[str]) -> list[Problem]:
    problems = []
    for index in range(_most_channels(cases)):
        scans = [case for case in cases if len(case.channels) > index and case.channels[index].modality == "ct"]
        odd: dict[str, str] = {}
        for place, word in ((1, "lowest"), (3, "highest")):
            values = [case.channels[index].percentiles[place] for case in scans]
            for found in robust_outliers(values, _HU_FLOOR):
                odd[scans[found].name] = (
                    f"{scans[found].name}: {word} values near {values[found]:g} HU, usual {median(values):g}"
                )
        if odd:
            problems.append(
                Problem(
                    "intensity",
                    "warning",
                    tuple(odd),
                    f"CT values unlike the others' ({some(list(odd.values()), 3)}).",
                    "See whether they were cut to a window, padded or scaled on export; if so, export them again.",
                )
            )
    return problems


def _spacings(cases: Sequence[CaseRecord]) -> list[Problem]:
    """Compare the steps along left-right, front-back and up-down, whatever the order of the axes."""
    anatomical = {case.name: _anatomical(case) for case in cases if case.spacing}
    names = list(anatomical)
    odd: dict[str, None] = {}
    for axis in range(3):
        logs = [math.log(anatomical[name][axis]) for name in names]
        odd.update(dict.fromkeys(names[found] for found in robust_outliers(logs, math.log(_SPACING_FACTOR))))
    if not odd:
        return _spacings_vary([anatomical[name] for name in names])
    usual = _triple([median(anatomical[name][axis] for name in names) for axis in range(3)])
    told = [f"{name}: {_triple(anatomical[name])}" for name in odd]
    return [
        Problem(
            "spacing",
            "warning",
            tuple(odd),
            f"Voxels of an unusual size ({some(told, 3)}; usual {usual} mm, left-right x front-back x up-down).",
            "See whether the header is right. If it is, they are resampled as the others are, and may look blurred.",
        )
    ]


def _spacings_vary(spacings: Sequence[Sequence[float]]) -> list[Problem]:
    axes = ("left-right", "front-back", "up-down")
    told = []
    for name, steps in zip(axes, zip(*spacings, strict=True), strict=False):
        if max(steps) >= _SPACINGS_VARY * min(steps):
            told.append(f"{name} {min(steps):.3g} to {max(steps):.3g} mm")
    if not told:
        return []
    return [
        Problem(
            "spacing",
            "note",
            (),
            f"Voxel sizes vary: {', '.join(told)}.",
            "Nothing to do: all are resampled to one size, but fine structures show only where voxels are small.",
        )
    ]


def _orientations(cases: Sequence[CaseRecord]) -> list[Problem]:
    kinds = Counter(case.orientation for case in cases if case.orientation)
    if len(kinds) < 2:
        return []
    told = ", ".join(f"{codes} {count}" for codes, count in kinds.most_common())
    usual = kinds.most_common(1)[0][0]
    few = tuple(case.name for case in cases if case.orientation != usual)
    hands = len({case.left_handed for case in cases}) > 1
    mirrored = " Some are stored mirrored to the others; left stays left as long as their headers are right." * hands
    return [
        Problem(
            "orientation",
            "note",
            few,
            f"Axes in {len(kinds)} orientations (cases): {told}.{mirrored}",
            "Nothing to do: all are brought to one orientation before training.",
        )
    ]


def _left_and_right(cases: Sequence[CaseRecord]) -> list[Problem]:
    odd: dict[str, str] = {}
    for case in cases:
        x = {drawn.name: drawn.x for drawn in case.structures}
        for name in x:
            other = opposite(name)
            if other in x and x[name] < x[other]:
                odd.setdefault(case.name, f"{case.name}: {name} lies to the patient's right of {other}")
    if not odd:
        return []
    return [
        Problem(
            "left_right",
            "warning",
            tuple(odd),
            f"Left and right are exchanged ({some(list(odd.values()), 3)}).",
            "Either the names or the orientation in the header are wrong; mend whichever it is in image and label.",
        )
    ]


def _borders(cases: Sequence[CaseRecord]) -> list[Problem]:
    """Tell scans that end within a structure that is whole in nearly all others."""
    odd: dict[str, list[str]] = {}
    for name in dict.fromkeys(drawn.name for case in cases for drawn in case.structures):
        having = [(case.name, drawn.at_border) for case in cases for drawn in case.structures if drawn.name == name]
        cut = [case for case, at_border in having if at_border]
        if len(having) >= ENOUGH_CASES and 0 < len(cut) <= 0.1 * len(having):
            for case_name in cut:
                odd.setdefault(case_name, []).append(name)
    if not odd:
        return []
    told = [f"{case}: {some(names, 3)}" for case, names in odd.items()]
    return [
        Problem(
            "border",
            "note",
            tuple(odd),
            f"Structures reach the edge of the scan that hardly ever do ({some(told, 3)}).",
            "Nothing, if the scan is short there; volumes measured in these cases are too small.",
        )
    ]


def _specks(cases: Sequence[CaseRecord]) -> list[Problem]:
    """Tell stray voxels beside structures that come in one piece; lesions in many pieces are left alone."""
    odd: dict[str, list[str]] = {}
    for name in dict.fromkeys(drawn.name for case in cases for drawn in case.structures):
        having = [(case.name, drawn) for case in cases for drawn in case.structures if drawn.name == name]
        if median(drawn.largest for _, drawn in having) < _ONE_PIECE:
            continue
        # Where most cases have specks, they come with the way the labels were made.
        if len(having) >= ENOUGH_CASES and median(drawn.specks or 0 for _, drawn in having) > 0:
            continue
        for case_name, drawn in having:
            if drawn.specks and drawn.largest >= _ONE_PIECE:
                odd.setdefault(case_name, []).append(f"{name} {drawn.specks}")
    if not odd:
        return []
    told = [f"{case}: {some(names, 3)}" for case, names in odd.items()]
    return [
        Problem(
            "specks",
            "note",
            tuple(odd),
            f"Specks of up to {SPECK_VOXELS} voxels beside a structure in one piece ({some(told, 3)}).",
            "Look at them and erase slips of the pen; a few do no harm in training.",
        )
    ]


def _anatomical(case: CaseRecord) -> tuple[float, ...]:
    order = {"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}
    pairs = zip(case.orientation or "LPS", case.spacing or (), strict=True)
    return tuple(step for _, step in sorted(((order[code], step) for code, step in pairs)))


def _triple(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _most_channels(cases: Sequence[CaseRecord]) -> int:
    return max((len(case.channels) for case in cases), default=0)


def _of(channels: Sequence[str], index: int) -> str:
    return f" of channel {channels[index]}" if len(channels) > 1 and index < len(channels) else ""
