"""A split kept as a file, so that a later run, another machine or a reviewer uses the very same one.

It holds pseudonyms only, and is compared on reading with the cases there are now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genesis_core.atomic import write_text
from genesis_core.errors import VolumeError
from genesis_core.volumes.labelled.case import Case
from genesis_core.volumes.labelled.splitting import Split, subject_id

_SCHEMA = 1


def write_split(splits: Sequence[Split], path: str | os.PathLike[str]) -> None:
    """Write what `split_cases` made, one split or one per fold, as JSON, atomically; an older file is replaced."""
    first = splits[0]
    folds = [{"training": split.training, "validation": split.validation, "notes": split.notes} for split in splits]
    values = {"schema": _SCHEMA, "seed": first.seed, "rule": first.rule, "test": first.test, "folds": folds}
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_split(path: str | os.PathLike[str], cases: Sequence[Case]) -> tuple[Split, ...]:
    """Read the splits of a file, brought up to the cases there are now; what changed is said in their notes.

    Subjects that are gone leave their side. New ones join training, where they can spoil no comparison, and so do not
    change who is held out; new ones of the test part, and known ones that came into it, join the test.
    Raises VolumeError if the file is missing, damaged, or holds a subject on two sides, or if nobody is left to train
    on.
    """
    path = Path(path)
    values = _read(path)
    test_part = {subject_id(case.subject) for case in cases if case.part == "test"}
    here = {subject_id(case.subject) for case in cases}
    splits = []
    for fold in values["folds"]:
        training, validation, test = set(fold["training"]), set(fold["validation"]), set(values["test"])
        if training & validation or training & test or validation & test:
            raise VolumeError(f"{path}: a subject stands on two sides; make the split anew")
        known = training | validation | test
        moved, new = (training | validation) & test_part, here - known
        # Who left the test part stays out of training: models that the split was used for have been judged by it.
        left = (test & here) - test_part
        test |= moved | (new & test_part)
        training = (training | (new - test_part)) - moved
        validation -= moved
        split = Split(
            _sorted(training & here),
            _sorted(validation & here),
            _sorted(test & here),
            values["seed"],
            values["rule"],
            tuple(fold["notes"]),
        )
        if not split.training:
            raise VolumeError(f"{path}: none of its training subjects is among these cases; is it another set's split?")
        splits.append(replace(split, notes=(*split.notes, *_changes(known - here, new, moved, left))))
    return tuple(splits)


def _changes(gone: set[str], new: set[str], moved: set[str], left: set[str]) -> list[str]:
    notes = []
    if gone:
        notes.append(f"{_count(gone)} of the stored split have no usable case any more: {_some(gone)}.")
    if new:
        notes.append(f"{_count(new)} are new since the split was stored, and join training or the test: {_some(new)}.")
    if moved:
        notes.append(f"{_count(moved)} now have cases in the test part and are no longer trained on: {_some(moved)}.")
    if left:
        notes.append(f"{_count(left)} left the test part, and are used for nothing by this split: {_some(left)}.")
    return notes


def _count(subjects: set[str]) -> str:
    return f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"


def _some(subjects: set[str]) -> str:
    names = sorted(subjects)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VolumeError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise VolumeError(f"{path}: cannot be read as a split ({problem}); make it anew") from None
    if not _is_split(values):
        raise VolumeError(f"{path}: not a split as write_split writes it (schema {_SCHEMA}); make it anew")
    checked: dict[str, Any] = values
    return checked


def _is_split(values: Any) -> bool:
    if not isinstance(values, dict) or values.get("schema") != _SCHEMA:
        return False
    folds = values.get("folds")
    return (
        isinstance(values.get("seed"), int)
        and isinstance(values.get("rule"), str)
        and _are_words(values.get("test"))
        and isinstance(folds, list)
        and len(folds) > 0
        and all(
            isinstance(fold, dict) and all(_are_words(fold.get(key)) for key in ("training", "validation", "notes"))
            for fold in folds
        )
    )


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _sorted(subjects: set[str]) -> tuple[str, ...]:
    return tuple(sorted(subjects))
