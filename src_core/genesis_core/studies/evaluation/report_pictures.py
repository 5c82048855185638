"""The pictures of a report: which cases to show, worst and best, and what to say under each."""

from __future__ import annotations

import numpy as np

from genesis_core.errors import GenesisError
from genesis_core.pictures.encoding import data_uri
from genesis_core.studies.evaluation.picturing import picture_case
from genesis_core.studies.evaluation.results import CaseResult, Evaluation
from genesis_core.studies.evaluation.summary import ScoredCase
from genesis_core.studies.page import figure, safe

# How many cases are shown.
_WORST, _BEST = 4, 2


def pictures_section(done: Evaluation) -> str:
    """Return the part of the page with the worst cases and the best, as HTML."""
    known = [(mean, k) for k, case in enumerate(done.cases) if (mean := _mean(case)) is not None]
    if not known or done.pairs is None:
        return ""
    ranked = [k for _, k in sorted(known)]
    worst = ranked[: max(min(_WORST, len(ranked) - 1), 1)]
    best = [k for k in reversed(ranked) if k not in worst][:_BEST]
    scored = [result for result in done.results if result.score is not None]
    parts = [
        "<h2>Where they disagree</h2><p>"
        "<span class='key' style='background:#56b4e9'></span>reference"
        "<span class='key' style='background:#e69f00'></span>prediction"
        "<span class='key' style='background:#fff;outline:1px solid #999'></span>both.</p>"
        "<p><small>Each plane is shown where the two disagree most. The patient's left is at the right of axial and "
        "coronal pictures. Grey values are spread over each picture's own range.</small></p>"
    ]
    for heading, chosen in (("Worst cases", worst), ("Best cases", best)):
        parts += [f"<h3>{heading}</h3>"] if chosen else []
        parts += [_picture(done, scored[k], done.cases[k], heading == "Worst cases") for k in chosen]
    return "".join(parts)


def _picture(done: Evaluation, result: CaseResult, case: ScoredCase, worst: bool) -> str:
    drawn = [(score.dice, -score.reference_ml, score) for score in case.scores if score.dice is not None]
    # Of a bad case its worst structure, of a good one its largest.
    shown = min(drawn, key=lambda item: item[:2] if worst else (item[1], 0.0))[2]
    facts = f"Dice {figure(shown.dice)}, IoU {figure(shown.iou)}, NSD {figure(shown.nsd)}"
    facts += f", HD95 {figure(shown.hd95_mm, 1)} mm" if shown.hd95_mm is not None else f", {shown.presence}"
    facts += f", {shown.prediction_ml:.1f} ml predicted, {shown.reference_ml:.1f} ml in the reference"
    text = f"<b>{safe(case.name)}, {safe(shown.structure)}</b>: {facts}"
    if done.pairs is None:
        return ""
    try:
        picture, note = picture_case(result, shown.structure, done.pairs)
    except (GenesisError, OSError) as problem:
        reason = "its files cannot be read again" if done.hidden else str(problem)
        return f"<p>{text}. <small>No picture: {safe(reason)}.</small></p>"
    told = f" <small>({safe(note)})</small>" if note else ""
    alt = f"{case.name}, {shown.structure}: outlines of reference and prediction in three planes"
    return f"<figure><figcaption>{text}{told}</figcaption><img alt='{safe(alt)}' src='{data_uri(picture)}'></figure>"


def _mean(case: ScoredCase) -> float | None:
    """Return the mean Dice over the structures of a case that have one."""
    values = [score.dice for score in case.scores if score.dice is not None]
    return float(np.mean(values)) if values else None
