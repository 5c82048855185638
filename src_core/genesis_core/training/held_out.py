"""The honest figure of a fine-tuning: whole scans of held-out subjects, segmented and compared structure by structure.

The validation during training looks at sub-volumes; this is what a user gets. It runs once, after the training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis_core.atomic import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genesis_core.model.folder import Model
    from genesis_core.targets.segmentation_target import Target
    from genesis_core.volumes.label_volume import LabelVolume, Structure
    from genesis_core.volumes.labelled.case import Case

FILE = "held_out.json"
Scores = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class HeldOut:
    """Dice of held-out cases by pseudonym and structure (None: neither draws it), and whose each case is."""

    scores: Scores
    subjects: dict[str, str]

    def joined(self, other: HeldOut) -> HeldOut:
        """Return the cases of both."""
        return HeldOut({**self.scores, **other.scores}, {**self.subjects, **other.subjects})


def score_held_out(
    model: Model,
    cases: Sequence[Case],
    target: Target,
    structures: Sequence[Structure],
    *,
    device: str,
    precision: Any,
    report: Callable[[str, dict[str, float | None]], None],
    stop: Callable[[], bool],
) -> HeldOut:
    """Segment every case whole and return its Dice per structure.

    structures: the set's own list; places of one called "ignore" count neither for nor against the model.
    report: called with the pseudonym and the Dice of each case.
    Raises Stopped if `stop` says so between windows; VolumeError if a case cannot be read any more.
    """
    from genesis_core.inference.segment import segment
    from genesis_core.metrics.overlap import overlap
    from genesis_core.volumes.labelled.reading_cases import read_case
    from genesis_core.volumes.labelled.splitting import subject_id
    from genesis_core.volumes.structure_names import IGNORE

    scores: Scores = {}
    for case in cases:
        found = read_case(case, structures)
        if found.label is None:
            continue
        result = segment(model, found.images, device=device, precision=precision, stop=stop)
        predicted = {structure.name: structure for structure in result.labels.structures}
        ignored = [one for one in found.label.structures if one.name.lower() == IGNORE]
        known = ~found.label.mask(ignored[0]) if ignored else None
        members = {region.name: region.members for region in target.regions}
        dice: dict[str, float | None] = {}
        for name, structure in predicted.items():
            reference = _drawn(found.label, members.get(name, (name,)))
            # A structure that nobody looked for in this case has no figure.
            if reference is not None:
                mask = result.labels.mask(structure)
                value = (overlap(mask, reference) if known is None else overlap(mask & known, reference & known)).dice
                dice[name] = None if value is None else round(value, 5)
        scores[case.id] = dice
        report(case.id, dice)
    return HeldOut(scores, {case.id: subject_id(case.subject) for case in cases})


def _drawn(label: LabelVolume, names: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return where any of these structures is drawn; None if one of them was not looked for."""
    there = {structure.name: structure for structure in label.structures}
    if any(name not in there for name in names):
        return None
    return np.asarray(np.logical_or.reduce([label.mask(there[name]) for name in names]))


def means(scores: Scores) -> dict[str, float]:
    """Return the mean Dice over cases: `dice_<name>` of each structure, and `mean_dice` over the structures."""
    names = dict.fromkeys(name for dice in scores.values() for name in dice)
    by_name = {name: [value for dice in scores.values() if (value := dice.get(name)) is not None] for name in names}
    figures = {f"dice_{name}": round(fmean(values), 5) for name, values in by_name.items() if values}
    return {**figures, "mean_dice": round(fmean(figures.values()), 5)} if figures else {}


def write_scores(path: Path, held_out: HeldOut) -> None:
    """Write the scores and their means as JSON, atomically."""
    values = {
        "v": 1,
        "means": means(held_out.scores),
        "cases": held_out.scores,
        "subjects": {name: held_out.subjects[name] for name in held_out.scores},
    }
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_scores(path: Path) -> HeldOut | None:
    """Return the scores of a finished fold, or None if it has none yet."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return HeldOut(values["cases"], values["subjects"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
