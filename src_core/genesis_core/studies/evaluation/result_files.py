"""An evaluation as files for programs: scores.csv (one row per case and structure) and scores.json (everything)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError
from genesis_core.model.versions import software_versions
from genesis_core.studies.evaluation.comparing import Comparison
from genesis_core.studies.evaluation.definitions import METRICS
from genesis_core.studies.evaluation.intervals import FEWEST, RESAMPLES
from genesis_core.studies.evaluation.results import Evaluation
from genesis_core.studies.evaluation.scoring import StructureScore
from genesis_core.studies.evaluation.summary import ScoredCase, StructureSummary

FILES = ("scores.csv", "compared_scores.csv", "scores.json", "report.html")
_PACKAGES = ("napari-genesis", "numpy", "scipy", "monai")


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raise OutputExistsError if `folder` is a file, or holds results and these may not be replaced."""
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder}: a file, where a folder is wanted")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise OutputExistsError(f"{folder / there[0]} exists: give another --out, or --overwrite")


def write_scores(done: Evaluation, folder: Path) -> None:
    """Write the tables and the JSON file into `folder`, made if needed; each file atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "scores.csv", table(done.cases))
    if done.others:
        write_text(folder / "compared_scores.csv", table(done.others))
    else:
        # What an earlier evaluation with another question left would be read as this one's.
        (folder / "compared_scores.csv").unlink(missing_ok=True)
    write_text(folder / "scores.json", json.dumps(as_json(done), indent=1, allow_nan=False) + "\n")


def table(cases: Sequence[ScoredCase]) -> str:
    """Return one CSV row per case and structure; an empty cell is a figure that is not defined."""
    columns = [field.name for field in fields(StructureScore)]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["case", "subject", *columns])
    for case in cases:
        for score in case.scores:
            rows.writerow([case.name, case.subject, *("" if v is None else v for v in asdict(score).values())])
    return text.getvalue()


def as_json(done: Evaluation) -> dict[str, Any]:
    """Return everything as JSON: settings, definitions, versions, cases, summary, comparison, what was left out."""
    content: dict[str, Any] = {
        "schema": 1,
        "settings": {"tolerance_mm": done.tolerance_mm, "resamples": RESAMPLES, "seed": done.seed},
        "definitions": {key: {"unit": m.unit, "better": m.better, "is": m.meaning} for key, m in METRICS.items()},
        "intervals": f"95 %, percentile bootstrap over subjects; none under {FEWEST} subjects",
        "versions": software_versions(_PACKAGES),
        "summary": [_summary(one) for one in done.summary],
        "cases": [_case(case) for case in done.cases],
        "left_out": [{"case": name, "reason": reason} for name, reason in done.left_out],
        "notes": list(done.notes),
    }
    if done.others:
        content["comparison"] = {
            "a": done.titles[0],
            "b": done.titles[1],
            "results": [_comparison(one, done) for one in done.comparisons],
            "summary_of_b": [_summary(one) for one in done.other_summary],
            "cases_of_b": [_case(case) for case in done.others],
        }
    return content


def _summary(one: StructureSummary) -> dict[str, Any]:
    return {
        "structure": one.structure,
        "in_both": one.in_both,
        "missed": one.missed,
        "only_predicted": one.only_predicted,
        "absent_in_both": one.absent_in_both,
        "metrics": {key: None if found is None else asdict(found) for key, found in one.metrics.items()},
    }


def _case(case: ScoredCase) -> dict[str, Any]:
    return {"case": case.name, "subject": case.subject, "structures": [asdict(score) for score in case.scores]}


def _comparison(one: Comparison, done: Evaluation) -> dict[str, Any]:
    return {**asdict(one), "better": one.better, "in_words": one.in_words(*done.titles)}
