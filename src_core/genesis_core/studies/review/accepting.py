"""Accepting a correction into the labelled folder that teaches, and taking the last decision back.

Both survive a kill at any moment. What is accepted is first made whole aside, in .accepting/, with a record of what
shall become of it (intent.json); only then files are moved to their names, images first, the label after them, and the
provenance line last. Where a record is there, `recover` completes what it says; where none is, nothing was moved, the
draft is still there, and what lies aside is thrown away. An undo moves files to undone/<n>/ with such a record.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.atomic import write_text
from genesis_core.errors import ReviewError
from genesis_core.studies.review.decisions import Decision, live_provenance, read_decisions, standing, write_decision
from genesis_core.studies.review.lines import Line, new_id, signed
from genesis_core.studies.review.locking import locked
from genesis_core.studies.review.recovering import (
    ASIDE,
    INTENT,
    UNDOING,
    UNDONE,
    draft_time,
    failing_plainly,
    finish_accept,
    finish_undo,
    recover_locked,
    set_back,
    set_back_undo,
)

if TYPE_CHECKING:
    from genesis_core.studies.review.review import Review
    from genesis_core.volumes.label_volume import LabelVolume


@dataclass(frozen=True)
class Accepted:
    """What was accepted. images, label: the files in corrected/. changed: voxels that differ from the proposal, by
    structure. time: ISO 8601, UTC.
    """

    case: str
    images: tuple[Path, ...]
    label: Path
    changed: dict[str, int]
    time: str


def accept(review: Review, case: str, label: LabelVolume, *, seconds: float | None = None, note: str = "") -> Accepted:
    """Take a corrected case into corrected/, where training finds it; its draft is deleted then.

    label: on the scan's grid, every number a structure of the model's (by name; "ignore" marks what nobody looked at);
    a structure that it does not list counts as not looked for. seconds: how long the correction took, if known.
    The image is copied as it is (DICOM, 4D and files with voxels beside them are written as .nii.gz); the label is one
    .nii.gz with names beside it, or a .nrrd segmentation where structures overlap. Lossless either way.
    Raises ReviewError if the case is accepted already (undo first), was changed since it was proposed, or the label
    does not fit it; VolumeError if the scan cannot be read. Nothing was done then, also where the disk is full.
    """
    from genesis_core.studies.review.correction import check_label, write_correction
    from genesis_core.studies.review.ranking import require_proposal

    folder, proposal = require_proposal(review, case)
    _refuse_accepted(review, case)
    check_label(review, case, label)
    draft = draft_time(review, case)
    with failing_plainly(review), _workshop(review) as aside:
        made = write_correction(review, proposal, folder, label, aside)
        line = signed(
            {
                "decision": "accepted",
                "case": case,
                "model": folder.name,
                "weights_sha256": proposal.get("weights_sha256", []),
                "run": review.run.name,
                "seconds": None if seconds is None else round(float(seconds), 1),
                "note": note,
                "images": [path.relative_to(aside).as_posix() for path in made.images],
                "label": made.label[0].relative_to(aside).as_posix(),
                "changed_voxels": made.changed,
                "fingerprints": made.fingerprints,
                "versions": made.versions,
            }
        )
        moves = [path.relative_to(aside).as_posix() for path in (*made.images, *reversed(made.label))]
        intent = {"v": 1, "moves": moves, "line": line, "draft": draft}
        with locked(review.folder / ".lock"):
            recover_locked(review, mine=aside)
            _refuse_accepted(review, case)
            for name in moves:
                if (review.corrected / name).exists():
                    raise ReviewError(
                        f"{review.corrected / name}: is there already and belongs to no accepted case; move it away, "
                        "and accept again"
                    )
            write_text(aside / INTENT, json.dumps(intent))
            try:
                finish_accept(review, aside, intent)
            except OSError:
                set_back(review, aside, intent)
                raise
    return Accepted(
        case,
        tuple(review.corrected / name for name in line["images"]),
        review.corrected / line["label"],
        made.changed,
        line["time"],
    )


def read_accepted(review: Review, case: str) -> LabelVolume | None:
    """Return the label of a case as it was accepted, or None. Raises VolumeError if its file is gone or damaged."""
    from genesis_core.volumes.label_reading import read_labels

    line = next((one for one in live_provenance(review) if one["case"] == case), None)
    return None if line is None else read_labels(review.corrected / line["label"])


def undo(review: Review, case: str | None = None) -> Decision:
    """Take back the last decision that still counts (of one case, if named), and return it.

    An accepted case's files are moved to undone/<n>/, and its label becomes the draft again if there is none. Raises
    ReviewError if there is nothing to undo, or it cannot be written.
    """
    with failing_plainly(review), locked(review.folder / ".lock"):
        recover_locked(review)
        last = next(
            (one for one in reversed(standing(read_decisions(review))) if case is None or one.case == case), None
        )
        if last is None:
            raise ReviewError(f"{case or review.folder}: there is no decision to undo")
        line = signed({"decision": "undone", "case": last.case, "model": last.model, "of": last.id})
        if last.kind == "accepted":
            _undo_accept(review, last, line)
        else:
            write_decision(review, line)
    return last


def _undo_accept(review: Review, last: Decision, line: Line) -> None:
    above = review.folder / UNDONE
    above.mkdir(exist_ok=True)
    number = 1 + max((int(one.name) for one in above.iterdir() if one.name.isdigit()), default=0)
    accepted = next((one for one in live_provenance(review) if one["id"] == last.id), None)
    if accepted is None:
        write_decision(review, line)
        return
    folder = above / str(number)
    folder.mkdir()
    label = str(accepted["label"])
    names = [f"{label[: -len('.nii.gz')]}.json"] if label.endswith(".nii.gz") else []
    # The label goes first: an image without one teaches nothing.
    moves = [label, *names, *map(str, accepted["images"])]
    undoing = {"v": 1, "moves": moves, "line": line, "undone": last.id, "accepted": accepted}
    write_text(folder / UNDOING, json.dumps(undoing))
    try:
        finish_undo(review, folder, undoing)
    except OSError:
        set_back_undo(review, folder, undoing)
        raise


@contextmanager
def _workshop(review: Review) -> Iterator[Path]:
    """Yield a folder of this program's own, locked while it lives, and removed unless an intent was left in it."""
    above = review.folder / ASIDE
    above.mkdir(exist_ok=True)
    aside = above / new_id()
    with locked(review.folder / ".lock"):
        # In one step for others: a folder without a lock would be thrown away by them.
        aside.mkdir()
        holder = locked(aside / ".lock", wait=False)
        holder.__enter__()
    try:
        yield aside
    finally:
        holder.__exit__(None, None, None)
        if not (aside / INTENT).exists():
            shutil.rmtree(aside, ignore_errors=True)


def _refuse_accepted(review: Review, case: str) -> None:
    for line in live_provenance(review):
        if line["case"] == case:
            raise ReviewError(
                f"{case}: was accepted already, by {line.get('login', 'somebody')} at {line.get('time', 'some time')}; "
                "undo that first to correct it again"
            )
