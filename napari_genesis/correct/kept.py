"""What the Review dock remembers from one day to the next; what belongs to a review lies in the review's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from genesis_core.settings import Settings, setting
from napari_genesis.dock_state import state_file

By = Literal["uncertainty", "random", "stratified", "name"]
Shown = Literal["all", "to do", "flagged", "accepted"]
PlaceKind = Literal["uncertain", "random", "stratified"]


class Kept(Settings):
    """The state of a Review dock."""

    review: Path | None = setting(None, "The review that was open.")
    run: Path | None = setting(None, "The model last chosen for a new review.")
    scans: Path | None = setting(None, "The folder last chosen for a new review.")
    by: By = setting("uncertainty", "Order of the queue.")
    shown: Shown = setting("all", "Which cases the queue shows.")
    places: PlaceKind = setting("uncertain", "Which places 'next place' goes through.")
    smallest_ml: float = setting(0.1, "Pieces under this are dropped.", gt=0)
    radius: float = setting(2.0, "Radius of smoothing.", gt=0)


def default_file() -> Path:
    """Return where the state is kept."""
    return state_file("review")
