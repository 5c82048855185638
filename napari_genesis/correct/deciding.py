"""What is decided on the open case: accept, reject, flag, and taking back; each written in the order it was asked for.

The labels that are accepted are those that were seen: whoever paints on while they are written accepts again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.correct.case_files import CaseRead, labels_of, read_case
from napari_genesis.correct.case_work import CaseWork
from napari_genesis.correct.open_case import OpenCase
from napari_genesis.correct.wording import in_words, place, undone_words

_Then = Callable[[Any], None]


class Deciding(QObject):
    """decided(sentence, case or empty): a decision was written; the case, if it needs no more. Problems: by `work`.

    One at a time: while one is being written, or its case is about to go, nobody has seen what the next would be about.
    """

    decided = Signal(str, str)

    def __init__(self, work: CaseWork, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._pending = False

    @property
    def _case(self) -> OpenCase | None:
        """The case that can be decided on now."""
        return None if self._pending or self._work.leaving else self._work.case

    def accept(self, note: str) -> None:
        """Write image and labels into the training set; the draft stays until that is done."""
        from genesis_core.studies.review import accept

        case = self._case
        if case is None:
            return
        self._work.put_off()
        states, name = case.states(), case.case
        seconds = time.monotonic() - self._work.opened_at
        case.hold(True)

        def work() -> Any:
            labels, _ = labels_of(states, case.structures)
            return accept(case.review, name, labels, seconds=round(seconds, 1), note=note)

        def done(_: Any) -> None:
            if self._work.unkept:
                self._take_back(case)
                return
            case.decided = True
            copied = place(case.review.corrected)
            self.decided.emit(f"{name} is accepted: image and labels are copied into {copied}.", name)

        def failed(problem: Exception) -> None:
            case.hold(False)
            self._not_decided(problem)

        self._submit(work, done, failed)

    def _take_back(self, case: OpenCase) -> None:
        """What is shown is what is accepted: whoever painted on meanwhile accepts again."""
        from genesis_core.studies.review import undo

        case.hold(False)
        self._submit(lambda: undo(case.review, case.case), lambda _: self._work.keep(), self._not_decided)
        self._work.trouble.emit(
            f"{case.case} was painted on while it was accepted, so that was taken back: accept it again"
        )

    def reject(self, note: str) -> None:
        """Note that the case shall not be used."""
        from genesis_core.studies.review import reject

        case = self._case
        if case is None:
            return
        keep = self._work.keeping()

        def work() -> None:
            keep()
            reject(case.review, case.case, note)

        said = f"{case.case} is rejected; its draft is kept."
        self._submit(work, lambda _: self.decided.emit(said, case.case), self._not_decided)

    def flag(self, note: str, on: bool) -> None:
        """Mark the case to come back to it, or take the mark off; it stays open."""
        from genesis_core.studies.review import flag, unflag

        case = self._case
        if case is None:
            return
        said = f"{case.case} is flagged." if on else f"{case.case} is no longer flagged."
        self._submit(
            lambda: flag(case.review, case.case, note) if on else unflag(case.review, case.case),
            lambda _: self.decided.emit(said, ""),
            self._not_decided,
        )

    def undo(self) -> None:
        """Take back the last decision of the review; the draft of the open case is kept before."""
        from genesis_core.studies.review import undo

        review = self._work.review
        if review is None or self._pending:
            return
        keep = self._work.keeping()

        def work() -> Any:
            keep()
            return undo(review)

        def done(undone: Any) -> None:
            self.decided.emit(undone_words(undone), "")
            case = self._work.case
            if case is not None and case.review.folder == review.folder and case.case == undone.case and case.decided:
                # Its labels are the draft again, to go on with.
                self._work.open(case.proposal)

        self._submit(work, done, self._not_decided)

    def give_up_draft(self) -> None:
        """Delete the draft of the open case and show the proposal again."""
        from genesis_core.studies.review import drop_draft

        case = self._case
        if case is None:
            return
        self._work.put_off()

        def work() -> CaseRead:
            drop_draft(case.review, case.case)
            return read_case(case.review, case.proposal)

        def done(found: CaseRead) -> None:
            self._work.show_read(case.review, case.case, found)
            self.decided.emit(f"The draft of {case.case} is given up; the proposal is shown again.", "")

        self._submit(work, done, self._not_decided)

    def _submit(self, work: Callable[[], Any], done: _Then, failed: _Then) -> None:
        self._pending = True

        def over(call: _Then) -> _Then:
            def run(result: Any) -> None:
                self._pending = False
                call(result)

            return run

        self._work.submit(work, over(done), over(failed))

    def _not_decided(self, problem: Exception) -> None:
        self._work.trouble.emit(in_words(problem))
        # Whatever could not be written, the corrections shall not be lost.
        self._work.keep()
