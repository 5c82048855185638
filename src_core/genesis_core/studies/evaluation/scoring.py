"""One prediction against its reference: every structure's overlap, surface distances and volume.

Structures are matched by name where both sides name them, by number otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genesis_core.errors import VolumeError
from genesis_core.metrics.overlap import Overlap, joint_counts, label_codes, millilitres, overlap_in
from genesis_core.metrics.surface import SurfaceScores, surface_scores
from genesis_core.studies.evaluation.comparable import comparable
from genesis_core.volumes.label_volume import LabelVolume, Structure

Presence = Literal["both", "missed", "only predicted", "absent in both"]
# What readers call a structure that nobody named.
_UNNAMED = re.compile(r"label \d+", re.IGNORECASE)


@dataclass(frozen=True)
class StructureScore:
    """Scores of one structure in one case; None is "not defined" (see `Overlap` and `SurfaceScores`).

    presence: who draws it. "missed": only the reference; "only predicted": only the prediction.
    """

    structure: str
    presence: Presence
    dice: float | None
    iou: float | None
    nsd: float | None
    hd95_mm: float | None
    mean_distance_mm: float | None
    prediction_ml: float
    reference_ml: float
    volume_error_ml: float
    relative_volume_error: float | None

    def value(self, metric: str) -> float | None:
        """Return one of METRICS; a structure that nobody draws has none, not even a volume error of 0."""
        found: float | None = getattr(self, metric)
        return None if self.presence == "absent in both" else found


@dataclass(frozen=True)
class CaseScore:
    """Scores of one case, one per structure, in the order of the reference.

    matched_by: how structures were matched. only_listed_by_prediction, only_listed_by_reference: structures that only
    one side's list names, where both sides have lists; whoever evaluates a folder leaves out those that the reference
    does not name in this case, and those that no prediction ever names: nobody looked for them, or learnt them.
    """

    structures: tuple[StructureScore, ...]
    matched_by: Literal["name", "number"]
    tolerance_mm: float
    only_listed_by_prediction: tuple[str, ...] = ()
    only_listed_by_reference: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric over the structures that have it."""
        values = [value for score in self.structures if (value := score.value(metric)) is not None]
        return float(np.mean(values)) if values else None


@dataclass(frozen=True)
class MatchedStructure:
    """One structure, as the prediction and the reference have it; None: that side does not list it."""

    name: str
    prediction: Structure | None
    reference: Structure | None


def score_case(
    prediction: LabelVolume,
    reference: LabelVolume,
    tolerance_mm: float = 1.0,
    names: Mapping[int, str] | None = None,
) -> CaseScore:
    """Score every structure of a prediction.

    tolerance_mm: of the normalised surface Dice. names: what to call structures that are matched by number, where the
    reference does not name them. Places that the reference marks as "ignore" do not count.
    Raises VolumeError if the grids are not the same.
    """
    prediction, reference = comparable(prediction, reference)
    matched, by = match_structures(prediction.structures, reference.structures, names)
    spacing = prediction.geometry.spacing
    drawn, wanted = _Coded(prediction), _Coded(reference)
    tables: dict[tuple[int, int], NDArray[np.int64]] = {}
    scores = []
    for pair in matched:
        one, two = drawn.place(pair.prediction), wanted.place(pair.reference)
        layers = one[0], two[0]
        if layers not in tables:
            sizes = len(drawn.values[layers[0]]) + 1, len(wanted.values[layers[1]]) + 1
            tables[layers] = joint_counts(drawn.codes[layers[0]], wanted.codes[layers[1]], sizes)
        counts = overlap_in(tables[layers], one[1], two[1])
        surfaces = _surfaces(drawn, wanted, one, two, counts, spacing, tolerance_mm)
        scores.append(_score(pair.name, counts, surfaces, spacing))
    listed = by == "name"
    return CaseScore(
        structures=tuple(scores),
        matched_by=by,
        tolerance_mm=tolerance_mm,
        only_listed_by_prediction=tuple(pair.name for pair in matched if listed and pair.reference is None),
        only_listed_by_reference=tuple(pair.name for pair in matched if listed and pair.prediction is None),
        notes=(*prediction.notes, *reference.notes),
    )


