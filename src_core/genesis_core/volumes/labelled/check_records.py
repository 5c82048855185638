"""What the check of a labelled folder found: one record per case, one per structure, one per problem."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genesis_core.volumes.label_volume import Structure
from genesis_core.volumes.labelled.case import Case, LabelledFolder
from genesis_core.volumes.labelled.splitting import subject_id
from genesis_core.volumes.volume import Modality

Severity = Literal["left_out", "warning", "note"]
ProblemKind = Literal[
    "unpaired",
    "unreadable",
    "grids_differ",
    "unlabelled",
    "empty",
    "outside_list",
    "rare_structure",
    "rare_class",
    "image_is_label",
    "constant",
    "modality",
    "intensity",
    "spacing",
    "orientation",
    "left_right",
    "same_case",
    "same_image",
    "same_label",
    "same_channels",
    "subject_in_parts",
    "subjects",
    "border",
    "specks",
    "reading",
]

# Pieces of at most this many voxels beside a structure that is otherwise in one piece are slips of the pen.
SPECK_VOXELS = 10


@dataclass(frozen=True)
class ChannelRecord:
    """One image of a case. because: what speaks for the modality. certainty: 0 to 1.

    percentiles: 0, 0.5, 50, 99.5 and 100 %, in the scan's units. fingerprint: of the voxels, see `duplicates`.
    label_like: it rather numbers structures than measures intensities.
    """

    modality: Modality
    certainty: float
    because: str
    label_like: bool
    percentiles: tuple[float, float, float, float, float]
    fingerprint: str

    @property
    def is_constant(self) -> bool:
        """Whether every voxel is the same."""
        return self.percentiles[0] == self.percentiles[-1]


@dataclass(frozen=True)
class DrawnRecord:
    """One structure in one case.

    specks: pieces of up to `SPECK_VOXELS` voxels, corners connecting; None where the structure was too large to look.
    largest: share of its voxels in the largest piece (1 where specks is None). at_border: it touches the edge of the
    scan. x: of its middle, mm toward the patient's left. extent: of the box around it, left-right, front-back and
    head-foot, mm.
    """

    name: str
    voxels: int
    millilitres: float
    specks: int | None
    largest: float
    at_border: bool
    x: float
    extent: tuple[float, float, float]


@dataclass(frozen=True)
class CaseRecord:
    """One case: usable, or left out and why.

    name: as the folder calls it. id, subject: pseudonyms. shape: (z, y, x) voxels. spacing: (x, y, z) mm. orientation:
    axis codes. left_handed: its axes are a mirror image of a right hand's. channels, structures (drawn ones only) and
    outside (number, voxels; of numbers that mean no structure) are empty, and the geometry None, for cases left out.
    has_label: there is one, though nothing may be drawn in it. label: fingerprint of what is drawn, None where nothing
    is. looked_for: names of the structures its label lists, drawn or not; None: all that the set has. misfit: kind of
    the reason it is left out. notes: what was changed or noticed while reading.
    """

    name: str
    id: str
    subject: str
    part: Literal["training", "test"]
    status: Literal["usable", "left out"]
    reason: str | None = None
    class_name: str | None = None
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    orientation: str | None = None
    left_handed: bool = False
    channels: tuple[ChannelRecord, ...] = ()
    structures: tuple[DrawnRecord, ...] = ()
    outside: tuple[tuple[int, int], ...] = ()
    has_label: bool = False
    label: str | None = None
    looked_for: tuple[str, ...] | None = None
    misfit: ProblemKind | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether the case can be used."""
        return self.status == "usable"

    def was_looked_for(self, structure: str) -> bool:
        """Whether somebody looked for a structure of this name in the case: it would be drawn if it were there."""
        return self.has_label and (self.looked_for is None or structure in self.looked_for)

    @property
    def modality(self) -> Modality | None:
        """CT or MR, as its first image is; None for a case left out."""
        return self.channels[0].modality if self.channels else None

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON can hold it; the structures by their names."""
        values: dict[str, Any] = asdict(self)
        values["structures"] = {drawn.pop("name"): drawn for drawn in values["structures"]}
        values["outside"] = {str(value): voxels for value, voxels in self.outside}
        return values


@dataclass(frozen=True)
class Problem:
    """Something to know about the set. text: what is wrong. fix: what to do. cases: names of those it is about.

    severity: "left_out": these cases are not used; "warning": they are, and something is probably wrong; "note": worth
    knowing.
    """

    kind: ProblemKind
    severity: Severity
    cases: tuple[str, ...]
    text: str
    fix: str


@dataclass(frozen=True)
class StructureRecord:
    """One structure in the usable cases. cases, subjects: how many have it; looked_for: cases it would be drawn in.

    least, median, most: millilitres, of the cases that have it; None where none has.
    """

    structure: Structure
    cases: int
    subjects: int
    looked_for: int
    least: float | None
    median: float | None
    most: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON can hold it."""
        values = asdict(self)
        return {**values.pop("structure"), **values}


@dataclass(frozen=True)
class LabelledCheck:
    """A labelled folder that was read from end to end.

    cases: in the folder's order; what could not be paired is among the problems. structures: the folder's list, else
    what was found.
    usable_cases: what to train and test on; those that share a scan are one subject, so that no split divides them.
    stopped: somebody asked the check to end early; cases holds those that were read.
    """

    folder: LabelledFolder
    cases: tuple[CaseRecord, ...]
    usable_cases: tuple[Case, ...]
    structures: tuple[StructureRecord, ...]
    problems: tuple[Problem, ...]
    stopped: bool = False

    @property
    def usable(self) -> tuple[CaseRecord, ...]:
        """The records of the cases that can be used."""
        return tuple(case for case in self.cases if case.is_usable)

    @property
    def left_out(self) -> tuple[CaseRecord, ...]:
        """The records of the cases that cannot."""
        return tuple(case for case in self.cases if not case.is_usable)

    @property
    def notes(self) -> tuple[str, ...]:
        """What finding the cases told, without what stands among the problems."""
        told = {problem.text for problem in self.problems}
        return tuple(note for note in self.folder.notes if note not in told)

    def contents(self) -> dict[str, tuple[str, ...]]:
        """Return the structures drawn in each usable case, by the name of the case, as `split_cases` takes it."""
        return {case.name: tuple(drawn.name for drawn in case.structures) for case in self.usable}

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it: stable keys, no folders of this machine, no tags of patients."""
        return {**self.summary(), "cases": [case.as_json() for case in self.cases]}

    def summary(self) -> dict[str, Any]:
        """Return the same without the cases, which are counted."""
        classes = Counter(case.class_name for case in self.usable if case.class_name is not None)
        return {
            "v": 1,
            "layout": self.folder.layout,
            "channels": list(self.folder.channels),
            "usable": len(self.usable),
            "left_out": len(self.left_out),
            "unpaired": len(self.folder.left_out),
            "test": sum(case.part == "test" for case in self.usable),
            "subjects": len({subject_id(case.subject) for case in self.usable_cases}),
            "stopped": self.stopped,
            "structures": [record.as_json() for record in self.structures],
            "classes": {name: classes[name] for name in self.folder.classes},
            "problems": [asdict(problem) for problem in self.problems],
            "notes": list(self.notes),
        }
