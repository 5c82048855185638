"""Which review is open, and all that is known of it; which others, and which models, the workspace has to offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_genesis.correct.in_order import InOrder
from napari_genesis.correct.parts import ReviewParts
from napari_genesis.correct.reviews import Offer, ReviewRead, find_offer, read_review, reviews_folder
from napari_genesis.correct.wording import in_words
from napari_genesis.jobs.preparing import free_name
from napari_genesis.preferences import read_preferences
from napari_genesis.studio.computing import LatestOnly

# Milliseconds between two looks at the workspace: others make reviews and models too.
_LIST_EVERY = 5000


class ReviewChoice(QObject):
    """opened(folder or None): another review, of which nothing is known yet. read_again(): `read` is new.

    begun(folder, scans, run): a review was made. trouble(reason).
    """

    opened = Signal(object)
    read_again = Signal()
    begun = Signal(object, object, object)
    trouble = Signal(str)

    def __init__(
        self, parts: ReviewParts, lane: InOrder, wanted: Path | None, run: Path | None, parent: QObject
    ) -> None:
        """Make it; wanted: the review to open if it is still there. run: the model a new one is suggested for."""
        super().__init__(parent)
        self._parts = parts
        self._lane = lane
        self._wanted, self._run = wanted, run
        self._offer = Offer()
        self.workspace = read_preferences().workspace
        self.folder: Path | None = None
        self.read: ReviewRead | None = None
        self.has_looked = False
        # Whether the last reading failed: what was known before still counts, and it is read again.
        self._failing = False
        self._listing = LatestOnly("genesis-reviews", self)
        self._reading = LatestOnly("genesis-review-reading", self)
        self.lanes = (self._listing, self._reading)
        self._timer = QTimer(self)
        self._timer.setInterval(_LIST_EVERY)
        self._timer.timeout.connect(self._look_again)
        self._listing.finished.connect(self._found)
        self._reading.finished.connect(self._take)
        self._reading.failed.connect(self._not_read)
        parts.review_chosen.connect(self.open)

    def open(self, folder: Path | None) -> None:
        """Show a review; None: the form of a new one."""
        # What is chosen now counts, not what was open the last time.
        self._wanted = None
        if folder != self.folder:
            self._reading.discard()
            self.folder, self.read, self._failing = folder, None, False
        self._parts.show_reviews(self._offer.reviews, folder)
        self.opened.emit(folder)
        self.reload()

    def reload(self) -> None:
        """Read the review again."""
        folder = self.folder
        if folder is not None:
            self._reading.submit(lambda: (folder, read_review(folder)))

    def look(self) -> None:
        """Look for reviews and models."""
        workspace = self.workspace
        self._listing.submit(lambda: find_offer(workspace))

    def _look_again(self) -> None:
        self.look()
        if self._failing:
            self.reload()

    def keep_looking(self, on: bool) -> None:
        """Look every few seconds, or no more."""
        if on:
            self._timer.start()
            self.look()
            self.reload()
        else:
            self._timer.stop()

    def apply_preferences(self) -> None:
        """Take another workspace."""
        workspace = read_preferences().workspace
        if workspace != self.workspace:
            self.workspace = workspace
            self.look()

    def planned(self) -> Path:
        """Return the folder of the review that is set up."""
        above = reviews_folder(self.workspace)
        return above / (self._parts.setup.name.text().strip() or free_name(above, "review"))

    def begin(self) -> None:
        """Make the review that is set up."""
        from genesis_core.studies.review import Review

        setup = self._parts.setup
        run, scans, folder = setup.run, setup.folder, self.planned()
        if run is None or scans is None:
            return

        def make() -> Path:
            folder.parent.mkdir(parents=True, exist_ok=True)
            return Review.create(folder, scans=scans, run=run).folder

        def made(place: Path) -> None:
            setup.name.clear()
            self.open(place)
            self.begun.emit(place, scans, run)
            self.look()

        self._lane.submit(make, made, lambda problem: self.trouble.emit(in_words(problem)))

    def _found(self, offer: Offer) -> None:
        first, self.has_looked, self._offer = not self.has_looked, True, offer
        if first and self.folder is None and self._wanted is not None and self._wanted.is_dir():
            self.open(self._wanted)
        self._parts.show_reviews(offer.reviews, self.folder)
        free = free_name(reviews_folder(self.workspace), "review")
        self._parts.setup.show_offer(offer.models, self._run, free)

    def _take(self, found: tuple[Path, ReviewRead]) -> None:
        folder, read = found
        if folder == self.folder:
            self.read = read
            if self._failing:
                self._failing = False
                self.trouble.emit("")
            if read.trouble:
                self.trouble.emit(f"The rounds could not be read: {read.trouble}")
            self.read_again.emit()

    def _not_read(self, problem: Any) -> None:
        self._failing = True
        self.trouble.emit(f"The review could not be read: {in_words(problem)}. It is tried again every few seconds")
        self.read_again.emit()
