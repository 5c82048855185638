"""Which reviews and models a workspace has to offer, and what is known of a review at a glance. For a thread. No Qt."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis_core.errors import GenesisError
from napari_genesis.apply.models import ModelEntry, find_models, read_entry

if TYPE_CHECKING:
    from genesis_core.studies.review import CaseState, Proposal, Review
    from genesis_core.training.round_chain import Round
    from genesis_core.volumes.label_volume import Colour

_FILE = "review.yaml"


@dataclass(frozen=True)
class Offer:
    """reviews: folders, the newest first. models: fine-tuned runs that can be reviewed, the newest first."""

    reviews: tuple[Path, ...] = ()
    models: tuple[ModelEntry, ...] = ()


@dataclass(frozen=True, eq=False)
class ReviewRead:
    """All that is shown of a review. run: what proposes now, and is continued. since: cases accepted since it began.

    earlier: former models' proposals of cases that somebody decided on or drew in, and the newest has not drawn on.
    colours: of the run's structures, red, green and blue from 0 to 255. trouble: what could not be read, in words.
    """

    review: Review
    run: Path
    proposals: tuple[Proposal, ...]
    states: dict[str, CaseState]
    rounds: tuple[Round, ...]
    trouble: str = ""
    earlier: tuple[Proposal, ...] = ()
    colours: dict[str, Colour] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """How many cases are accepted in all."""
        return sum(state.state == "accepted" for state in self.states.values())

    @property
    def since(self) -> int:
        """How many were accepted since the newest round of corrections was begun."""
        return max(0, self.accepted - max((one.corrected for one in self.rounds), default=0))


def reviews_folder(workspace: Path) -> Path:
    """Return where a workspace keeps its reviews."""
    return workspace / "reviews"


def find_offer(workspace: Path) -> Offer:
    """Return what a workspace has to offer; folders that cannot be listed have nothing."""
    try:
        found = [one.parent for one in reviews_folder(workspace).glob(f"*/{_FILE}")]
        found.sort(key=lambda one: (one / _FILE).stat().st_mtime, reverse=True)
    except OSError:
        found = []
    entries = tuple(one for one in find_models(workspace).entries if one.segments and (one.path / "run.yaml").is_file())
    return Offer(tuple(found), entries)


def read_review(folder: Path) -> ReviewRead:
    """Read a review. Raises GenesisError if there is none; a damaged part of it is told in `trouble`."""
    from genesis_core.studies.review import Review, read_proposals, read_states
    from genesis_core.training.round_chain import rounds_of

    review = Review.open(folder)
    trouble, rounds = "", tuple[Any, ...]()
    try:
        rounds = tuple(rounds_of(review.rounds[-1]))
    except (GenesisError, OSError) as problem:
        trouble = str(problem)
    proposals, states = tuple(read_proposals(review)), read_states(review)
    earlier = _earlier(review, states.keys() - {one.case for one in proposals}) if proposals else ()
    return ReviewRead(review, review.run, proposals, states, rounds, trouble, earlier, _colours(review.run))


def _earlier(review: Review, cases: Set[str]) -> tuple[Proposal, ...]:
    """Return the latest proposals there are of some cases: a ranking leaves out what is accepted."""
    from genesis_core.studies.review.ranking import RANKING, as_proposals, read_ranking

    found, missing = list[Any](), set(cases)
    if missing:
        rankings = (review.folder / "proposals").glob(f"*/{RANKING}")
        for ranking in sorted(rankings, key=lambda one: one.stat().st_mtime, reverse=True):
            lines = read_ranking(ranking.parent)
            here = sorted(missing & lines.keys())
            found += as_proposals(review, ranking.parent, lines, here)
            missing -= set(here)
    return tuple(found)


def _colours(run: Path) -> dict[str, Colour]:
    """Return the colours of a run's structures by name, as its labels have them; none if its card cannot be read."""
    from genesis_core.volumes.structure_colours import default_colours

    try:
        structures = read_entry(run).card.structures
    except (GenesisError, OSError):
        # What is wrong with a run is told where its model is asked for; a plot has colours of its own.
        return {}
    by_place = default_colours(len(structures))
    return {one.name: one.colour or colour for one, colour in zip(structures, by_place, strict=True)}
