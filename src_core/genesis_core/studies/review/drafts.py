"""Corrections that nobody accepted yet, on disk so that neither a crash nor a closed window loses them.

One file a case, replaced whole: names, colours and layers lie in it (a .seg.nrrd, which 3D Slicer opens too), so a
kill between two files cannot part numbers from their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.errors import ReviewError
from genesis_core.studies.review.label_files import with_ending

if TYPE_CHECKING:
    from genesis_core.studies.review.review import Review
    from genesis_core.volumes.label_volume import LabelVolume

_ENDING = ".seg.nrrd"


def write_draft(review: Review, case: str, label: LabelVolume) -> Path:
    """Write the unsaved correction of a case, in place of the one before; return its file.

    Raises ReviewError if there is no such case or it has no layer; VolumeError if the disk is full: the draft before
    it is still there then.
    """
    from genesis_core.studies.review.ranking import require_proposal
    from genesis_core.volumes.label_writing import write_labels

    require_proposal(review, case)
    if not label.layers:
        raise ReviewError(f"{case}: these labels have no layer, so there is nothing to keep")
    path = draft_path(review, case)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ReviewError(f"{path.parent}: cannot be made ({problem.strerror or problem})") from None
    return write_labels(label, path, overwrite=True)


def read_draft(review: Review, case: str) -> LabelVolume | None:
    """Return the unsaved correction of a case, or None. Raises VolumeError if its file is damaged."""
    from genesis_core.volumes.label_reading import read_labels

    path = draft_path(review, case)
    return read_labels(path) if path.is_file() else None


def drop_draft(review: Review, case: str) -> None:
    """Delete the unsaved correction of a case, if there is one: the person gave it up."""
    draft_path(review, case).unlink(missing_ok=True)


def draft_path(review: Review, case: str) -> Path:
    """Return where the draft of a case lies, there or not."""
    return with_ending(review.folder / "drafts", case, _ENDING)


def drafted_cases(review: Review) -> list[str]:
    """Return the cases that have a draft."""
    folder = review.folder / "drafts"
    return sorted(
        path.relative_to(folder).as_posix()[: -len(_ENDING)]
        for path in folder.rglob(f"*{_ENDING}")
        if not path.name.startswith(".")
    )
