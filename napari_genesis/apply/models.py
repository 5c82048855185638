"""Which models can be applied, read from their cards alone: no weights, no torch, no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genesis_core.errors import GenesisError, ModelError
from genesis_core.model.card import ModelCard, read_card
from genesis_core.model.ensemble import listed_models

_CARD = "model.yaml"


@dataclass(frozen=True)
class ModelEntry:
    """A model, or the folds of one training. path: its run or model folder, as the commands take it.

    cards: one for each fold. written: when the newest card was written, in seconds since 1970.
    """

    path: Path
    cards: tuple[ModelCard, ...]
    written: float

    @property
    def card(self) -> ModelCard:
        """The card, the first one of an ensemble."""
        return self.cards[0]

    @property
    def segments(self) -> bool:
        """Whether it segments; it restores otherwise."""
        return self.card.task == "segmentation"

    @property
    def applies(self) -> bool:
        """Whether it can be applied to a scan; one that was pre-trained alone is only a source to start from."""
        return self.card.task != "pretraining"

    @property
    def name(self) -> str:
        """What the list and the layers call it: the folder's name, since runs are told apart by it."""
        return self.path.name or self.card.name


@dataclass(frozen=True)
class Listing:
    """entries: newest first. left_out: (folder, reason) of those that are damaged."""

    entries: tuple[ModelEntry, ...]
    left_out: tuple[tuple[Path, str], ...] = ()


def read_entry(path: Path) -> ModelEntry:
    """Return the model of a run or model folder. Raises ModelError if there is none, or a card is damaged."""
    found = _entry(path)
    if found is None:
        raise ModelError(f"{path}: holds no model ({_CARD} is missing): choose a run or a model folder")
    return found


def find_models(workspace: Path, others: Sequence[Path] = ()) -> Listing:
    """Return the models of a workspace, of the folders runs and models in it, and of other folders the user chose.

    Folders without a model are none of them; a damaged card is left out and named. What cannot be listed is left out.
    """
    entries: dict[Path, ModelEntry] = {}
    left_out: list[tuple[Path, str]] = []
    for folder in dict.fromkeys((*_folders(workspace), *others)):
        try:
            entry = _entry(folder)
        except (GenesisError, OSError) as problem:
            left_out.append((folder, _without(str(problem), folder)))
            continue
        if entry is not None:
            entries[folder] = entry
    return Listing(tuple(sorted(entries.values(), key=lambda one: -one.written)), tuple(left_out))


def _folders(workspace: Path) -> Iterable[Path]:
    for parent in (workspace, workspace / "runs", workspace / "models"):
        try:
            yield from sorted(one for one in parent.iterdir() if one.is_dir())
        except OSError:
            # No such folder, or one that may not be read: it has nothing to offer.
            continue


def _entry(path: Path) -> ModelEntry | None:
    if folds := listed_models(path):
        places = [_card_file(path / name) for name in folds]
        missing = [name for name, place in zip(folds, places, strict=True) if place is None]
        if missing:
            raise ModelError(f"{path}: its fold '{missing[0]}' holds no model; copy the whole folder again")
    else:
        places = [_card_file(path)]
    files = [place for place in places if place is not None]
    if not files:
        return None
    return ModelEntry(path, tuple(read_card(one) for one in files), max(one.stat().st_mtime for one in files))


def _card_file(path: Path) -> Path | None:
    return next((one for one in (path / _CARD, path / "model" / _CARD) if one.is_file()), None)


def _without(text: str, folder: Path) -> str:
    """Return a reason without the folder's path, which is told beside it."""
    return text.removeprefix(str(folder)).lstrip("/\\").removeprefix(": ")
