"""What a fine-tuning may start from, and what its card says of where it comes from and what it allows. No Qt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

from genesis_core.errors import GenesisError, ModelError
from napari_genesis.apply.card_facts import card_facts
from napari_genesis.apply.models import ModelEntry, read_entry

# Files that hold a published checkpoint, which is imported before it is used.
CHECKPOINTS = (".pt", ".pth", ".safetensors")
# Of a card, what is told at once; the whole of it unfolds.
_TOLD = ("trained on", "Dice", "licence", "source licence")
_NOT_FREE = re.compile(r"non-?\s?commercial|\bnc\b|academic|research (use )?only", re.IGNORECASE)


def read_source(path: Path) -> ModelEntry:
    """Return the model of a run or model folder. Raises ModelError, also for a folder that cannot be read."""
    try:
        return read_entry(path)
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror or problem})") from None


def is_checkpoint(path: Path) -> bool:
    """Whether a path names a published checkpoint's file, rather than a folder of ours."""
    return path.suffix.lower() in CHECKPOINTS and not path.is_dir()


def facts_in_short(entry: ModelEntry) -> str:
    """Return the lines of a card that decide whether somebody wants to start from it."""
    facts = dict(card_facts(entry))
    lines = [f"{what}: {facts[what]}" for what in _TOLD if what in facts]
    return "\n".join(line.replace("\n", " ") for line in lines)


def licence_warning(entry: ModelEntry) -> str:
    """Return a warning in plain words where the terms of a model, or of what it was made from, exclude sale; else ''.

    It judges by the words of the card and is no legal advice, which it says.
    """
    card = entry.card
    terms = [text for text in (card.licence, card.source_licence) if text and _NOT_FREE.search(text)]
    if not terms:
        return ""
    return (
        "Not for commercial use: by its card, this source may be used for research and teaching only, and so may what "
        f"you make from it. Read its terms before you share or sell anything. They are: {terms[0]}"
    )


def place_of_import(file: Path, workspace: Path) -> Path:
    """Return the free model folder that a checkpoint is imported into, named after its file."""
    return next(place for place in _all_places(file, workspace) if not place.exists())


def _places(file: Path, workspace: Path) -> list[Path]:
    """Return the model folders into which checkpoints of this name were imported."""
    return list(takewhile(Path.exists, _all_places(file, workspace)))


def _all_places(file: Path, workspace: Path) -> Iterator[Path]:
    stem = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_") or "model"
    folder = workspace / "models"
    yield folder / stem
    for number in count(2):
        yield folder / f"{stem}_{number}"


def imported_before(file: Path, workspace: Path) -> Path | None:
    """Return where this very checkpoint was imported before, by its SHA-256; None if it was not, or it is damaged.

    Reads the whole file, which may take seconds: for a thread.
    """
    imported = [(place, source) for place in _places(file, workspace) if (source := _source_of(place))]
    if not imported:
        return None
    try:
        with open(file, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        # Importing it says what is wrong with it.
        return None
    # As the import ends a card's source.
    return next((place for place, source in imported if source.endswith(f"SHA-256 {digest}")), None)


def _source_of(place: Path) -> str:
    try:
        return read_entry(place).card.source or ""
    except (GenesisError, OSError):
        return ""
