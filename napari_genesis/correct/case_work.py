"""One case at a time: opened, its corrections kept as drafts every few seconds, decided on; all files by one thread.

The window's thread copies no voxel: it hands over the layer's array, and the thread compares its checksum with what is
kept, and copies only what has changed. A case is taken out of the viewer only after its draft is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.errors import GenesisError
from genesis_core.volumes.label_volume import Structure
from napari_genesis.correct.case_files import CaseRead, LayerState, checksum, labels_of, read_case
from napari_genesis.correct.in_order import InOrder
from napari_genesis.correct.open_case import OpenCase

if TYPE_CHECKING:
    from genesis_core.studies.review import Decision, Proposal, Review

# Milliseconds from an edit to its draft, and to the next try if that could not be written.
KEEP_AFTER, _TRY_AGAIN = 2000, 10_000


class CaseWork(QObject):
    """opened(CaseRead): a case is in the viewer. closed(): none is any more. touched(): its labels may have changed.

    decided(sentence, case or empty): a decision was written. trouble(reason): something was not, in words. kept(text):
    what is known of the draft. busy_changed().
    """

    opened = Signal(object)
    closed = Signal()
    touched = Signal()
    decided = Signal(str, str)
    trouble = Signal(str)
    kept = Signal(str)
    busy_changed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.review: Review | None = None
        self.case: OpenCase | None = None
        self._opened = 0.0
        self._pending: str | None = None
        self.lane = InOrder("genesis-review", self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.keep)

    @property
    def busy(self) -> bool:
        """Whether a file is read or written."""
        return self.lane.busy

    @property
    def pending(self) -> str | None:
        """The case that is being opened."""
        return self._pending

    # Opening and closing.

    def open(self, proposal: Proposal) -> None:
        """Open a case, once the draft of the one before is kept."""
        review = self.review
        if review is None or self._pending == proposal.case:
            return
        self._pending = proposal.case
        self._timer.stop()
        keep = self._keeping()

        def work() -> tuple[CaseRead, bool]:
            keep()
            return read_case(review, proposal), True

        self._submit(work, lambda result: self._show(review, proposal.case, result[0]), self._not_opened)

    def close(self) -> None:
        """Take the case out of the viewer, once its draft is kept."""
        self._pending = None
        self._timer.stop()
        case = self.case
        if case is None:
            return

        def done(_: object) -> None:
            if self.case is not case:
                return
            if self._timer.isActive():
                # Somebody went on painting.
                self.close()
            else:
                self._remove()

        self._submit(self._keeping(), done, self._not_kept)

    def keep(self) -> None:
        """Keep the corrections as a draft now, if they changed."""
        self._timer.stop()
        case = self.case
        if case is None:
            return

        def done(written: bool) -> None:
            if written:
                self.kept.emit(f"Draft kept at {time.strftime('%H:%M:%S')}.")

        self._submit(self._keeping(), done, self._not_kept)

    def leave(self) -> None:
        """Keep the draft and let go, as the dock is closed; the layers stay. What is asked for here is done in full."""
        # Called when Qt has deleted its side of this object: nothing of it may be touched.
        if self.case is not None:
            self.lane.submit(self._keeping(), _ignore, _ignore)
            self.case.leave()
            self.case = None
        self.lane.close()

    # Decisions.

    def accept(self, note: str) -> None:
        """Write image and labels into the training set; the draft stays until that is done."""
        from genesis_core.studies.review import accept

        case, review = self.case, self.review
        if case is None or review is None:
            return
        self._timer.stop()
        states, structures, name = case.states(), case.structures, case.case
        seconds = time.monotonic() - self._opened
        case.hold(True)

        def work() -> Any:
            return accept(review, name, labels_of(states, structures)[0], seconds=round(seconds, 1), note=note)

        def done(_: Any) -> None:
            if self._timer.isActive():
                self._take_back(case)
                return
            case.decided = True
            self.decided.emit(f"{name} is accepted: image and labels are copied into {place(review.corrected)}.", name)

        def failed(problem: Exception) -> None:
            case.hold(False)
            self._not_decided(problem)

        self._submit(work, done, failed)

    def _take_back(self, case: OpenCase) -> None:
        """What is shown is what is accepted: whoever painted on meanwhile accepts again."""
        from genesis_core.studies.review import undo

        review, name = self.review, case.case
        if review is None:
            return
        case.hold(False)
        self._submit(lambda: undo(review, name), lambda _: self.keep(), self._not_decided)
        self.trouble.emit(f"{name} was painted on while it was accepted, so that was taken back: accept it again")

    def reject(self, note: str) -> None:
        """Note that the case shall not be used."""
        from genesis_core.studies.review import reject

        self._decide(lambda review, name: reject(review, name, note), "{} is rejected; its draft is kept.")

    def flag(self, note: str, on: bool) -> None:
        """Mark the case to come back to it, or take the mark off; it stays open."""
        from genesis_core.studies.review import flag, unflag

        case, review = self.case, self.review
        if case is None or review is None:
            return
        name = case.case
        self._submit(
            lambda: flag(review, name, note) if on else unflag(review, name),
            lambda _: self.decided.emit(f"{name} is flagged." if on else f"{name} is no longer flagged.", ""),
            self._not_decided,
        )

    def undo(self) -> None:
        """Take back the last decision of the review; the draft of the open case is kept before."""
        from genesis_core.studies.review import undo

        review = self.review
        if review is None:
            return
        keep = self._keeping()

        def work() -> Any:
            keep()
            return undo(review)

        def done(undone: Any) -> None:
            self.decided.emit(undone_words(undone), "")
            if self.case is not None and self.case.case == undone.case and self.case.decided:
                # Its labels are the draft again, to go on with.
                self.open(self.case.proposal)

        self._submit(work, done, self._not_decided)

    def give_up_draft(self) -> None:
        """Delete the draft of the open case and show the proposal again."""
        from genesis_core.studies.review import drop_draft

        case, review = self.case, self.review
        if case is None or review is None:
            return
        self._timer.stop()
        proposal = case.proposal

        def work() -> CaseRead:
            drop_draft(review, proposal.case)
            return read_case(review, proposal)

        self._submit(work, lambda found: self._show(review, proposal.case, found), self._not_decided)

    # Inside.

    def _decide(self, work: Callable[[Review, str], Any], sentence: str) -> None:
        case, review = self.case, self.review
        if case is None or review is None:
            return
        name, keep = case.case, self._keeping()

        def both() -> Any:
            keep()
            return work(review, name)

        self._submit(both, lambda _: self.decided.emit(sentence.format(name), name), self._not_decided)

    def _keeping(self) -> Callable[[], bool]:
        """Return the work that keeps the open case as it is now; nothing if no case is open or it cannot be edited.

        What is on the disk is noted in the thread that writes, which does one thing after another.
        """
        case, review = self.case, self.review
        if case is None or review is None or case.decided:
            return lambda: False
        states, name, structures = case.states(), case.case, case.structures

        def keep() -> bool:
            known = keep_draft(review, name, states, structures, case.saved, case.proposed)
            if known is not None:
                case.saved = known
            return known is not None

        return keep

    def _submit(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        def both(call: Callable[[Any], None]) -> Callable[[Any], None]:
            def run(result: Any) -> None:
                call(result)
                self.busy_changed.emit()

            return run

        self.lane.submit(work, both(done), both(failed))
        self.busy_changed.emit()

    def _show(self, review: Review, name: str, found: CaseRead) -> None:
        if self._pending not in (None, name):
            # Another case was asked for meanwhile, and comes after this one.
            return
        old = self.case
        if old is not None and self._timer.isActive():
            # Somebody went on painting while the next case was read: that is kept too, before it goes.
            old.hold(True)
            self._timer.stop()

            def failed(problem: Exception) -> None:
                old.hold(False)
                self._pending = None
                self._not_kept(problem)

            self._submit(self._keeping(), lambda _: self._show(review, name, found), failed)
            return
        self._pending = None
        if self.review is None or self.review.folder != review.folder:
            return
        self._timer.stop()
        self.case = case = OpenCase(self._viewer, found, old, self)
        if old is not None:
            old.deleteLater()
        case.touched.connect(self._touched)
        case.left.connect(self._left)
        self._opened = time.monotonic()
        self.opened.emit(found)

    def _touched(self) -> None:
        if not self._timer.isActive():
            self._timer.start(KEEP_AFTER)
        self.touched.emit()

    def _left(self) -> None:
        """Keep what was painted, though the user took the layer away."""
        case = self.case
        if case is None:
            return
        self.lane.submit(self._keeping(), _ignore, self._not_kept)
        self.case = None
        case.remove()
        case.deleteLater()
        self.closed.emit()

    def _remove(self) -> None:
        self._let_go()
        self.closed.emit()

    def _let_go(self) -> None:
        self._timer.stop()
        case, self.case = self.case, None
        if case is not None:
            case.remove()
            case.deleteLater()

    def _not_opened(self, problem: Exception) -> None:
        name, self._pending = self._pending, None
        self.trouble.emit(f"{name} is not opened: {in_words(problem)}")
        if self.case is not None:
            self._timer.start(_TRY_AGAIN)

    def _not_kept(self, problem: Exception) -> None:
        self.trouble.emit(f"The draft could not be kept: {in_words(problem)}. It is tried again; what you see is safe")
        self._timer.start(_TRY_AGAIN)

    def _not_decided(self, problem: Exception) -> None:
        self.trouble.emit(in_words(problem))
        # Whatever could not be written, the corrections shall not be lost.
        self.keep()


def keep_draft(
    review: Review,
    name: str,
    states: Sequence[LayerState],
    structures: Sequence[Structure],
    saved: tuple[int, ...],
    proposed: tuple[int, ...] | None,
) -> tuple[int, ...] | None:
    """Write the draft of a case if its labels differ from what is kept; return their checksums then, else None.

    proposed: the checksums of the proposal, where they are known: labels that equal it again need no draft.
    """
    from genesis_core.studies.review import drop_draft, write_draft

    if tuple(checksum(np.asarray(one.data)) for one in states) == saved:
        return None
    labels, known = labels_of(states, structures)
    if known == proposed:
        drop_draft(review, name)
    else:
        write_draft(review, name, labels)
    return known


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


def place(path: Path) -> str:
    """Return a folder's path, short where it lies in the user's home."""
    from napari_genesis.training.wording import place as short

    return short(path)


def _ignore(_: object) -> None:
    return None
