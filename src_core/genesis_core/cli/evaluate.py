"""`napari-genesis evaluate`: how good are predictions, structure by structure, and which of two sets is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genesis_core.cli.output import Output
from genesis_core.cli.settings_command import settings_command
from genesis_core.settings import Settings, setting

if TYPE_CHECKING:
    from genesis_core.studies.evaluation.results import CaseResult, Evaluation
    from genesis_core.studies.evaluation.summary import Distribution

# Rows of the table on the terminal; more are in the report.
_MOST_ROWS = 40


class EvaluateSettings(Settings):
    """What `napari-genesis evaluate` is told."""

    predictions: Path = setting(..., "Folder of predicted label maps, or one file.")
    references: Path = setting(..., "Folder of reference label maps, one file, or a labelled folder in any layout.")
    out: Path = setting(..., "Folder for scores.csv, scores.json and report.html.")
    images: Path | None = setting(None, "Folder of the scans, to show beneath the outlines.")
    compare: Path | None = setting(None, "A second folder of predictions of the same cases, compared in pairs.")
    labels: str | None = setting(None, "Which set of labels, where a labelled folder has several.")
    subject_pattern: str | None = setting(
        None, "Regular expression with one group, the subject, searched in a case's name."
    )
    subjects: Path | None = setting(None, "Table with the columns name and subject.")
    tolerance: float = setting(1.0, "Tolerance of the normalised surface Dice.", unit="mm", ge=0, le=100)
    seed: int = setting(0, "Seed of the bootstrap intervals.")
    threads: int = setting(2, "Cases scored at the same time; each needs its label maps in memory.", ge=1, le=64)
    subset: bool = setting(False, "Predictions of some of the references only: missing ones are no failure.")
    share: bool = setting(False, "Pseudonyms instead of names, and no notes that name files.")
    overwrite: bool = setting(False, "Replace results that are already there.")


def run(settings: EvaluateSettings, output: Output) -> int:
    """Score every case; a bad one is named and left out. Returns 0 if all could be scored, else 1."""
    from genesis_core.studies.evaluation.evaluate import evaluate
    from genesis_core.volumes.labelled.layout import case_id

    for name in ("predictions", "references", "images", "compare", "subjects"):
        place: Path | None = getattr(settings, name)
        if place is not None and not place.exists():
            raise click.UsageError(f"{name}: {place}: no such file or folder")

    def tell(result: CaseResult) -> None:
        name = case_id(result.pair.case.name) if settings.share else result.pair.case.name
        if result.score is None:
            reason = "not told with --share" if settings.share else result.reason
            output.record({"event": "failed", "case": name, "reason": reason})
            output.warn(f"{name} is left out: {reason}")
        else:
            keys = ("dice", "nsd", "hd95_mm")
            scores = {one.structure: {key: one.value(key) for key in keys} for one in result.score.structures}
            output.record({"event": "scored", "case": name, "structures": scores})
        if result.other_reason is not None:
            output.warn(f"{name} is left out of the comparison: {'' if settings.share else result.other_reason}")

    with _bar(output) as progress:
        done = evaluate(
            settings.predictions,
            settings.references,
            settings.out,
            images=settings.images,
            compare_with=settings.compare,
            labels=settings.labels,
            subject_pattern=settings.subject_pattern,
            subjects=settings.subjects,
            tolerance_mm=settings.tolerance,
            seed=settings.seed,
            threads=settings.threads,
            subset=settings.subset,
            share=settings.share,
            overwrite=settings.overwrite,
            progress=progress,
            on_case=tell,
        )
    _show(done, output, settings)
    return 1 if done.left_out else 0


def _show(done: Evaluation, output: Output, settings: EvaluateSettings) -> None:
    if not output.as_json:
        headings = ("structure", "n", "Dice", "95 % interval", "median", "lowest", "NSD", "HD95 mm", "missed", "extra")
        rows = []
        drawn = [one for one in done.summary if one.scored]
        for one in drawn[:_MOST_ROWS]:
            dice, hd95 = one.metrics["dice"], one.metrics["hd95_mm"]
            span = None if dice is None else dice.interval
            interval = "" if span is None else f"{span.low:.3f} to {span.high:.3f}"
            rows.append(
                (
                    one.structure,
                    str(one.scored),
                    _mean(dice),
                    interval,
                    "-" if dice is None else f"{dice.median:.3f}",
                    "-" if dice is None else f"{dice.minimum:.3f} ({dice.worst})",
                    _mean(one.metrics["nsd"]),
                    _mean(hd95, 1),
                    str(one.missed or ""),
                    str(one.only_predicted or ""),
                )
            )
        output.table(headings, rows)
        if len(drawn) > _MOST_ROWS:
            output.say(f"and {len(drawn) - _MOST_ROWS} more structures, in the report.")
    for comparison in done.comparisons:
        if comparison.metric == "dice":
            output.say(f"{comparison.structure}: {comparison.in_words(*done.titles)}")
    for note in done.notes:
        output.say(note)
    unscored = {name for name, reason in done.left_out}
    missing, without_other = (done.pairs.missing, done.pairs.without_other) if done.pairs else ((), ())
    if missing and not settings.subset:
        output.warn(
            f"{_named(missing, settings.share)}: no prediction for {_counted(missing)}, which "
            "counts as a failure. If only some were to be predicted, say --subset"
        )
    if without_other:
        output.warn(
            f"{_named(without_other, settings.share)}: B has no prediction of {_counted(without_other, 'case')}"
        )
    left = f", {len(unscored)} not or not fully scored" if unscored else ""
    output.say(f"{len(done.cases)} cases scored{left}. Report: {settings.out / 'report.html'}")
    output.record(
        {
            "event": "finished",
            "cases": len(done.cases),
            "left_out": [{"case": name, "reason": reason} for name, reason in done.left_out],
            "mean_dice": {one.structure: d.mean if (d := one.metrics["dice"]) else None for one in done.summary},
            "report": str(settings.out / "report.html"),
        }
    )


def _named(names: Sequence[str], share: bool) -> str:
    from genesis_core.volumes.labelled.layout import case_id, some

    return some([case_id(name) for name in names] if share else list(names))


def _counted(names: Sequence[str], what: str = "reference") -> str:
    return f"this {what}" if len(names) == 1 else f"these {len(names)} {what}s"


def _mean(found: Distribution | None, digits: int = 3) -> str:
    return "-" if found is None else f"{found.mean:.{digits}f}"


@contextmanager
def _bar(output: Output) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows (cases done, all) with the time left on a terminal; nothing elsewhere."""
    if not output.is_terminal:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


command = settings_command(
    "evaluate",
    EvaluateSettings,
    run,
    text=(
        "Compare predicted segmentations with references: scores, intervals and a report.\n\n"
        "Predictions belong to references by their file names. Writes scores.csv (a row per case and structure), "
        "scores.json and report.html: Dice, IoU, surface distances and volume errors, with intervals, every case, and "
        "pictures of the worst. A case that cannot be scored, or a reference without a prediction, is named; the exit "
        "code is then 1."
    ),
    example="napari-genesis evaluate predicted/ labelled/labelsTs/ --images labelled/imagesTs/ --out scores/",
    arguments={"PREDICTIONS": "predictions", "REFERENCES": "references"},
    options={
        "--out": "out",
        "--images": "images",
        "--compare": "compare",
        "--labels": "labels",
        "--subject-pattern": "subject_pattern",
        "--subjects": "subjects",
        "--tolerance": "tolerance",
        "--seed": "seed",
        "--threads": "threads",
        "--subset": "subset",
        "--share": "share",
        "--overwrite": "overwrite",
    },
)
