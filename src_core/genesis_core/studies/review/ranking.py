"""What a model proposed for each case, and how sure it was: the records a queue is made of.

proposals/<8 hex of the weights' SHA-256>/ holds a label file per case and ranking.jsonl, where a case's line is
written last: a case with a line is whole. reference.json beside it tells what is usual in the training set. Flags
follow from both when they are read, since what is unusual depends on all cases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.errors import ReviewError
from genesis_core.studies.review.lines import Line, read_lines
from genesis_core.studies.review.review import model_cards

if TYPE_CHECKING:
    from genesis_core.studies.review.review import Review

FlagKind = Literal["empty", "fragmented", "touches_edge", "volume_outlier"]
PlaceKind = Literal["uncertain", "random", "stratified"]
RANKING, REFERENCE = "ranking.jsonl", "reference.json"


@dataclass(frozen=True)
class Flag:
    """Something about a proposal that a person should look at. structure: its name. sentence: to show."""

    kind: FlagKind
    structure: str
    sentence: str


@dataclass(frozen=True)
class Place:
    """A box of a scan to correct. start, size: voxels (z, y, x) of the scan. uncertainty: mean in the box, [0, 1].

    kind: "uncertain": the boxes of the highest mean; "random": drawn by a hash of the case's name; "stratified": one
    at the surface of each structure, and one without any. Those of one kind never overlap.
    """

    kind: PlaceKind
    start: tuple[int, int, int]
    size: tuple[int, int, int]
    uncertainty: float


@dataclass(frozen=True)
class Drawn:
    """One proposed structure. pieces: connected ones (corners connect) above `measuring.SPECK_VOXELS`; largest: share
    of its voxels in the largest. Both None for one too large to look. at_border: it reaches the border of the scan.
    """

    name: str
    voxels: int
    ml: float
    pieces: int | None
    largest: float | None
    at_border: bool


@dataclass(frozen=True)
class Proposal:
    """What a model proposed for a case.

    case: unique name, the scan's path without ending, subfolders with "/". images: the scan's file or DICOM folder,
    one per channel, or one 4D file; series: the UID to read of each, where a DICOM folder holds several. label: the
    proposal's file, for `read_labels`. uncertainty: [0, 1], see `measuring.case_uncertainty`. volumes_ml, structures:
    by name, empty ones included. flags, places: what to look at, and where. model: first 8 digits of the weights'
    SHA-256. notes: what segmenting noticed.
    """

    case: str
    images: tuple[Path, ...]
    label: Path
    uncertainty: float
    volumes_ml: dict[str, float]
    flags: tuple[Flag, ...]
    places: tuple[Place, ...]
    structures: tuple[Drawn, ...] = ()
    series: tuple[str | None, ...] = ()
    model: str = ""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the proposal as JSON can hold it."""
        return {
            "case": self.case,
            "images": [str(path) for path in self.images],
            "series": list(self.series),
            "label": str(self.label),
            "uncertainty": self.uncertainty,
            "volumes_ml": dict(self.volumes_ml),
            "flags": [asdict(one) for one in self.flags],
            "places": [asdict(one) for one in self.places],
            "structures": [asdict(one) for one in self.structures],
            "model": self.model,
            "notes": list(self.notes),
        }


def read_proposals(review: Review) -> list[Proposal]:
    """Return what the newest run's model proposed, by name of the case; none if nothing was ranked yet.

    Cases whose label file is gone are left out; ranking again makes them anew. Raises ReviewError as `Review.run` does.
    """
    return proposals_in(review, proposal_folder(review))


def proposals_in(review: Review, folder: Path) -> list[Proposal]:
    """Return the proposals in one model's folder, flags included."""
    lines = read_ranking(folder)
    return as_proposals(review, folder, lines, sorted(lines))


