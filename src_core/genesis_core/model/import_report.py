"""What an import found: which tensors matched, which are missing, unexpected or mis-shaped, for people and programs."""

from __future__ import annotations

from typing import Literal, NamedTuple

from genesis_core.errors import ModelError
from genesis_core.settings import Settings, setting

Status = Literal["matched", "missing", "mis-shaped", "unexpected", "not needed"]
# The note of a running average, which the published network stores, moves and never reads.
UNUSED_AVERAGE = "a running average the published network never uses"
PARTS = ("encoder", "decoder", "head", "other")


class Finding(NamedTuple):
    """One tensor: its name in the file and in our network (empty where there is none), and what was found."""

    status: Status
    published: str
    ours: str = ""
    note: str = ""

    @property
    def part(self) -> str:
        """Part of the network it belongs to: encoder, decoder, head, or other."""
        part = self.ours.partition(".")[0]
        return part if part in PARTS else "other"


class ImportReport(Settings):
    """Every tensor of the file and of the network, with what became of it."""

    file: str = setting(..., "The file that was read.")
    digest: str = setting(..., "Its SHA-256.")
    prefix: str = setting("", "What was removed from the front of every name.")
    layout: str = setting("", "Kind of file its names belong to; empty: none we know.")
    source: str = setting("", "Published checkpoint it was recognised as; empty: another one.")
    known_digest: str = setting("", "SHA-256 of that checkpoint as published, where it is known.")
    findings: tuple[Finding, ...] = setting(..., "One entry a tensor.")
    minimum_matched: float = setting(1.0, "Fraction of the encoder and decoder that had to match.", ge=0, le=1)

    def names(self, status: Status) -> list[str]:
        """Return the names with this status: as in the file, or of our network where the file has none."""
        return [item.published or item.ours for item in self.findings if item.status == status]

    @property
    def matched(self) -> list[str]:
        """Tensors taken over."""
        return self.names("matched")

    @property
    def missing(self) -> list[str]:
        """Tensors the network needs and the file does not have."""
        return self.names("missing")

    @property
    def unexpected(self) -> list[str]:
        """Tensors of the file the network has no place for."""
        return self.names("unexpected")

    @property
    def mis_shaped(self) -> list[str]:
        """Tensors whose shape or type does not fit."""
        return self.names("mis-shaped")

    @property
    def not_needed(self) -> list[str]:
        """Running averages that the published network stores but never uses, and last layers that are dropped."""
        return self.names("not needed")

    @property
    def matched_fraction(self) -> float:
        """Matched tensors of the encoder and decoder over all they have, in [0, 1]."""
        wanted = [item for item in self.findings if item.part in ("encoder", "decoder")]
        return sum(item.status == "matched" for item in wanted) / len(wanted) if wanted else 0.0

    @property
    def published_tensors(self) -> tuple[int, int]:
        """How many tensors of the published network are in the file and fit, and how many it has."""
        there = sum(item.status == "matched" or item.note == UNUSED_AVERAGE for item in self.findings)
        return there, there + len(self.missing) + len(self.mis_shaped)

    @property
    def digest_in_words(self) -> str:
        """Whether the file is the published one, byte by byte, as far as that can be told."""
        if not self.known_digest:
            return "the published file's SHA-256 is not known to us, so it was not compared"
        if self.known_digest == self.digest:
            return "the published file's, byte by byte"
        return f"NOT the published file's, which is {self.known_digest}"

    @property
    def head_matched(self) -> bool:
        """Whether the last layer came from the file, too."""
        head = [item for item in self.findings if item.part == "head"]
        return bool(head) and all(item.status == "matched" for item in head)

    def rows(self) -> list[tuple[str, ...]]:
        """Return the summary as rows: part, then the number of tensors of each status."""
        kinds: tuple[Status, ...] = ("matched", "missing", "mis-shaped", "unexpected", "not needed")
        rows = []
        for part in PARTS:
            items = [item for item in self.findings if item.part == part]
            if items:
                rows.append((part, *(str(sum(item.status == kind for item in items)) for kind in kinds)))
        return rows

    def problems(self) -> list[Finding]:
        """Return the findings a person should look at."""
        return [item for item in self.findings if item.status in ("missing", "mis-shaped", "unexpected")]

    def text(self) -> str:
        """Return the whole report as plain text: the summary, then every tensor that was not simply taken over."""
        headings = ("part", "matched", "missing", "mis-shaped", "unexpected", "not needed")
        lines = ["".join(f"{cell:<12}" for cell in row).rstrip() for row in (headings, *self.rows())]
        lines += [f"{item.status}: {item.published or item.ours} {item.note}".rstrip() for item in self.problems()]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain data: counts, the fraction, and the names that are not matched."""
        return {
            "file": self.file,
            "sha256": self.digest,
            "known_sha256": self.known_digest or None,
            "layout": self.layout,
            "source": self.source,
            "prefix": self.prefix,
            "matched": len(self.matched),
            "published_tensors": list(self.published_tensors),
            "matched_fraction": self.matched_fraction,
            "minimum_matched": self.minimum_matched,
            "head_matched": self.head_matched,
            "missing": self.missing,
            "mis_shaped": [f"{item.published}: {item.note}" for item in self.findings if item.status == "mis-shaped"],
            "unexpected": self.unexpected,
            "not_needed": len(self.not_needed),
        }


class UnmatchedWeightsError(ModelError):
    """A checkpoint does not fit the network well enough; `report` says tensor by tensor why."""

    def __init__(self, message: str, report: ImportReport) -> None:
        super().__init__(message)
        self.report = report
