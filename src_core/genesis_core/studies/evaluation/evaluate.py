"""Score a folder of predictions against references: every case, a summary per structure, two methods in pairs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from genesis_core.errors import GenesisError, SettingsError, VolumeError
from genesis_core.metrics.surface import load_libraries
from genesis_core.parallel import for_each, in_order
from genesis_core.studies.evaluation.comparing import compare
from genesis_core.studies.evaluation.folders import Pair, Pairs, find_pairs, read_reference
from genesis_core.studies.evaluation.results import CaseResult, Evaluation
from genesis_core.studies.evaluation.scoring import CaseScore, given_names, name_key, score_case
from genesis_core.studies.evaluation.summary import ScoredCase, summarise
from genesis_core.volumes.label_reading import read_labels
from genesis_core.volumes.labelled.layout import case_id, some

PathLike = str | os.PathLike[str]
# What leaves out one case, and not the rest.
_PROBLEMS = (GenesisError, OSError, MemoryError)


def evaluate(
    predictions: PathLike,
    references: PathLike,
    out: PathLike | None = None,
    *,
    images: PathLike | None = None,
    compare_with: PathLike | None = None,
    labels: str | None = None,
    subject_pattern: str | None = None,
    subjects: Mapping[str, str] | PathLike | None = None,
    tolerance_mm: float = 1.0,
    seed: int = 0,
    threads: int = 2,
    subset: bool = False,
    share: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on_case: Callable[[CaseResult], None] | None = None,
) -> Evaluation:
    """Score predictions against references, and write scores.csv, scores.json and report.html where `out` is given.

    predictions: a folder of label maps, or one file. references: the same, or a labelled folder in any known layout.
    images: scans to show beneath the outlines. compare_with: a second set of predictions of the same cases. labels:
    which set of labels, where a labelled folder has several. subject_pattern: a regular expression with one group, the
    subject, searched in a case's name; subjects: case name to subject, or a table. tolerance_mm: of the NSD. seed: of
    the bootstrap. share: pseudonyms instead of names. subset: references without a prediction are no failure.
    progress: called as (done, all). on_case: called with each result.
    A case that cannot be scored is left out and named in the result. Raises VolumeError if nothing can be paired or
    scored, OutputExistsError if results are in `out` and `overwrite` is False.
    """
    if not 0 <= tolerance_mm < float("inf"):
        raise SettingsError(f"tolerance_mm = {tolerance_mm}: must be a number of at least 0")
    folder = None if out is None else Path(out)
    if folder is not None:
        from genesis_core.studies.evaluation.result_files import refuse_existing

        refuse_existing(folder, overwrite)
    table = subjects if subjects is None or isinstance(subjects, Mapping) else Path(subjects)
    pairs = find_pairs(
        Path(predictions),
        Path(references),
        other=None if compare_with is None else Path(compare_with),
        images=None if images is None else Path(images),
        labels=labels,
        subject_pattern=subject_pattern,
        subjects=table,
    )
    results = _score_all(pairs, tolerance_mm, threads, progress, on_case)
    places = [Path(place) for place in (predictions, references, compare_with) if place is not None]
    done = _evaluation(pairs, results, places, tolerance_mm, seed, subset, share)
    if not done.cases:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in done.left_out[:3])
        raise VolumeError(f"{predictions}: no case could be scored: {reasons}")
    if folder is not None:
        from genesis_core.studies.evaluation.report import write_report
        from genesis_core.studies.evaluation.result_files import write_scores

        write_scores(done, folder)
        write_report(done, folder / "report.html")
    return done


def _score_all(
    pairs: Pairs,
    tolerance_mm: float,
    threads: int,
    progress: Callable[[int, int], None] | None,
    on_case: Callable[[CaseResult], None] | None,
) -> tuple[CaseResult, ...]:
    def work(pair: Pair) -> CaseResult:
        return _score_pair(pair, pairs, tolerance_mm)

    load_libraries()
    results: dict[int, CaseResult] = {}
    for index, result in for_each(pairs.pairs, work, threads=threads, progress=progress):
        if isinstance(result, Exception):
            raise result
        results[index] = result
        if on_case is not None:
            on_case(result)
    return tuple(in_order(iter(results.items())))


def _score_pair(pair: Pair, pairs: Pairs, tolerance_mm: float) -> CaseResult:
    other, other_reason = None, None
    try:
        reference = read_reference(pair.case, pairs.reference_names)
        prediction = read_labels(pair.prediction, pairs.prediction_names)
    except _PROBLEMS as problem:
        return CaseResult(pair, None, _in_words(problem))
    try:
        other = None if pair.other is None else read_labels(pair.other, pairs.other_names)
    except _PROBLEMS as problem:
        other_reason = _in_words(problem)
    names = {**given_names(other), **given_names(prediction)}
    try:
        score = score_case(prediction, reference, tolerance_mm, names)
    except _PROBLEMS as problem:
        return CaseResult(pair, None, _in_words(problem))
    try:
        other_score = None if other is None else score_case(other, reference, tolerance_mm, names)
    except _PROBLEMS as problem:
        return CaseResult(pair, score, None, None, _in_words(problem), names)
    return CaseResult(pair, score, None, other_score, other_reason, names)


def _in_words(problem: BaseException) -> str:
    return str(problem) or "out of memory"


def _evaluation(
    pairs: Pairs,
    results: Sequence[CaseResult],
    places: Sequence[Path],
    tolerance_mm: float,
    seed: int,
    subset: bool,
    share: bool,
) -> Evaluation:
    left_out = [] if subset else [(name, "there is no prediction for this reference") for name in pairs.missing]
    for result in results:
        if result.reason is not None:
            left_out.append((result.pair.case.name, _without_folders(result.reason, places)))
        if result.other_reason is not None:
            left_out.append((result.pair.case.name, f"B: {_without_folders(result.other_reason, places)}"))
    left_out += [(name, "B has no prediction of this case") for name in pairs.without_other]
    notes = list(pairs.notes)
    if subset and pairs.missing:
        notes.append(f"{len(pairs.missing)} references have no prediction; only the rest is evaluated, as asked.")
    told_while_reading = Counter(note for r in results if r.score for note in dict.fromkeys(r.score.notes))
    notes += [f"{note} ({count} cases)" if count > 1 else note for note, count in told_while_reading.items()]
    if pairs.extra:
        notes.append(f"{len(pairs.extra)} predictions have no reference and are left out: {some(pairs.extra)}.")
    seen = [r.pair.case.name for r in results if r.score and _was_in_training(r.pair.prediction)]
    other_seen = [r.pair.case.name for r in results if r.other and r.pair.other and _was_in_training(r.pair.other)]
    first = [(r.pair, r.score) for r in results if r.score is not None]
    second = [(r.pair, r.other) for r in results if r.other is not None]
    names = _spellings([score for _, score in (*first, *second)])
    cases, told = _agreed(first, names)
    others, told_of_other = _agreed(second, names)
    told += [f"B: {note}" for note in told_of_other]
    told += [*_flattering(seen, share), *(f"B: {note}" for note in _flattering(other_seen, share))]
    comparisons = compare(cases, others, seed)
    if others and not comparisons:
        told.append(
            f"A and B are not compared, since no structure is scored in both: A has {_scored(cases)}; B has "
            f"{_scored(others)}."
        )
    notes += told
    if share:
        # Notes and reasons name files.
        left_out = [(case_id(name), "left out; run without --share for the reason") for name, _ in left_out]
        notes = told
        cases, others = _hidden(cases), _hidden(others)
    compared = len(places) > 2
    titles = ("A", "B") if share else (places[0].name or "A", places[2].name if compared else "B")
    if compared and titles[0] == titles[1]:
        titles = ("A", "B")
    return Evaluation(
        cases=cases,
        left_out=tuple(left_out),
        summary=summarise(cases, seed),
        tolerance_mm=tolerance_mm,
        seed=seed,
        notes=tuple(notes),
        titles=titles,
        others=others,
        other_summary=summarise(others, seed),
        comparisons=comparisons,
        results=tuple(results),
        pairs=pairs,
        hidden=share,
    )


def _was_in_training(prediction: Path) -> bool:
    from genesis_core.inference.segmentation_files import TRAINING_CASE, stated_beside

    return stated_beside(prediction).get(TRAINING_CASE) is not None


def _flattering(seen: Sequence[str], share: bool) -> list[str]:
    if not seen:
        return []
    shown = [case_id(name) for name in seen] if share else list(seen)
    return [
        f"The model was trained or validated on {len(seen)} of these cases ({some(shown)}): their scores flatter it, "
        "and tell nothing of new scans."
    ]


def _spellings(scores: Sequence[CaseScore]) -> dict[str, str]:
    """Return the one spelling of each structure, for all cases of both sets."""
    names: dict[str, str] = {}
    for structure in (one for score in scores for one in score.structures):
        names.setdefault(name_key(structure.structure), structure.structure)
    return names


def _agreed(
    scored: Sequence[tuple[Pair, CaseScore]], names: Mapping[str, str]
) -> tuple[tuple[ScoredCase, ...], list[str]]:
    """Leave out structures that nobody looked for: in one case, or since one side lists them in none. Say which."""
    drawn: dict[str, bool] = {}
    wanted: dict[str, bool] = {}
    # How many references do not list a structure that others do.
    open_in: Counter[str] = Counter()
    for _, score in scored:
        for structure in score.structures:
            key = name_key(structure.structure)
            drawn[key] = drawn.get(key, False) or structure.structure not in score.only_listed_by_reference
            wanted[key] = wanted.get(key, False) or structure.structure not in score.only_listed_by_prediction
        open_in.update(name_key(name) for name in score.only_listed_by_prediction)
    unknown = [key for key, is_drawn in drawn.items() if not is_drawn]
    unasked = [key for key, is_wanted in wanted.items() if not is_wanted]
    told = []
    if unknown:
        told.append(f"Left out, since no prediction lists them: {some([names[key] for key in unknown], 8)}.")
    if unasked:
        told.append(f"Left out, since no reference lists them: {some([names[key] for key in unasked], 8)}.")
    here_and_there = [
        f"{names[key]} ({count} case{'s' * (count > 1)})" for key, count in open_in.items() if key not in unasked
    ]
    if here_and_there:
        told.append(
            f"Not scored where the reference does not list it, as nobody looked for it: {some(here_and_there, 8)}."
        )
    cases = []
    for pair, score in scored:
        kept = tuple(
            replace(structure, structure=names[name_key(structure.structure)])
            for structure in score.structures
            if name_key(structure.structure) not in unknown
            and structure.structure not in score.only_listed_by_prediction
        )
        not_looked_for = tuple(names[name_key(name)] for name in score.only_listed_by_prediction)
        cases.append(ScoredCase(pair.case.name, pair.case.subject, kept, not_looked_for))
    if scored and names and len(unknown) + len(unasked) == len(drawn):
        told.append("No structure is listed by both sides: give predictions and references the same names.")
    return tuple(cases), told


def _scored(cases: Sequence[ScoredCase]) -> str:
    names = dict.fromkeys(score.structure for case in cases for score in case.scores)
    return some(list(names), 8) or "none"


def _hidden(cases: Sequence[ScoredCase]) -> tuple[ScoredCase, ...]:
    return tuple(replace(case, name=case_id(case.name), subject=case_id(case.subject)) for case in cases)


def _without_folders(text: str, places: Sequence[Path]) -> str:
    """Return a reason without the folders above those that were given."""
    for place in places:
        text = text.replace(f"{place}{os.sep}", f"{place.name}/").replace(str(place), place.name)
    return text
