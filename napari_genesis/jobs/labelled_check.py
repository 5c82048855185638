"""Checking a labelled folder by the core's own check, `inspect --labelled --json`, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_genesis.jobs.json_lines import Answer, JsonLines

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class DrawnStructure:
    """A structure of the folder. colour: its own, or that of its position. cases: that show it, of `looked_for`.

    median: millilitres, of the cases that show it; None where none does.
    """

    name: str
    colour: Colour
    cases: int
    looked_for: int
    median: float | None


@dataclass(frozen=True)
class FoundProblem:
    """Something to know about the folder. severity: "left_out", "warning" or "note". fix: what to do."""

    severity: str
    text: str
    fix: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class LabelledCheck:
    """What is known of a labelled folder. cases, summary: as the command tells them, see `check_records`.

    problem: why it could not be checked.
    """

    path: Path
    cases: tuple[dict[str, Any], ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    done: bool = False
    problem: str = ""

    @property
    def usable(self) -> int:
        """How many cases can be trained on: usable ones with a label, outside of a part kept for tests."""
        return sum(bool(one.get("has_label")) and one.get("part") != "test" for one in self._usable)

    @property
    def left_out(self) -> int:
        """How many cases cannot be used."""
        return int(self.summary.get("left_out") or 0)

    @property
    def subjects(self) -> int:
        """Whose the usable cases are."""
        return int(self.summary.get("subjects") or 0)

    @property
    def structures(self) -> tuple[DrawnStructure, ...]:
        """What is drawn in the usable cases; what is drawn nowhere stands among the problems."""
        from genesis_core.volumes.structure_colours import default_colours

        records = [one for one in self.summary.get("structures") or () if isinstance(one, dict)]
        defaults = default_colours(len(records))
        return tuple(
            DrawnStructure(
                str(one.get("name")),
                _colour(one.get("colour")) or default,
                int(one.get("cases") or 0),
                int(one.get("looked_for") or 0),
                one.get("median"),
            )
            for one, default in zip(records, defaults, strict=True)
            if one.get("cases")
        )

    @property
    def problems(self) -> tuple[FoundProblem, ...]:
        """What is wrong, the worst first."""
        order = {"left_out": 0, "warning": 1, "note": 2}
        found = [
            FoundProblem(
                str(one.get("severity")),
                str(one.get("text")),
                str(one.get("fix")),
                tuple(str(name) for name in one.get("cases") or ()),
            )
            for one in self.summary.get("problems") or ()
            if isinstance(one, dict)
        ]
        return tuple(sorted(found, key=lambda one: order.get(one.severity, 3)))

    @property
    def _usable(self) -> list[dict[str, Any]]:
        return [one for one in self.cases if one.get("status") == "usable"]


class LabelledChecking(QObject):
    """Checks one folder at a time. progressed(check): more is known, or all."""

    progressed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = Path()
        self._lines = JsonLines("genesis-labelled-check", self)
        self._lines.answered.connect(self._take)

    def start(self, path: Path, options: Sequence[str] = ()) -> None:
        """Check a folder or a table. options: how it is to be read, as the command takes them (`--layout nnunet`)."""
        self._path = path
        self._lines.start(["inspect", str(path), "--labelled", "--json", *options])

    def stop(self) -> None:
        """Stop the check that runs; nothing more comes of it."""
        self._lines.stop()

    def _take(self, answer: Answer) -> None:
        cases = tuple(one for one in answer.records if one.get("record") == "case")
        summary = next((one for one in answer.records if one.get("record") == "summary"), {})
        self.progressed.emit(LabelledCheck(self._path, cases, summary, answer.done, answer.problem))


def _colour(value: Any) -> Colour | None:
    if not (isinstance(value, list | tuple) and len(value) == 3):
        return None
    red, green, blue = (int(part) for part in value)
    return red, green, blue
