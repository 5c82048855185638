"""What happened, as sentences: decisions that were taken back, problems, places on the disk. No Qt."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.errors import GenesisError

if TYPE_CHECKING:
    from genesis_core.studies.review import Decision

# Left-out cases told at once.
_TOLD = 3


def undone_words(undone: Decision) -> str:
    """Return what was taken back, as a sentence."""
    words = {"accepted": "acceptance", "rejected": "rejection", "flagged": "flag", "unflagged": "removal of the flag"}
    more = " Its files lie in the review's folder 'undone', its labels are the draft again."
    said = f"The {words.get(undone.kind, 'decision')} of {undone.case} is taken back."
    return said + (more if undone.kind == "accepted" else "")


def in_words(problem: Exception) -> str:
    """Return what went wrong; a defect of ours with its kind."""
    if isinstance(problem, GenesisError):
        return str(problem)
    if isinstance(problem, OSError):
        return f"{problem.strerror or problem}" + (f" ({problem.filename})" if problem.filename else "")
    if isinstance(problem, MemoryError):
        return "there is not enough memory: close other programs"
    return f"{type(problem).__name__}: {problem}"


def left_out_words(left_out: Sequence[tuple[str, str]], accepted: Set[str]) -> str:
    """Return which cases a ranking left out, and why, the first ones first; those accepted already are only counted."""
    told = [f"{case}: {reason}" for case, reason in left_out if case not in accepted]
    known = len(left_out) - len(told)
    parts = told[:_TOLD] + ([f"{len(told) - _TOLD} more"] if len(told) > _TOLD else [])
    parts += [f"{known} {'is' if known == 1 else 'are'} accepted already"] if known else []
    return f"{len(left_out)} left out. {'; '.join(parts)}."


def place(path: Path) -> str:
    """Return a folder's path, short where it lies in the user's home."""
    from napari_genesis.training.wording import place as short

    return short(path)
