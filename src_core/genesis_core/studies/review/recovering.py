"""Completing what a killed program had begun, or setting it back: the records by which accept and undo move files.

A record lies beside the files it speaks of, is written before the first of them is moved, and says all that shall
become of them. Every step looks whether it was done before, so that any of them may be the last before a kill.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import GenesisError, ReviewError
from genesis_core.studies.review.decisions import (
    DECISIONS,
    PROVENANCE,
    live_provenance,
    not_written,
    read_decisions,
    write_decision,
)
from genesis_core.studies.review.drafts import draft_path
from genesis_core.studies.review.lines import Line, append_line, new_id, read_lines
from genesis_core.studies.review.locking import is_locked, locked

if TYPE_CHECKING:
    from genesis_core.studies.review.review import Review

ASIDE, UNDONE = ".accepting", "undone"
INTENT, UNDOING = "intent.json", "undoing.json"
# What every record says of the decision it is about.
_LINE = {"id", "case", "decision"}


def has_unfinished(review: Review) -> bool:
    """Whether something a killed program had begun waits to be completed or thrown away."""
    return any(_unfinished(review)) or any(_undoings(review))


def recover(review: Review) -> None:
    """Complete or throw away what killed programs had begun; what one alive is working on is left alone.

    Raises ReviewError if that cannot be written: nothing is lost, and opening the review again tries again.
    """
    with failing_plainly(review), locked(review.folder / ".lock"):
        recover_locked(review)


def recover_locked(review: Review, mine: Path | None = None) -> None:
    """Do what `recover` says; the caller holds the review's lock. mine: what the caller itself is making.

    Raises ReviewError for a damaged record, and leaves all that belongs to it.
    """
    for aside in _unfinished(review):
        if aside == mine:
            continue
        intent = _read(aside / INTENT, {"moves", "line", "draft"})
        if intent is not None:
            finish_accept(review, aside, intent)
        else:
            shutil.rmtree(aside, ignore_errors=True)
    for folder in _undoings(review):
        undoing = _read(folder / UNDOING, {"moves", "line", "undone"})
        if undoing is not None:
            finish_undo(review, folder, undoing)
    known = {one.id for one in read_decisions(review)}
    for line in live_provenance(review):
        # Killed between the two lines of an acceptance.
        if line["id"] not in known:
            write_decision(review, _decision_line(line))


def finish_accept(review: Review, aside: Path, intent: dict[str, Any]) -> None:
    """Move the files to their names, then write the lines; what was done before is passed over."""
    line: Line = intent["line"]
    for name in intent["moves"]:
        target = review.corrected / name
        if (aside / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside / name, target)
    if not any(one.get("id") == line["id"] for one in read_lines(review.corrected / PROVENANCE)):
        append_line(review.corrected / PROVENANCE, line)
    if not any(one.id == line["id"] for one in read_decisions(review)):
        try:
            write_decision(review, _decision_line(line))
        except OSError:
            # The case is accepted, as its provenance says; the next recovery writes this line.
            return
    if intent["draft"] is not None and draft_time(review, line["case"]) == intent["draft"]:
        # A draft that was written since belongs to somebody who went on drawing.
        draft_path(review, line["case"]).unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)


def set_back(review: Review, aside: Path, intent: dict[str, Any]) -> None:
    """Take the files back after a failure, so that nothing was accepted; the lines were not written."""
    if any(one.get("id") == intent["line"]["id"] for one in read_lines(review.corrected / PROVENANCE)):
        return
    for name in reversed(intent["moves"]):
        if not (aside / name).exists():
            os.replace(review.corrected / name, aside / name)
    (aside / INTENT).unlink()


def finish_undo(review: Review, folder: Path, undoing: dict[str, Any]) -> None:
    """Move the files to undone/<n>/, then write the lines; what was done before is passed over."""
    line: Line = undoing["line"]
    for name in undoing["moves"]:
        source, target = review.corrected / name, folder / name
        # A file that somebody deleted by hand does not keep the rest from being undone.
        if source.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    if not draft_path(review, line["case"]).exists():
        _draft_again(review, line["case"], folder / undoing["moves"][0])
    if not any(one.get("undone") == undoing["undone"] for one in read_lines(review.corrected / PROVENANCE)):
        append_line(
            review.corrected / PROVENANCE,
            {**line, "id": new_id(), "undone": undoing["undone"], "moved_to": folder.name},
        )
    try:
        if not any(one.id == line["id"] for one in read_decisions(review)):
            write_decision(review, line)
        os.replace(folder / UNDOING, folder / "undone.json")
    except OSError:
        # It is undone, as its provenance says; the next recovery writes this line.
        return


def set_back_undo(review: Review, folder: Path, undoing: dict[str, Any]) -> None:
    """Put the files back after a failure, so that the case stays accepted, unless its provenance says otherwise."""
    if any(one.get("undone") == undoing["undone"] for one in read_lines(review.corrected / PROVENANCE)):
        return
    for name in reversed(undoing["moves"]):
        if (folder / name).exists():
            os.replace(folder / name, review.corrected / name)
    (folder / UNDOING).unlink()


def _draft_again(review: Review, case: str, label: Path) -> None:
    """Let the person go on where they were when they accepted."""
    from genesis_core.studies.review.drafts import write_draft
    from genesis_core.volumes.label_reading import read_labels

    try:
        write_draft(review, case, read_labels(label))
    except GenesisError:
        # The label itself lies in undone/; a draft that cannot be made keeps nobody from undoing.
        return


@contextmanager
def failing_plainly(review: Review) -> Iterator[None]:
    """Say what could not be written, and that nothing was decided, in place of an OSError."""
    try:
        yield
    except OSError as problem:
        raise ReviewError(not_written(Path(problem.filename or review.folder / DECISIONS), problem)) from None


def _unfinished(review: Review) -> Iterator[Path]:
    above = review.folder / ASIDE
    if above.is_dir():
        yield from (one for one in sorted(above.iterdir()) if one.is_dir() and not is_locked(one / ".lock"))


def _undoings(review: Review) -> Iterator[Path]:
    above = review.folder / UNDONE
    if above.is_dir():
        yield from (one for one in sorted(above.iterdir()) if (one / UNDOING).is_file())


def _read(path: Path, needed: set[str]) -> dict[str, Any] | None:
    """Return a record, or None if there is none. Raises ReviewError if it lacks something of what is `needed`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    line = content.get("line") if isinstance(content, dict) else None
    if not (isinstance(content, dict) and needed <= content.keys() and isinstance(line, dict) and line.keys() >= _LINE):
        raise ReviewError(
            f"{path}: is damaged, so what was begun there cannot be completed. Nothing was deleted: look at the files "
            f"beside it, move the folder {path.parent} away, and try again"
        )
    return content


def _decision_line(line: Line) -> Line:
    return {"v": 1, "decision": "accepted"} | {
        key: line.get(key, "") for key in ("id", "time", "login", "case", "model", "note")
    }


def draft_time(review: Review, case: str) -> int | None:
    """Return when a case's draft was written (nanoseconds), or None where there is none."""
    try:
        return draft_path(review, case).stat().st_mtime_ns
    except FileNotFoundError:
        return None
