"""Between the widgets of the Review dock and what it remembers of them."""

from __future__ import annotations

from pathlib import Path

from napari_genesis.correct.kept import Kept
from napari_genesis.correct.parts import ReviewParts


def show_kept(parts: ReviewParts, kept: Kept) -> None:
    """Show what was chosen the last time."""
    parts.queue.choose(kept.by, kept.shown)
    parts.case.places.choose(kept.places)
    parts.case.tools.smallest.show_value(kept.smallest_ml)
    parts.case.tools.radius.show_value(kept.radius)
    parts.setup.choose_scans(kept.scans)


def kept_of(parts: ReviewParts, review: Path | None, run: Path | None) -> Kept:
    """Return what is to be remembered. review: the one that is open. run: the model, where none can be chosen now."""
    return Kept(
        review=review,
        run=parts.setup.run or run,
        scans=parts.setup.folder,
        by=parts.queue.order,
        shown=parts.queue.filter,
        places=parts.case.places.kind,
        smallest_ml=float(parts.case.tools.smallest.value),
        radius=float(parts.case.tools.radius.value),
    )
