"""Which cases the queue shows, in which order, and what is said of each. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_genesis.correct.kept import By, Shown

if TYPE_CHECKING:
    from genesis_core.studies.review import CaseState, Proposal
    from napari_genesis.correct.reviews import ReviewRead

# Kind of a flag -> what the list says, in a word.
FLAG_WORDS = {
    "empty": "empty",
    "fragmented": "fragments",
    "touches_edge": "edge",
    "volume_outlier": "volume",
}
# Still to be decided on.
TO_DO = ("open", "draft")
ORDER_WORDS: dict[By, tuple[str, str]] = {
    "uncertainty": ("most uncertain first", "By how unsure the model is about what it drew, the most unsure first."),
    "stratified": (
        "stratified",
        "Small, medium and large predictions in turn. Ranking whole cases by uncertainty does not reliably beat this.",
    ),
    "random": ("random", "In a random order that stays the same. A fair sample of the folder."),
    "name": ("by name", "By the name of the file."),
}
SHOWN_WORDS: dict[Shown, str] = {"all": "all", "to do": "to do", "flagged": "flagged", "accepted": "accepted"}


@dataclass(frozen=True)
class Row:
    """A case in the list. uncertainty: in [0, 1]. bar: against the most uncertain case there is. flags: (word, tip).

    state: open, draft, accepted or rejected. flagged: by the user. earlier: not drawn by the newest model.
    """

    case: str
    uncertainty: float
    bar: float
    flags: tuple[tuple[str, str], ...]
    state: str
    flagged: bool
    earlier: bool = False

    @property
    def tip(self) -> str:
        """All of it in words, a line each."""
        lines = [self.case, f"uncertainty {self.uncertainty:.3f} (mean entropy around what was drawn, 0 to 1)"]
        lines += [sentence for _, sentence in self.flags]
        lines.append(self.state + (", flagged by you" if self.flagged else ""))
        lines += ["proposed by an earlier model: the newest has not drawn on it"] if self.earlier else []
        return "\n".join(lines)


def queue_rows(read: ReviewRead, by: By, shown: Shown) -> tuple[Row, ...]:
    """Return the rows to show, in order."""
    from genesis_core.studies.review import order

    proposals, states, earlier = [*read.proposals, *read.earlier], read.states, {one.case for one in read.earlier}
    most = max((one.uncertainty for one in proposals), default=0.0) or 1.0
    rows = (_row(one, states, most, one.case in earlier) for one in order(proposals, states, by))
    return tuple(row for row in rows if is_shown(row, shown))


def is_shown(row: Row, shown: Shown) -> bool:
    """Whether a filter lets a row through."""
    if shown == "to do":
        return row.state in TO_DO
    if shown == "flagged":
        return row.flagged or bool(row.flags)
    return shown == "all" or row.state == "accepted"


def next_case(rows: Sequence[Row], current: str | None, steps: int) -> str | None:
    """Return the case so many rows further that is still to do (any, if going back); None if there is none."""
    cases = [row.case for row in rows]
    at = cases.index(current) if current in cases else -1 if steps > 0 else len(rows)
    wanted = range(at + 1, len(rows)) if steps > 0 else range(at - 1, -1, -1)
    return next((rows[n].case for n in wanted if steps < 0 or rows[n].state in TO_DO), None)


def counted(states: Iterable[CaseState], total: int) -> str:
    """Return how many cases are accepted, rejected and to do, in a line."""
    names = [one.state for one in states]
    accepted, rejected = names.count("accepted"), names.count("rejected")
    parts = [f"{total} case{'s' * (total != 1)}", f"{accepted} accepted"]
    parts += [f"{rejected} rejected"] if rejected else []
    left = total - accepted - rejected
    return ", ".join([*parts, f"{max(left, 0)} to do"])


def _row(proposal: Proposal, states: Mapping[str, CaseState], most: float, earlier: bool) -> Row:
    state = states.get(proposal.case)
    flags = tuple((FLAG_WORDS.get(one.kind, one.kind), one.sentence) for one in proposal.flags)
    # The same word once, whatever the number of structures it is said of.
    seen = dict[str, str]()
    for word, sentence in flags:
        seen[word] = f"{seen[word]} {sentence}" if word in seen else sentence
    return Row(
        proposal.case,
        proposal.uncertainty,
        proposal.uncertainty / most,
        tuple(seen.items()),
        "open" if state is None else state.state,
        state is not None and state.flagged,
        earlier,
    )


def about_review(read: ReviewRead) -> str:
    """Return where a review stands, in a line or two."""
    known = {one.case for one in (*read.proposals, *read.earlier)}
    # Accepted cases are not proposed for again.
    known |= {case for case, state in read.states.items() if state.state == "accepted"}
    last = read.rounds[-1].number if read.rounds else 0
    since = f", {read.since} since round {last}" if read.since and last else ""
    if not read.proposals:
        return f"{read.accepted} accepted{since}. {read.run.name}, round {last}, has not drawn on these scans yet."
    return f"{counted(read.states.values(), len(known))}{since}. Proposed by {read.run.name}, round {last}."
