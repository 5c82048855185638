"""What is decided on the open case: accept, reject, flag, and taking back; each written in the order it was asked for.

The labels that are accepted are those that were seen: whoever paints on while they are written accepts again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.correct.case_files import CaseRead, labels_of, read_case
from napari_genesis.correct.case_work import CaseWork
from napari_genesis.correct.open_case import OpenCase
from napari_genesis.correct.wording import in_words, place, undone_words

if TYPE_CHECKING:
    from genesis_core.studies.review import Review


class Deciding(QObject):
    """decided(sentence, case or empty): a decision was written; the case, if it needs no more. Problems: by `work`."""

    decided = Signal(str, str)

    def __init__(self, work: CaseWork, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work

    def accept(self, note: str) -> None:
        """Write image and labels into the training set; the draft stays until that is done."""
        from genesis_core.studies.review import accept

        case, review = self._work.case, self._work.review
        if case is None or review is None:
            return
        self._work.put_off()
        states, structures, name = case.states(), case.structures, case.case
        seconds = time.monotonic() - self._work.opened_at
        case.hold(True)

        def work() -> Any:
            return accept(review, name, labels_of(states, structures)[0], seconds=round(seconds, 1), note=note)

        def done(_: Any) -> None:
            if self._work.unkept:
                self._take_back(case)
                return
            case.decided = True
            self.decided.emit(f"{name} is accepted: image and labels are copied into {place(review.corrected)}.", name)

        def failed(problem: Exception) -> None:
            case.hold(False)
            self._not_decided(problem)

        self._work.submit(work, done, failed)

    def _take_back(self, case: OpenCase) -> None:
        """What is shown is what is accepted: whoever painted on meanwhile accepts again."""
        from genesis_core.studies.review import undo

        review, name = self._work.review, case.case
        if review is None:
            return
        case.hold(False)
        self._work.submit(lambda: undo(review, name), lambda _: self._work.keep(), self._not_decided)
        self._work.trouble.emit(f"{name} was painted on while it was accepted, so that was taken back: accept it again")

    def reject(self, note: str) -> None:
        """Note that the case shall not be used."""
        from genesis_core.studies.review import reject

        self._decide(lambda review, name: reject(review, name, note), "{} is rejected; its draft is kept.")

    def flag(self, note: str, on: bool) -> None:
        """Mark the case to come back to it, or take the mark off; it stays open."""
        from genesis_core.studies.review import flag, unflag

        case, review = self._work.case, self._work.review
        if case is None or review is None:
            return
        name = case.case
        self._work.submit(
            lambda: flag(review, name, note) if on else unflag(review, name),
            lambda _: self.decided.emit(f"{name} is flagged." if on else f"{name} is no longer flagged.", ""),
            self._not_decided,
        )

    def undo(self) -> None:
        """Take back the last decision of the review; the draft of the open case is kept before."""
        from genesis_core.studies.review import undo

        review = self._work.review
        if review is None:
            return
        keep = self._work.keeping()

        def work() -> Any:
            keep()
            return undo(review)

        def done(undone: Any) -> None:
            self.decided.emit(undone_words(undone), "")
            if self._work.case is not None and self._work.case.case == undone.case and self._work.case.decided:
                # Its labels are the draft again, to go on with.
                self._work.open(self._work.case.proposal)

        self._work.submit(work, done, self._not_decided)

    def give_up_draft(self) -> None:
        """Delete the draft of the open case and show the proposal again."""
        from genesis_core.studies.review import drop_draft

        case, review = self._work.case, self._work.review
        if case is None or review is None:
            return
        self._work.put_off()
        proposal = case.proposal

        def work() -> CaseRead:
            drop_draft(review, proposal.case)
            return read_case(review, proposal)

        self._work.submit(work, lambda found: self._work.show_read(review, proposal.case, found), self._not_decided)

    def _decide(self, work: Callable[[Review, str], Any], sentence: str) -> None:
        case, review = self._work.case, self._work.review
        if case is None or review is None:
            return
        name, keep = case.case, self._work.keeping()

        def both() -> Any:
            keep()
            return work(review, name)

        self._work.submit(both, lambda _: self.decided.emit(sentence.format(name), name), self._not_decided)

    def _not_decided(self, problem: Exception) -> None:
        self._work.trouble.emit(in_words(problem))
        # Whatever could not be written, the corrections shall not be lost.
        self._work.keep()
