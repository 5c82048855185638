"""A fine-tuning of several folds as one run: progress and time left follow from those of its folds. No Qt."""

from __future__ import annotations

from dataclasses import replace

from napari_genesis.jobs.view import Pace, RunView


def with_folds(view: RunView, folds: tuple[RunView, ...]) -> RunView:
    """Return the view of a run together with the folds that have begun; without any, the view as it is.

    Steps are those of all folds; curves and validations stay with each fold.
    """
    if not folds:
        return view
    now = folds[-1]
    of_folds = max(view.of_folds, len(folds))
    total = now.total_steps
    held_out = {case: dice for fold in folds for case, dice in fold.held_out.items()}
    begun = any(fold.begun for fold in folds)
    return replace(
        view,
        folds=folds,
        of_folds=of_folds,
        begun=view.begun or begun,
        preparing=None if begun else view.preparing,
        step=max(view.step, sum(fold.step for fold in folds)),
        total_steps=view.total_steps if total is None else _steps_in_all(folds, total, of_folds),
        warnings=tuple(dict.fromkeys((*view.warnings, *now.warnings))),
        notes=tuple(dict.fromkeys((*view.notes, *(note for fold in folds for note in fold.notes)))),
        preview=next((fold.preview for fold in reversed(folds) if fold.preview is not None), view.preview),
        held_out=held_out,
        pace=_pace(now, of_folds - len(folds)),
    )


def _steps_in_all(folds: tuple[RunView, ...], total: int, of_folds: int) -> int:
    # A fold whose steps fit a time budget may have others than the next.
    return sum(fold.total_steps or total for fold in folds) + (of_folds - len(folds)) * total


def _pace(now: RunView, to_come: int) -> Pace | None:
    """Return the pace of the fold that trains, with the time that all folds still take."""
    pace = now.pace
    if pace is None or pace.seconds_left is None or now.total_steps is None:
        return pace
    whole = now.total_steps * pace.seconds_per_step
    if now.facts is not None and now.facts.max_hours is not None:
        whole = min(whole, now.facts.max_hours * 3600)
    return replace(pace, seconds_left=pace.seconds_left + to_come * whole)
