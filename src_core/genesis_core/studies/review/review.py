"""A review: one folder that holds what a model proposed for a folder of scans, and what people made of it.

review.yaml, proposals/, drafts/, corrected/ (a labelled folder), undone/ and decisions.jsonl. Nothing a person made is
overwritten or deleted but drafts, and those only once they are accepted or given up. Names of scans stand in it: it
lies beside the scans, and is not for sharing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError, ReviewError, RunError
from genesis_core.settings import Settings, dump_yaml, read_yaml, setting, validate
from genesis_core.studies.review.locking import locked

REVIEW = "review.yaml"
_PARTS = ("proposals", "drafts", "corrected/images", "corrected/labels")


class ReviewFile(Settings):
    """What review.yaml holds; paths are relative to the review's folder where they can be."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = setting(1, "Version of this file's layout.", alias="schema")
    scans: str = setting(..., "Folder of the scans that are reviewed.")
    run: str = setting(..., "The run of round 0.")
    created: str = setting("", "When the review was begun, UTC.")
    rounds: tuple[str, ...] = setting(..., "The runs in order, round 0 first.", min_length=1)


@dataclass(frozen=True)
class Review:
    """A review on disk. scans: folder of the scans. rounds: run folders in order, round 0 first; absolute paths.

    Opening one completes what a killed window had begun. Two programs may work on one review at once.
    """

    folder: Path
    scans: Path
    rounds: tuple[Path, ...]

    @staticmethod
    def create(folder: str | os.PathLike[str], *, scans: str | os.PathLike[str], run: str | os.PathLike[str]) -> Review:
        """Begin a review of the scans in a folder, proposed by a run (or a model folder).

        Raises OutputExistsError if there is a review or anything else in `folder`; ReviewError if there are no scans,
        the run has no model yet, or its model does not segment.
        """
        folder, scans, run = Path(folder), Path(scans), Path(run)
        if (folder / REVIEW).is_file():
            raise OutputExistsError(f"{folder}: a review is there already; go on with it, or choose another name")
        if folder.exists() and not (folder.is_dir() and _is_unborn(folder)):
            raise OutputExistsError(f"{folder} exists and is no review: choose another folder")
        if not scans.is_dir():
            raise ReviewError(f"{scans}: no such folder of scans")
        if scans.resolve().is_relative_to(folder.resolve()):
            raise ReviewError(f"{folder}: holds the scans; choose a folder of its own for the review")
        require_segmenting(run)
        try:
            for part in _PARTS:
                (folder / part).mkdir(parents=True, exist_ok=True)
            with locked(folder / ".lock"):
                if (folder / REVIEW).is_file():
                    raise OutputExistsError(f"{folder}: a review was begun there a moment ago; go on with it")
                review = Review(_absolute(folder), _absolute(scans), (_absolute(run),))
                review._write(datetime.now(UTC).isoformat(timespec="seconds"))
        except OSError as problem:
            raise ReviewError(
                f"{folder}: the review cannot be written ({problem.strerror or problem}). Is the disk full, or the "
                "folder read-only?"
            ) from None
        return review

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> Review:
        """Open a review; what a killed window left half done is completed, or set back, first.

        Raises ReviewError if there is none or its file is damaged.
        """
        from genesis_core.studies.review.recovering import has_unfinished, recover

        folder = Path(folder)
        if not (folder / REVIEW).is_file():
            raise ReviewError(f"{folder}: no review there ({REVIEW} is missing)")
        stored = _read(folder)
        review = Review(
            _absolute(folder), _placed(folder, stored.scans), tuple(_placed(folder, run) for run in stored.rounds)
        )
        if has_unfinished(review):
            # A full disk or a read-only share keeps nobody from looking; the next decision tries again, and says why.
            with suppress(ReviewError):
                recover(review)
        return review

    @property
    def run(self) -> Path:
        """The newest run of the rounds that is finished: what proposes, and what is continued.

        Where none is finished, the newest that has a model. Raises ReviewError if there is none.
        """
        usable = [run for run in self.rounds if has_model(run)]
        finished = [run for run in usable if _is_finished(run)]
        if not usable:
            raise ReviewError(
                f"{self.folder}: none of its runs has a model ({', '.join(str(run) for run in self.rounds)}): put the "
                "run back, or let it go on until it has one"
            )
        return (finished or usable)[-1]

    @property
    def corrected(self) -> Path:
        """The labelled folder of what was accepted; training takes it as any other."""
        return self.folder / "corrected"

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    def add_round(self, run: str | os.PathLike[str]) -> Review:
        """Note that a training was continued as `run`, and return the review with it. A run that is there stays once.

        Raises ReviewError if it cannot be written.
        """
        run = _absolute(Path(run))
        try:
            with locked(self.folder / ".lock"):
                stored = _read(self.folder)
                # Another window may have added one since this one looked.
                rounds = tuple(_placed(self.folder, one) for one in stored.rounds)
                review = replace(self, rounds=rounds if run in rounds else (*rounds, run))
                if review.rounds != rounds:
                    review._write(stored.created)
        except OSError as problem:
            raise ReviewError(
                f"{self.folder / REVIEW}: cannot be written ({problem.strerror or problem}). Is the disk full?"
            ) from None
        return review

    def _write(self, created: str) -> None:
        rounds = [_relative(run, self.folder) for run in self.rounds]
        stored = {
            "schema": 1,
            "scans": _relative(self.scans, self.folder),
            "run": rounds[0],
            "created": created,
            "rounds": rounds,
        }
        write_text(self.folder / REVIEW, dump_yaml(stored))


