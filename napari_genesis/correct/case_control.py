"""Between the page of the open case and what is done with the case: paint, measure, go to places, decide, go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QMessageBox

from napari_genesis.correct.case_edits import CaseEdits
from napari_genesis.correct.case_files import CaseRead
from napari_genesis.correct.case_work import CaseWork
from napari_genesis.correct.deciding import Deciding
from napari_genesis.correct.parts import ReviewParts
from napari_genesis.correct.place_box import PlaceBox
from napari_genesis.correct.queue_rows import TO_DO, Row, next_case
from napari_genesis.correct.reviews import ReviewRead

if TYPE_CHECKING:
    from genesis_core.studies.review import Proposal


class CaseControl(QObject):
    """shown(): a case was opened, or none is open any more. decided(): something of the review is another now.

    read, rows: return what is known of the review, and the queue as it is shown.
    """

    shown = Signal()
    decided = Signal()

    def __init__(
        self,
        viewer: Any,
        parts: ReviewParts,
        read: Callable[[], ReviewRead | None],
        rows: Callable[[], Sequence[Row]],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._parts = parts
        self._read, self._rows = read, rows
        self.page = parts.case
        self.work = CaseWork(viewer, self)
        self.deciding = Deciding(self.work, self)
        self.edits = CaseEdits(self)
        self.box = PlaceBox(viewer)
        # A layer of its own, which napari takes 150 ms to make: not in one go with those of the case.
        self._first_place = QTimer(self)
        self._first_place.setSingleShot(True)
        self._first_place.timeout.connect(lambda: self.page.places.step(1))
        # What was decided, still to be told once the next case is open.
        self._sentence = ""
        self._connect()

    @property
    def name(self) -> str | None:
        """The case that is open."""
        return None if self.work.case is None else self.work.case.case

    @property
    def flagged(self) -> bool:
        """Whether the open case is flagged."""
        read = self._read()
        state = None if read is None or self.name is None else read.states.get(self.name)
        return state is not None and state.flagged

    def open(self, case: str | None) -> None:
        """Open a case of the review; one that is open already is shown, or again if it was drawn anew since."""
        read = self._read()
        proposals = () if read is None else (*read.proposals, *read.earlier)
        proposal = next((one for one in proposals if one.case == case), None)
        if case is not None and case == self.name and self.work.pending is None and not self._drawn_anew(proposal):
            self.shown.emit()
            return
        if proposal is not None:
            self._parts.say(f"{self._sentence} Opening {case}…".strip())
            self.work.open(proposal)

    def step(self, steps: int) -> None:
        """Open the next case that is to do, or the one before."""
        wanted = next_case(self._rows(), self.work.pending or self.name, steps)
        if wanted is not None:
            self.open(wanted)
        elif self._read() is not None:
            self._parts.say("No more cases to do in this list." if steps > 0 else "This is the first case of the list.")

    def accept(self) -> None:
        """Accept the open case."""
        if self.work.case is not None and not self.work.case.decided:
            self.deciding.accept(self._note())

    def reject(self) -> None:
        """Reject the open case."""
        if self.work.case is not None and not self.work.case.decided:
            self.deciding.reject(self._note())

    def flag(self) -> None:
        """Flag the open case, or take the flag off."""
        if self.work.case is not None:
            self.deciding.flag(self._note(), not self.flagged)

    def give_up(self) -> None:
        """Go back to the proposal, if the user is sure."""
        case = self.work.case
        if case is None or case.decided:
            return
        title = "Give up the draft"
        question = f"{title} of {case.case}?\n\nWhat was painted on it is deleted, and cannot be brought back."
        sure = QMessageBox.question(self._parts, title, question) == QMessageBox.StandardButton.Yes
        if sure and self.work.case is case:
            self.deciding.give_up_draft()

    def choose_number(self, number: int) -> None:
        """Paint with the structure of a row."""
        structures = self.page.structures.structures
        if number < len(structures):
            self._choose(structures[number])
            self.page.structures.show_chosen(structures[number])

    def _drawn_anew(self, proposal: Proposal | None) -> bool:
        """Whether the open case shows another proposal, and has no draft; a stroke since is kept before it goes."""
        case = self.work.case
        if case is None or proposal is None or case.saved != case.proposed:
            return False
        former = case.proposal
        return (proposal.model, proposal.uncertainty) != (former.model, former.uncertainty)

    def _note(self) -> str:
        return self.page.note.text().strip()

    def _opened(self, found: CaseRead) -> None:
        case, page = self.work.case, self.page
        assert case is not None
        page.show_case(case.case, _facts(found))
        page.structures.show_structures(case.structures)
        page.structures.show_chosen(case.chosen)
        page.places.show_places(found.proposal.places)
        page.draft.show_text("")
        if case.images:
            image = case.images[0]
            low, high = (float(one) for one in image.contrast_limits_range)
            first = (float(image.contrast_limits[0]), float(image.contrast_limits[1]))
            page.tools.show_scan(low, high, first, "HU" if case.is_ct else "")
        page.tools.setEnabled(not case.decided)
        self.edits.begin(case)
        self._parts.say(f"{self._sentence} {_opened_words(found)}".strip())
        self._sentence = ""
        self._parts.queue.list.choose(case.case)
        self._viewer.reset_view()
        if self.box.layer is None:
            self._first_place.start(0)
        else:
            self.box.put_on_top()
            page.places.step(1)
        self._forget_status()
        self.shown.emit()

    def _closed(self) -> None:
        self._first_place.stop()
        self.box.remove()
        self.edits.begin(None)
        self.page.show_none()
        self._forget_status()
        self.shown.emit()

    def _forget_status(self) -> None:
        """Let napari's status bar tell of the case that is open: it names the layer under the mouse as it moves."""
        self._viewer.status = "Ready"
        self._viewer.update_status_from_cursor()

    def _choose(self, structure: Any) -> None:
        if self.work.case is not None and not self.work.case.decided:
            self.work.case.choose(structure)

    def _go_to(self, place: Any) -> None:
        case = self.work.case
        if case is None:
            return
        first, size = np.asarray(place.start, float), np.asarray(place.size, float)
        corners = np.stack([case.world_of(first - 0.5), case.world_of(first + size - 0.5)])
        self.box.show(corners.min(axis=0), corners.max(axis=0))
        case.go_to(corners.mean(axis=0))

    def _limits(self, limits: tuple[float, float] | None) -> None:
        if self.work.case is not None:
            self.work.case.limit_brush(limits)

    def _measured(self, ml: dict[str, float]) -> None:
        if self.work.case is not None:
            self.page.structures.show_volumes(ml, self.work.case.proposal.volumes_ml)

    def _decided(self, sentence: str, case: str) -> None:
        self.decided.emit()
        if case:
            rows = self._rows()
            left = (row.case for row in rows if row.state in TO_DO and row.case != case)
            following = next_case(rows, case, 1) or next(left, None)
            if following is not None:
                self._sentence = sentence
                self.open(following)
                return
            self.work.close()
            sentence = f"{sentence} Nothing more is to do in this list."
        self._parts.say(sentence)

    def _hand_over(self) -> None:
        from napari_genesis.correct.hand_over import open_nninteractive

        case = self.work.case
        if case is None or not case.images:
            return
        try:
            self._parts.say(open_nninteractive(self._viewer, case.images[0]))
        # Somebody else's program, which may fail in any way; what is said of it is all that can be done.
        except Exception as problem:
            self._parts.show_trouble(f"napari-nninteractive could not be opened: {problem}")

    def _connect(self) -> None:
        page, work, edits = self.page, self.work, self.edits
        page.stepped.connect(self.step)
        page.structures.chosen.connect(self._choose)
        page.places.gone_to.connect(self._go_to)
        page.tools.limits_changed.connect(self._limits)
        page.tools.range_wanted.connect(edits.find_range)
        page.tools.edit_wanted.connect(edits.edit)
        page.tools.hand_over.connect(self._hand_over)
        edits.measured.connect(self._measured)
        edits.ranged.connect(page.tools.show_range)
        edits.said.connect(page.tools.said.show_text)
        edits.busy_changed.connect(page.tools.show_busy)
        work.opened.connect(self._opened)
        work.closed.connect(self._closed)
        work.touched.connect(edits.touched)
        self.deciding.decided.connect(self._decided)
        work.trouble.connect(self._parts.show_trouble)
        work.kept.connect(self._kept)

    def _kept(self, words: str) -> None:
        if self.work.case is not None:
            self.page.draft.show_text(words)
        # The queue marks it as a draft.
        self.decided.emit()


def _facts(found: CaseRead) -> list[str]:
    proposal = found.proposal
    facts = [f"Uncertainty {proposal.uncertainty:.3f}."]
    # What was not found is a flag already.
    flagged = any(one.kind == "empty" for one in proposal.flags)
    notes = [note for note in proposal.notes if not (flagged and note.startswith("Not found in this scan"))]
    return [*facts, *(one.sentence for one in proposal.flags), *notes]


def _opened_words(found: CaseRead) -> str:
    if found.origin == "draft":
        return "Your corrections from before were not accepted yet; they are here again, as you left them."
    if found.origin == "accepted":
        return "This case is accepted. To change it, undo that first (more > Undo the last decision)."
    return ""