def as_proposals(review: Review, folder: Path, lines: Mapping[str, Line], cases: Iterable[str]) -> list[Proposal]:
    """Return the proposals of some `cases`. lines: of all cases in the folder, since they say what is unusual."""
    from genesis_core.studies.review.flags import expected, flags_of

    drawn = {case: _drawn(line) for case, line in lines.items()}
    usual = expected(read_reference(folder), drawn.values())
    return [
        Proposal(
            case=case,
            images=tuple(image_paths(review, lines[case])),
            label=folder / lines[case]["label"],
            uncertainty=float(lines[case]["uncertainty"]),
            volumes_ml={one.name: one.ml for one in drawn[case]},
            flags=flags_of(drawn[case], usual),
            places=tuple(
                Place(one["kind"], _triple(one["start"]), _triple(one["size"]), float(one["uncertainty"]))
                for one in lines[case]["places"]
            ),
            structures=drawn[case],
            series=tuple(one.get("series") for one in lines[case]["sources"]),
            model=folder.name,
            notes=tuple(lines[case].get("notes", ())),
        )
        for case in cases
    ]


def read_ranking(folder: Path) -> dict[str, Line]:
    """Return the lines of a model's proposals that are whole, by case; the last line of a case counts."""
    return _whole(folder, read_lines(folder / RANKING))


def _whole(folder: Path, lines_: Iterable[Line]) -> dict[str, Line]:
    lines = {line["case"]: line for line in lines_ if _is_whole(line)}
    return {case: line for case, line in lines.items() if (folder / line["label"]).is_file()}


def read_reference(folder: Path) -> dict[str, Any]:
    """Return what is usual for each structure in the training set, as `usual.py` measured it; {} if not known."""
    try:
        content = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content.get("structures", {}) if isinstance(content, dict) else {}


def model_id(run: Path) -> str:
    """Return the first 8 digits of the SHA-256 of a run's weights; of several models, of all their hashes together.

    Raises ReviewError if it has no model.
    """
    from genesis_core.errors import ModelError
    from genesis_core.model.card import read_card

    try:
        hashes = [read_card(card).weights_sha256 for card in model_cards(run)]
    except ModelError as problem:
        raise ReviewError(str(problem)) from None
    if not hashes:
        raise ReviewError(f"{run}: it has no model")
    return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:8]


def proposal_folder(review: Review) -> Path:
    """Return where the proposals of the newest run's model go."""
    return review.folder / "proposals" / model_id(review.run)


def find_proposal(review: Review, case: str) -> tuple[Path, Line] | None:
    """Return the folder and the line of a case's newest proposal: by the newest run's model, else an earlier one's."""
    folders = _ranked(review)
    # A run that was moved away takes no proposal with it.
    with suppress(ReviewError):
        folders.append(proposal_folder(review))
    for folder in reversed(folders):
        # Of thousands of lines only those that name the case are parsed.
        lines = read_lines(folder / RANKING, json.dumps(case))
        if (line := _whole(folder, lines).get(case)) is not None:
            return folder, line
    return None


def known_cases(review: Review) -> set[str]:
    """Return all cases that any model of the review made a proposal for."""
    return {case for folder in _ranked(review) for case in read_ranking(folder)}


def require_proposal(review: Review, case: str) -> tuple[Path, Line]:
    """Return what `find_proposal` does. Raises ReviewError if nothing was proposed for `case`."""
    found = find_proposal(review, case)
    if found is None:
        raise ReviewError(f"{case}: no such case in {review.folder} (nothing was proposed for it yet)")
    return found


def image_paths(review: Review, line: Line) -> list[Path]:
    """Return the files or DICOM folders of a case."""
    return [review.scans / one["path"] for one in line["sources"]]


def _ranked(review: Review) -> list[Path]:
    """Return the folders with proposals, those written to last at the end."""
    above = review.folder / "proposals"
    folders = [one for one in above.iterdir() if (one / RANKING).is_file()] if above.is_dir() else []
    return sorted(folders, key=lambda one: (one / RANKING).stat().st_mtime)


def _is_whole(line: Line) -> bool:
    return (
        all(isinstance(line.get(key), str) for key in ("case", "label"))
        and all(isinstance(line.get(key), list) for key in ("sources", "structures", "places"))
        and isinstance(line.get("uncertainty"), int | float)
    )


def _drawn(line: Line) -> tuple[Drawn, ...]:
    return tuple(Drawn(**{key: one[key] for key in Drawn.__dataclass_fields__}) for one in line["structures"])


def _triple(values: Any) -> tuple[int, int, int]:
    return int(values[0]), int(values[1]), int(values[2])
