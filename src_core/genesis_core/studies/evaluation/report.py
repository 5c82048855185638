"""report.html: an evaluation as one page, with tables, distributions and pictures inside, and nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genesis_core.atomic import write_text
from genesis_core.pictures.strip_chart import Strip, strip_chart
from genesis_core.studies.evaluation.comparing import COMPARED, Comparison, p_in_words
from genesis_core.studies.evaluation.definitions import METRICS
from genesis_core.studies.evaluation.intervals import FEWEST, RESAMPLES
from genesis_core.studies.evaluation.report_pictures import pictures_section
from genesis_core.studies.evaluation.results import Evaluation
from genesis_core.studies.evaluation.summary import Distribution, ScoredCase, StructureSummary
from genesis_core.studies.page import figure, html_page, html_table, safe
from genesis_core.volumes.labelled.layout import some

# Rows of the list of all scores; more are left to the CSV file.
_MOST_ROWS = 1500


def write_report(done: Evaluation, path: Path) -> None:
    """Write the page to `path`. A case whose files cannot be read again for its picture is told, not fatal."""
    parts = [_head(done), _comparison(done), _summary_table(done), _distributions(done), pictures_section(done)]
    parts += [_all_scores(done), _left_out(done), _definitions(done)]
    write_text(path, html_page("napari-genesis: evaluation", "\n".join(part for part in parts if part)))


def _head(done: Evaluation) -> str:
    subjects = len({case.subject for case in done.cases})
    means = {key: _mean_over_structures(done.summary, key) for key in ("dice", "nsd", "hd95_mm")}
    structures = sum(one.scored > 0 for one in done.summary)
    of = "" if structures == 1 else ", mean over structures"
    tiles = [
        (figure(means["dice"]), f"Dice{of}"),
        (figure(means["nsd"]), f"NSD at {done.tolerance_mm:g} mm{of}"),
        (figure(means["hd95_mm"], 1) + " mm", f"HD95{of}"),
        (str(len(done.cases)), "cases" + ("" if subjects == len(done.cases) else f" of {subjects} subjects")),
        (str(structures), "structures" if structures != 1 else "structure"),
    ]
    if done.left_out:
        tiles.append((str(len(done.left_out)), "not scored, see below"))
    figures = "".join(f"<li><b>{value}</b><span>{text}</span></li>" for value, text in tiles)
    warnings = []
    missed = [(one.structure, one.missed, one.in_both + one.missed) for one in done.summary if one.missed]
    if missed:
        told = ", ".join(f"{safe(name)} in {count} of {total}" for name, count, total in missed[:6])
        rest = f" and {len(missed) - 6} more structures" if len(missed) > 6 else ""
        warnings.append(
            f"Missed altogether: {told}{rest}. These count as Dice and NSD 0, but have no HD95: HD95 is of the cases "
            "where something was found."
        )
    if done.left_out:
        warnings.append(f"{len(done.left_out)} cases are not in these figures: {_some_left_out(done)}.")
    if subjects < FEWEST:
        warnings.append(
            f"With {subjects} subject{'s' * (subjects != 1)} a mean says little about the next one: no interval is "
            f"given under {FEWEST}."
        )
    notes = "".join(f'<p class="note">{text}</p>' for text in warnings)
    lead = "Predictions against references, structure by structure."
    if done.others:
        lead = f"{safe(done.titles[0])} against {safe(done.titles[1])}. The figures here are of {safe(done.titles[0])}."
    title = "How good is the segmentation?" if not done.others else "Which segmentation is better?"
    return f"<h1>{title}</h1><p class='lead'>{lead}</p><ul class='figures'>{figures}</ul>{notes}"


def _some_left_out(done: Evaluation) -> str:
    names = [safe(name) for name, _ in done.left_out[:5]]
    return ", ".join(names) + (f" and {len(done.left_out) - 5} more" if len(done.left_out) > 5 else "")


def _mean_over_structures(summary: Sequence[StructureSummary], key: str) -> float | None:
    values = [found.mean for one in summary if (found := one.metrics[key]) is not None]
    return float(np.mean(values)) if values else None


def _comparison(done: Evaluation) -> str:
    if not done.others:
        return ""
    a, b = done.titles
    parts = [f"<h2>{safe(a)} against {safe(b)}, in pairs</h2>"]
    for key in COMPARED:
        found = [one for one in done.comparisons if one.metric == key]
        if not found:
            continue
        metric = METRICS[key]
        if key == "dice":
            words = "".join(f"<li><b>{safe(one.structure)}:</b> {safe(one.in_words(a, b))}</li>" for one in found[:20])
            parts.append(f"<div class='found'><ul>{words}</ul></div>")
        headings = [safe(metric.heading), safe(a), safe(b), "difference", "95 % interval", "n"]
        headings += ["Wilcoxon p", "Holm", "t-test p"]
        parts.append(html_table(headings, [_comparison_row(one) for one in found]))
    parts.append(
        "<p><small>Difference: first less second, one value per subject. Interval: bootstrap over subjects. Wilcoxon: "
        "signed-rank test, two-sided; Holm: corrected for the number of structures. An interval that holds 0 is no "
        "proof that both are equally good.</small></p>"
    )
    return "".join(parts)


def _comparison_row(one: Comparison) -> list[str]:
    interval = "–" if one.interval is None else f"{one.interval.low:+.3f} to {one.interval.high:+.3f}"
    return [
        safe(one.structure),
        figure(one.mean_a),
        figure(one.mean_b),
        f"<b>{one.mean:+.3f}</b>" if one.better else f"{one.mean:+.3f}",
        interval,
        str(one.subjects),
        safe(p_in_words(one.wilcoxon_p)),
        safe(p_in_words(one.wilcoxon_p_holm)),
        safe(p_in_words(one.t_test_p)),
    ]


def _summary_table(done: Evaluation) -> str:
    parts = ["<h2>Each structure</h2>"]
    for title, summary in ((done.titles[0], done.summary), (done.titles[1], done.other_summary)):
        if not summary:
            continue
        if done.others:
            parts.append(f"<p><b>{safe(title)}</b></p>")
        headings = ["structure", "n", "Dice", "median", "sd", "lowest", "IoU", "NSD", "HD95, mm", "mean distance, mm"]
        headings += ["volume error, ml", "missed", "only predicted", "absent"]
        parts.append(html_table(headings, [_summary_row(one) for one in summary if one.scored]))
    parts.append(
        f"<p><small>Means, with the 95 % interval of the mean below ({RESAMPLES:,} bootstrap resamples of subjects). "
        "n: cases where somebody draws the structure. Missed: only the reference has it; only predicted: the reference "
        "does not; both have Dice and NSD 0 and no HD95. Absent: in both, nothing to score, left out.</small></p>"
    )
    nowhere = [one.structure for one in done.summary if not one.scored]
    if nowhere:
        parts.append(f"<p><small>Listed, but drawn by nobody in any case: {safe(some(nowhere, 12))}.</small></p>")
    return "".join(parts)


def _summary_row(one: StructureSummary) -> list[str]:
    dice = one.metrics["dice"]
    volume = one.metrics["volume_error_ml"]
    return [
        f"<b>{safe(one.structure)}</b>",
        str(one.scored),
        _mean(dice),
        "–" if dice is None else figure(dice.median),
        "–" if dice is None else figure(dice.sd),
        "–" if dice is None else f"{dice.minimum:.3f}<small>{safe(_short(dice.worst))}</small>",
        _mean(one.metrics["iou"], interval=False),
        _mean(one.metrics["nsd"]),
        _mean(one.metrics["hd95_mm"], 1) + _of(one.metrics["hd95_mm"], one.scored),
        _mean(one.metrics["mean_distance_mm"], 2, interval=False),
        "–" if volume is None else f"{volume.mean:+.2f}",
        _count(one.missed),
        _count(one.only_predicted),
        _count(one.absent_in_both),
    ]


def _of(found: Distribution | None, scored: int) -> str:
    return "" if found is None or found.count == scored else f"<small>of {found.count}</small>"


def _mean(found: Distribution | None, digits: int = 3, *, interval: bool = True) -> str:
    if found is None:
        return "–"
    text = figure(found.mean, digits)
    if not interval or found.interval is None:
        return text
    return f"{text}<small>{found.interval.low:.{digits}f} to {found.interval.high:.{digits}f}</small>"


def _distributions(done: Evaluation) -> str:
    names = [one.structure for one in done.summary if one.scored]
    sets = [done.cases, done.others] if done.others else [done.cases]
    parts = ["<h2>Every case</h2>"]
    for key, low, high in (("dice", 0.0, 1.0), ("hd95_mm", 0.0, None)):
        strips = [Strip(name, tuple(_values(cases, name, key) for cases in sets)) for name in names]
        metric = METRICS[key]
        chart = strip_chart(strips, x_label=metric.heading, group_names=done.titles, low=low, high=high)
        parts.append(f"<figure>{chart}</figure>")
    parts.append(
        "<p><small>Each dot is a case (its name appears under the mouse), the box holds the middle half of them, the "
        "dark line is the median.</small></p>"
    )
    return "".join(parts)


def _values(cases: Sequence[ScoredCase], structure: str, key: str) -> tuple[tuple[str, float], ...]:
    return tuple(
        (case.name, value)
        for case in cases
        for score in case.scores
        if score.structure == structure and (value := score.value(key)) is not None
    )


def _all_scores(done: Evaluation) -> str:
    rows = [
        [
            safe(_short(case.name)),
            safe(score.structure),
            *(figure(score.value(key), digits) for key, digits in _COLUMNS),
            safe(score.presence),
        ]
        for case in done.cases
        for score in case.scores
    ]
    told = ""
    if len(rows) > _MOST_ROWS:
        told = f"<p><small>The first {_MOST_ROWS:,} of {len(rows):,} rows; all are in scores.csv.</small></p>"
    headings = ["case", "structure", *(safe(METRICS[key].heading) for key, _ in _COLUMNS), "drawn by"]
    table = html_table(headings, rows[:_MOST_ROWS], numbers_from=2)
    summary = f"<summary>{len(rows):,} rows, also in scores.csv</summary>"
    return f"<h2>All scores</h2><details>{summary}{table}{told}</details>"


_COLUMNS = (("dice", 3), ("iou", 3), ("nsd", 3), ("hd95_mm", 1), ("mean_distance_mm", 2), ("volume_error_ml", 2))


def _left_out(done: Evaluation) -> str:
    if not done.left_out and not done.notes:
        return ""
    parts = ["<h2>Left out, and what to know</h2>"]
    if done.left_out:
        rows = [[safe(name), safe(reason)] for name, reason in done.left_out]
        parts.append(html_table(["case", "reason"], rows, numbers_from=2))
    parts += [f"<p>{safe(note)}</p>" for note in done.notes]
    return "".join(parts)


def _definitions(done: Evaluation) -> str:
    rows = [[f"<b>{safe(metric.heading)}</b>", safe(metric.meaning)] for metric in METRICS.values()]
    facts = f"NSD tolerance {done.tolerance_mm:g} mm; {RESAMPLES:,} resamples, seed {done.seed}."
    return (
        f"<h2>What the figures are</h2>{html_table(['figure', 'definition'], rows, numbers_from=2)}"
        f"<p><small>{facts} Surfaces are those of Nikolov et al. 2021, in millimetres of the scan's own grid; nothing "
        "was resampled. A distance comes out up to half a voxel short, as places on a surface are rounded to corners "
        "of voxels. Versions of the software are in scores.json.</small></p>"
    )


def _count(value: int) -> str:
    return str(value) if value else "·"


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
