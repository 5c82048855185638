"""One case at a time: opened, its corrections kept as drafts every few seconds, closed; all files by one thread.

The window's thread copies no voxel: it hands over the layer's array, and the thread compares its checksum with what is
kept, and copies only what has changed. A case is taken out of the viewer only after its draft is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from genesis_core.volumes.label_volume import Structure
from napari_genesis.correct.case_files import CaseRead, LayerState, checksum, labels_of, read_case
from napari_genesis.correct.in_order import InOrder
from napari_genesis.correct.left_layers import LeftLayers, left_layers
from napari_genesis.correct.open_case import OpenCase
from napari_genesis.correct.wording import in_words

if TYPE_CHECKING:
    from genesis_core.studies.review import Proposal, Review

# Milliseconds from an edit to its draft, and to the next try if that could not be written.
KEEP_AFTER, _TRY_AGAIN = 2000, 10_000


class CaseWork(QObject):
    """opened(CaseRead): a case is in the viewer. closed(): none is any more. touched(): its labels may have changed.

    trouble(reason): something could not be done, in words. kept(text): what is known of the draft. busy_changed().
    """

    opened = Signal(object)
    closed = Signal()
    touched = Signal()
    trouble = Signal(str)
    kept = Signal(str)
    busy_changed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.review: Review | None = None
        self.case: OpenCase | None = None
        self.opened_at = 0.0
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

    @property
    def unkept(self) -> bool:
        """Whether somebody has painted since the last draft, or decision, was asked for."""
        return self._timer.isActive()

    def put_off(self) -> None:
        """Keep no draft before something is touched again: what is asked for now sees to it."""
        self._timer.stop()

    def open(self, proposal: Proposal) -> None:
        """Open a case, once the draft of the one before is kept."""
        review = self.review
        if review is None or self._pending == proposal.case:
            return
        self._pending = proposal.case
        self._timer.stop()
        keep = self.keeping()
        own = () if self.case is None else (*self.case.images, *self.case.labels)
        left = left_layers(self._viewer, (str(review.folder), proposal.case), own)

        def work() -> tuple[CaseRead, LeftLayers | None]:
            keep()
            found = read_case(review, proposal)
            return found, left if left is not None and left.same_as(found) else None

        self.submit(work, lambda result: self.show_read(review, proposal.case, *result), self._not_opened)

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

        self.submit(self.keeping(), done, self._not_kept)

    def keep(self) -> None:
        """Keep the corrections as a draft now, if they changed."""
        self._timer.stop()
        case = self.case
        if case is None:
            return

        def done(written: bool) -> None:
            if written:
                self.kept.emit(f"Draft kept at {time.strftime('%H:%M:%S')}.")

        self.submit(self.keeping(), done, self._not_kept)

    def leave(self) -> None:
        """Keep the draft and let go, as the dock is closed; the layers stay. What is asked for here is done in full."""
        # Called when Qt has deleted its side of this object: nothing of it may be touched.
        if self.case is not None:
            self.lane.submit(self.keeping(), _ignore, _ignore)
            self.case.leave()
            self.case = None
        self.lane.close()

    # For what is decided on the case.

    def keeping(self) -> Callable[[], bool]:
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

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Run work after all before it, as `InOrder` does, and tell that it is done."""

        def both(call: Callable[[Any], None]) -> Callable[[Any], None]:
            def run(result: Any) -> None:
                call(result)
                self.busy_changed.emit()

            return run

        self.lane.submit(work, both(done), both(failed))
        self.busy_changed.emit()

    def show_read(self, review: Review, name: str, found: CaseRead, left: LeftLayers | None = None) -> None:
        """Show a case that was read, unless another one was asked for meanwhile. left: layers that show it already."""
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

            self.submit(self.keeping(), lambda _: self.show_read(review, name, found, left), failed)
            return
        self._pending = None
        if self.review is None or self.review.folder != review.folder:
            return
        self._timer.stop()
        self.case = case = OpenCase(self._viewer, found, old, left, self)
        if old is not None:
            old.deleteLater()
        case.touched.connect(self._touched)
        case.left.connect(self._left)
        if left is not None:
            # Painted on since they were compared, perhaps.
            self._timer.start(KEEP_AFTER)
        self.opened_at = time.monotonic()
        self.opened.emit(found)

    # Inside.

    def _touched(self) -> None:
        if not self._timer.isActive():
            self._timer.start(KEEP_AFTER)
        self.touched.emit()

    def _left(self) -> None:
        """Keep what was painted, though the user took the layer away."""
        case = self.case
        if case is None:
            return
        self.lane.submit(self.keeping(), _ignore, self._not_kept)
        self.case = None
        case.remove()
        case.deleteLater()
        self.closed.emit()

    def _remove(self) -> None:
        self._timer.stop()
        case, self.case = self.case, None
        if case is not None:
            case.remove()
            case.deleteLater()
        self.closed.emit()

    def _not_opened(self, problem: Exception) -> None:
        name, self._pending = self._pending, None
        self.trouble.emit(f"{name} is not opened: {in_words(problem)}")
        if self.case is not None:
            self._timer.start(_TRY_AGAIN)

    def _not_kept(self, problem: Exception) -> None:
        self.trouble.emit(f"The draft could not be kept: {in_words(problem)}. It is tried again; what you see is safe")
        self._timer.start(_TRY_AGAIN)


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


def _ignore(_: object) -> None:
    return None