def require_segmenting(run: Path) -> None:
    """Raise ReviewError unless a run or model folder holds a model that segments; no weights are read."""
    from genesis_core.errors import ModelError
    from genesis_core.model.card import read_card

    cards = model_cards(run)
    if not cards:
        told = "no such folder" if not run.is_dir() else "it has no model yet: let it train until its first validation"
        if (run / "folds").is_dir():
            told = "its folds are not all trained yet: resume it, and review when it is finished"
        raise ReviewError(f"{run}: {told}")
    try:
        card = read_card(cards[0])
    except ModelError as problem:
        raise ReviewError(str(problem)) from None
    if card.task != "segmentation":
        raise ReviewError(f"{run}: was trained for {card.task}, not for segmentation: choose a fine-tuned run")


def has_model(run: Path) -> bool:
    """Whether a run (or model folder) has what segments: a model, or the models of all its folds."""
    return bool(model_cards(run))


def model_cards(run: Path) -> Sequence[Path]:
    """Return the cards of a run's models, those of its folds in order; empty if it has none."""
    listing = run / "ensemble.yaml"
    if listing.is_file():
        listed = read_yaml(listing, ReviewError).get("models")
        cards = [run / str(name) / "model.yaml" for name in listed] if isinstance(listed, list) else []
        return cards if all(card.is_file() for card in cards) else []
    return [card for card in (run / "model.yaml", run / "model" / "model.yaml") if card.is_file()][:1]


def _is_unborn(folder: Path) -> bool:
    """Whether a folder is empty, or holds only what a kill leaves while a review is made: nothing of anybody's."""
    ours = {folder / ".lock", *(folder / place for part in _PARTS for place in (part, part.partition("/")[0]))}
    return all(one in ours or one.match(f".*.tmp.{REVIEW}") for one in folder.rglob("*"))


def _is_finished(run: Path) -> bool:
    from genesis_core.training.run_folder import RunFolder

    folder = RunFolder(run)
    if not folder.is_run:
        # A model folder given directly.
        return True
    try:
        return folder.status().state == "finished"
    except RunError:
        return False


def _read(folder: Path) -> ReviewFile:
    where = folder / REVIEW
    return validate(ReviewFile, read_yaml(where, ReviewError), where=str(where), error=ReviewError)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _placed(folder: Path, stored: str) -> Path:
    return Path(os.path.abspath(folder.resolve() / stored))


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:
        # On Windows there is no relative path from one drive to another.
        return str(path)