def match_structures(
    prediction: Sequence[Structure], reference: Sequence[Structure], names: Mapping[int, str] | None = None
) -> tuple[tuple[MatchedStructure, ...], Literal["name", "number"]]:
    """Return the structures of both sides in pairs, the reference's order first, and how they were matched.

    By name if both sides name their structures (case, and which of space, "-" and "_", do not count), else by number;
    names: what to call those that are matched by number, where the reference does not name them.
    """
    by_name = _are_named(prediction) and _are_named(reference)
    if names and not by_name:
        prediction = [replace(one, name=names.get(one.value, one.name)) for one in prediction]
        reference = [
            replace(one, name=names.get(one.value, one.name)) if _UNNAMED.fullmatch(one.name) else one
            for one in reference
        ]
    first, second = _keyed(prediction, by_name), _keyed(reference, by_name)
    pairs = []
    for key in [*second, *(key for key in first if key not in second)]:
        one, two = first.get(key), second.get(key)
        called = [structure.name for structure in (two, one) if structure is not None]
        # By number one side may have the name and the other "label 3".
        name = next((name for name in called if not _UNNAMED.fullmatch(name)), called[0])
        pairs.append(MatchedStructure(name, one, two))
    return tuple(pairs), "name" if by_name else "number"


def given_names(labels: LabelVolume | None) -> dict[int, str]:
    """Return the names of the structures that somebody named, by number."""
    structures = () if labels is None else labels.structures
    return {one.value: one.name for one in structures if not _UNNAMED.fullmatch(one.name)}


def _are_named(structures: Sequence[Structure]) -> bool:
    return any(not _UNNAMED.fullmatch(structure.name) for structure in structures)


def _keyed(structures: Sequence[Structure], by_name: bool) -> Mapping[object, Structure]:
    found: dict[object, Structure] = {}
    for structure in structures:
        key: object = name_key(structure.name) if by_name else structure.value
        if key in found:
            how = "name" if by_name else "number, and only one side has names"
            raise VolumeError(
                f"'{found[key].name}' and '{structure.name}' cannot be told apart by {how}. Give both sides the same "
                "list of names"
            )
        found[key] = structure
    return found


def name_key(name: str) -> str:
    """Return a structure's name as it is compared: without case, and with spaces for "-" and "_"."""
    return " ".join(re.split(r"[\s_\-]+", name.strip().casefold()))


class _Coded:
    """A label volume whose layers hold 1, 2, ... for its structures, with each one's bounding box."""

    def __init__(self, labels: LabelVolume) -> None:
        from scipy.ndimage import find_objects

        layers = range(len(labels.layers))
        self.values = [sorted(s.value for s in labels.structures if s.layer == layer) for layer in layers]
        self.codes = [label_codes(labels.layers[layer], self.values[layer]) for layer in layers]
        self.boxes = [find_objects(codes, len(self.values[layer])) for layer, codes in enumerate(self.codes)]

    def place(self, structure: Structure | None) -> tuple[int, int]:
        """Return a structure's layer and code; code 0 in layer 0 for one this side does not list."""
        if structure is None:
            return 0, 0
        return structure.layer, self.values[structure.layer].index(structure.value) + 1

    def box(self, place: tuple[int, int]) -> tuple[slice, ...]:
        found: tuple[slice, ...] = self.boxes[place[0]][place[1] - 1]
        return found


def _surfaces(
    drawn: _Coded,
    wanted: _Coded,
    one: tuple[int, int],
    two: tuple[int, int],
    counts: Overlap,
    spacing: tuple[float, float, float],
    tolerance_mm: float,
) -> SurfaceScores:
    if not counts.prediction or not counts.reference:
        return SurfaceScores(None, None, 0.0 if counts.prediction or counts.reference else None)
    box = tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(drawn.box(one), wanted.box(two), strict=True)
    )
    first, second = drawn.codes[one[0]][box] == one[1], wanted.codes[two[0]][box] == two[1]
    return surface_scores(first, second, spacing, tolerance_mm)


def _score(name: str, counts: Overlap, surfaces: SurfaceScores, spacing: tuple[float, float, float]) -> StructureScore:
    presence: Presence
    if counts.prediction and counts.reference:
        presence = "both"
    elif counts.reference:
        presence = "missed"
    else:
        presence = "only predicted" if counts.prediction else "absent in both"
    return StructureScore(
        structure=name,
        presence=presence,
        dice=counts.dice,
        iou=counts.iou,
        nsd=surfaces.nsd,
        hd95_mm=surfaces.hd95,
        mean_distance_mm=surfaces.mean_distance,
        prediction_ml=counts.prediction * millilitres(spacing),
        reference_ml=counts.reference * millilitres(spacing),
        volume_error_ml=counts.volume_error_ml(spacing),
        relative_volume_error=counts.relative_volume_error,
    )
