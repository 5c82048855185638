"""What a fine-tuning may start from, and what its card says of where it comes from and what it allows. No Qt."""

from __future__ import annotations

import re
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
    stem = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_") or "model"
    folder = workspace / "models"
    number, place = 1, folder / stem
    while place.exists():
        number += 1
        place = folder / f"{stem}_{number}"
    return place


def imported_before(file: Path, workspace: Path) -> Path | None:
    """Return where a checkpoint of this name was imported before; None if it was not, or it is damaged."""
    stem = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_") or "model"
    place = workspace / "models" / stem
    try:
        entry = read_entry(place)
    except (GenesisError, OSError):
        return None
    return place if entry.card.source and file.name in entry.card.source else None
