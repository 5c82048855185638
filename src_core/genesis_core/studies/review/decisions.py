"""What people decided about cases: decisions.jsonl, a file that only grows, and the state of each case that follows.

An undone decision stays in the file; the line that undoes it names it. What is accepted is told by corrected/ itself
(its provenance.jsonl), so that a file and its state never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from genesis_core.errors import ReviewError
from genesis_core.studies.review.lines import Line, append_line, read_lines, signed
from genesis_core.studies.review.locking import locked

if TYPE_CHECKING:
    from genesis_core.studies.review.review import Review

Kind = Literal["accepted", "rejected", "flagged", "unflagged", "undone"]
State = Literal["open", "draft", "accepted", "rejected"]
DECISIONS, PROVENANCE = "decisions.jsonl", "provenance.jsonl"


@dataclass(frozen=True)
class Decision:
    """One decision. time: ISO 8601, UTC. login: of who took it. model: first 8 digits of the weights that proposed.

    note: the reason of a rejection, or what was written with a flag or an acceptance. of: what an "undone" undoes.
    """

    id: str
    kind: Kind
    case: str
    time: str
    login: str
    model: str
    note: str = ""
    of: str | None = None


@dataclass(frozen=True)
class CaseState:
    """Where a case stands. flagged: somebody wants to come back to it. note: of the flag, or why it was rejected.

    time, login: of the decision that made it so; empty for open cases and drafts.
    """

    state: State = "open"
    flagged: bool = False
    note: str = ""
    time: str = ""
    login: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to do about the case."""
        return self.state in ("accepted", "rejected")


OPEN = CaseState()


def read_decisions(review: Review) -> list[Decision]:
    """Return all decisions in order, undone ones and those that undid them included; damaged lines are passed over."""
    return [one for line in read_lines(review.folder / DECISIONS) if (one := _decision(line)) is not None]


def standing(decisions: list[Decision]) -> list[Decision]:
    """Return those that still count: neither undone nor an undoing."""
    undone = {one.of for one in decisions if one.kind == "undone"}
    return [one for one in decisions if one.kind != "undone" and one.id not in undone]


def read_states(review: Review) -> dict[str, CaseState]:
    """Return the state of every case that somebody decided about or drew in; all others are open (`OPEN`)."""
    from genesis_core.studies.review.drafts import drafted_cases

    accepted = {line["case"]: line for line in live_provenance(review)}
    decided: dict[str, Decision] = {}
    flags: dict[str, Decision] = {}
    for one in standing(read_decisions(review)):
        if one.kind == "rejected":
            decided[one.case] = one
        elif one.kind == "accepted":
            # Accepted later than rejected: the rejection no longer counts, whatever becomes of the acceptance.
            decided.pop(one.case, None)
        else:
            flags[one.case] = one
    drafts = set(drafted_cases(review))
    states: dict[str, CaseState] = {}
    for case in sorted({*accepted, *decided, *flags, *drafts}):
        flag_ = flags.get(case)
        flagged = flag_ is not None and flag_.kind == "flagged"
        note = flag_.note if flag_ is not None and flagged else ""
        if case in accepted:
            line = accepted[case]
            states[case] = CaseState(
                "accepted",
                flagged,
                note or str(line.get("note", "")),
                str(line.get("time", "")),
                str(line.get("login", "")),
            )
        elif case in decided:
            one = decided[case]
            states[case] = CaseState("rejected", flagged, note or one.note, one.time, one.login)
        else:
            states[case] = CaseState("draft" if case in drafts else "open", flagged, note)
    return states


def live_provenance(review: Review) -> list[Line]:
    """Return the lines of provenance.jsonl whose cases are in corrected/ now: accepted, and not undone since."""
    lines = [line for line in read_lines(review.corrected / PROVENANCE) if isinstance(line.get("id"), str)]
    undone = {line["undone"] for line in lines if "undone" in line}
    accepted = [line for line in lines if "undone" not in line and isinstance(line.get("case"), str)]
    return [line for line in accepted if line["id"] not in undone]


def reject(review: Review, case: str, reason: str) -> Decision:
    """Note that a case shall not be used, and why. A draft of it stays. Raises ReviewError if it is accepted."""
    return _decide(review, "rejected", case, reason)


def flag(review: Review, case: str, note: str) -> Decision:
    """Mark a case to come back to, whatever its state. Raises ReviewError if that cannot be written."""
    return _decide(review, "flagged", case, note)


def unflag(review: Review, case: str) -> Decision:
    """Take the mark off a case. Raises ReviewError if that cannot be written."""
    return _decide(review, "unflagged", case, "")


def write_decision(review: Review, line: Line) -> Decision:
    """Append a decision that was signed; the caller holds the review's lock. Raises OSError if it cannot."""
    append_line(review.folder / DECISIONS, line)
    decision = _decision(line)
    assert decision is not None
    return decision


def _decide(review: Review, kind: Kind, case: str, note: str) -> Decision:
    from genesis_core.studies.review.ranking import require_proposal

    folder, _ = require_proposal(review, case)
    try:
        with locked(review.folder / ".lock"):
            if kind == "rejected" and any(line["case"] == case for line in live_provenance(review)):
                raise ReviewError(f"{case}: is accepted; undo that first, and reject it then")
            return write_decision(review, signed({"decision": kind, "case": case, "model": folder.name, "note": note}))
    except OSError as problem:
        raise ReviewError(not_written(review.folder / DECISIONS, problem)) from None


def not_written(path: Path, problem: OSError) -> str:
    """Return what to say where a decision could not be written."""
    return (
        f"{path}: cannot be written ({problem.strerror or problem}), so nothing was decided. Is the disk full, or the "
        "folder read-only?"
    )


def _decision(line: Line) -> Decision | None:
    def text(key: str) -> str:
        value: Any = line.get(key, "")
        return value if isinstance(value, str) else ""

    kind: Any = line.get("decision")
    if kind not in get_args(Kind) or not text("id"):
        return None
    return Decision(
        text("id"), kind, text("case"), text("time"), text("login"), text("model"), text("note"), text("of") or None
    )
