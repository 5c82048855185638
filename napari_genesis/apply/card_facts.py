"""A model's card as facts for people: what it does, what it learnt from, how good it was, whose it is. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from genesis_core.model.card import ModelCard
from napari_genesis.apply.models import ModelEntry

Colour = tuple[int, int, int]

# What of `data` is told in words of its own, or serves the program alone.
_TOLD = ("modality", "training_scans", "training_cases", "validation_scans", "validation_cases", "subjects", "scans")
_SILENT = (*_TOLD, "seen", "spacing_range", "percentiles")


_HELD_OUT = "held_out_"
# More figures than these are a table, which the run's report has.
_FIGURES = 12


def summary(entry: ModelEntry) -> str:
    """Return what a model does in a few words, for the list: "6 structures, 5 folds"."""
    card = entry.card
    count = len(card.structures)
    does = _counted(count, "structure") if entry.segments else "restores"
    return f"{does}, {len(entry.cards)} folds" if len(entry.cards) > 1 else does


def structure_colours(card: ModelCard) -> list[tuple[str, Colour]]:
    """Return the name and the colour of each structure, as a segmentation gets them."""
    from genesis_core.volumes.structure_colours import default_colours

    colours = default_colours(len(card.structures))
    return [(one.name, one.colour or colour) for one, colour in zip(card.structures, colours, strict=True)]


def channel_names(entry: ModelEntry | None) -> tuple[str, ...]:
    """Return what to call each channel a model looks at; without a model, the one a scan has."""
    if entry is None or entry.card.network.in_channels == 1:
        return ("scan",)
    count = entry.card.network.in_channels
    names = entry.card.channels
    return names if len(names) == count else tuple(f"channel {number}" for number in range(count))


def card_facts(entry: ModelEntry) -> list[tuple[str, str]]:
    """Return (what, text) for each thing there is to know; what nobody stated is told as such where it matters."""
    card = entry.card
    size = " x ".join(map(str, card.patch_size))
    facts = [
        ("name", "" if card.name == entry.name else card.name),
        ("task", _task(entry)),
        ("channels", ", ".join(card.channels) if len(card.channels) > 1 else ""),
        ("trained on", _trained_on(card.data) or "not stated"),
        ("looks at", f"{_preprocessing(card)} Patches of {size} voxels (z, y, x)."),
        *_reached(entry),
        ("recipe", str((card.recipe or {}).get("name", ""))),
        ("source", card.source or ""),
        ("licence", card.licence or "not stated"),
        ("source licence", card.source_licence or "" if card.source_licence != card.licence else ""),
        ("written", f"{datetime.fromtimestamp(entry.written):%d %B %Y, %H:%M}"),
        ("network", _network(card)),
        ("folder", str(entry.path)),
        ("notes", " ".join(card.notes)),
    ]
    return [(what, text) for what, text in facts if text]


def _task(entry: ModelEntry) -> str:
    folds = f"; the mean of {len(entry.cards)} folds" if len(entry.cards) > 1 else ""
    return f"{entry.card.task}{folds}"


def _preprocessing(card: ModelCard) -> str:
    return "Not stated." if card.preprocessing is None else card.preprocessing.describe()


def _trained_on(data: Mapping[str, Any]) -> str:
    modality = f"{str(data['modality']).upper()} " if "modality" in data else ""
    training, validation = (
        next((data[f"{part}_{kind}"] for kind in ("scans", "cases") if f"{part}_{kind}" in data), None)
        for part in ("training", "validation")
    )
    told = [str(data["scans"])] if "scans" in data else []
    if training is not None:
        held_out = f" ({validation} more held out)" if validation else ""
        told.append(f"{training} {modality}{'scan' if training == 1 else 'scans'}{held_out}")
    elif modality:
        told.append(modality.strip())
    if "subjects" in data:
        told.append(_counted(data["subjects"], "subject"))
    told += [f"{key.replace('_', ' ')}: {value}" for key, value in data.items() if _plain(key, value)]
    return "; ".join(told)


def _plain(key: str, value: Any) -> bool:
    return key not in _SILENT and isinstance(value, str | int | float | bool)


def _reached(entry: ModelEntry) -> list[tuple[str, str]]:
    """Return the figures; of folds, the mean of each that all have. Dice of held-out scans tells more than any other.

    Names are those training writes: dice_STRUCTURE and mean_dice, and the same after held_out_.
    """
    every = [card.metrics for card in entry.cards]
    means = {
        name: sum(one[name] for one in every) / len(every) for name in every[0] if all(name in one for one in every)
    }
    held_out = {name: value for name, value in means.items() if name.startswith(_HELD_OUT)}
    dice = {name.removeprefix(_HELD_OUT): value for name, value in (held_out or means).items() if "dice" in name}
    others = {
        name: value for name, value in means.items() if name not in held_out and "dice" not in name and name != "step"
    }
    told = [(name.removeprefix("dice_").removesuffix("_dice"), value) for name, value in dice.items()]
    told.sort(key=lambda pair: pair[0] != "mean")
    facts = []
    if told:
        more = f" and {len(told) - _FIGURES} more" if len(told) > _FIGURES else ""
        figures = ", ".join(f"{name} {value:.3f}" for name, value in told[:_FIGURES])
        facts.append(("Dice", f"{figures}{more}{' (held-out scans)' if held_out else ''}"))
    if others:
        # As the run's page calls it.
        words = {name: "predicted over drawn" if name == "predicted" else name.replace("_", " ") for name in others}
        facts.append(("reached", ", ".join(f"{words[name]} {value:.4g}" for name, value in others.items())))
    return facts or [("reached", "not stated")]


def _network(card: ModelCard) -> str:
    network = card.network
    kind = str(getattr(network, "kind", type(network).__name__))
    width = getattr(network, "width", None)
    return f"{kind}, {network.dims}D" + (f", width {width}" if width is not None else "")


def _counted(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
