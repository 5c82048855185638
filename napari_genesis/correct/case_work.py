"""One case at a time: opened, its corrections kept as drafts every few seconds, closed; all files by one thread.

The window's thread copies no voxel: it hands over the layer's array, and the thread compares its checksum with what is
kept, and copies only what has changed. A case is taken out of the viewer only after its draft is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_genesis.correct.case_files import CaseRead, read_case
from napari_genesis.correct.drafting import keeping, told
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
        # Whose cases can be opened, and decisions undone; the open case knows its own.
        self.review: Review | None = None
        self.case: OpenCase | None = None
        self.opened_at = 0.0
        self._pending: str | None = None
        self._closing: OpenCase | None = None
        # The drafts still to be kept of cases whose labels the user took out of the viewer.
        self._taken_away: list[Callable[[], bool]] = []
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
    def leaving(self) -> bool:
        """Whether the open case is about to go: another one is being opened, or it is being closed."""
        return self._pending is not None or (self.case is not None and self.case is self._closing)

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
        case = self._closing = self.case
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

        def failed(problem: Exception) -> None:
            self._closing = None
            self._not_kept(problem)

        self.submit(self.keeping(), done, failed)

    def keep(self) -> None:
        """Keep the corrections as a draft now, if they changed."""
        self._timer.stop()
        if self.case is None and not self._taken_away:
            return

        def done(written: bool) -> None:
            if written:
                self.kept.emit(f"Draft kept at {time.strftime('%H:%M:%S')}.")

        self.submit(self.keeping(), done, self._not_kept)

    def leave(self) -> None:
        """Keep the draft and let go, as the dock is closed; the layers stay. What is asked for here is done in full."""
        # Called when Qt has deleted its side of this object: nothing of it may be touched.
        if self.case is not None or self._taken_away:
            self.lane.submit(told(self.keeping()), _ignore, _ignore)
        if self.case is not None:
            self.case.leave()
            self.case = None
        self.lane.close()

    # For what is decided on the case.

    def keeping(self) -> Callable[[], bool]:
        """Return the work that keeps the open case as it is now; it returns whether anything had to be written.

        Before it comes what could not be kept so far of cases that are gone from the viewer.
        """
        before, now = self._taken_away, None if self.case is None else keeping(self.case)

        def keep() -> bool:
            written = False
            while before:
                written |= before[0]()
                del before[0]
            return written if now is None else now() or written

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
        self.case = case = OpenCase(self._viewer, review, found, old, left, self)
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
        self._taken_away.append(keeping(case))
        self.case = None
        case.remove()
        case.deleteLater()
        self.closed.emit()
        self.keep()

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
        if self.case is not None or self._taken_away:
            self._timer.start(_TRY_AGAIN)

    def _not_kept(self, problem: Exception) -> None:
        self.trouble.emit(f"The draft could not be kept: {in_words(problem)}. It is tried again every few seconds")
        self._timer.start(_TRY_AGAIN)


def _ignore(_: object) -> None:
    return None
