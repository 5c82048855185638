"""Which models can segment, alone or as an ensemble, and the views of a scan that are shown to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis_core.errors import ModelError
from genesis_core.inference.mirroring import Mirror, mirrors
from genesis_core.inference.model_input import refuse_mixed_batches

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.model.folder import Model
    from genesis_core.volumes.preprocessing import Preprocessing


def require_segmenting_models(models: Sequence[Model], batch_size: int = 1) -> tuple[ModelCard, Preprocessing]:
    """Return the card and the preprocessing that hold for all models.

    Raises ModelError if one cannot segment or they differ in what they expect or return, SettingsError if windows
    cannot share batches of this size.
    """
    if not models:
        raise ModelError("no model was given: segmenting needs one at least")
    for model in models:
        _require_segmenting(model.card)
        refuse_mixed_batches(model.card.network, batch_size)
    first = models[0].card
    for other in (model.card for model in models[1:]):
        for what, own, theirs in (
            ("structures", _structure_list(first), _structure_list(other)),
            ("preprocessing", first.preprocessing, other.preprocessing),
            ("activation", first.activation, other.activation),
            ("words for the sides", (first.left_words, first.right_words), (other.left_words, other.right_words)),
            ("channels", (first.network.in_channels, first.channels), (other.network.in_channels, other.channels)),
            ("patch size", first.patch_size, other.patch_size),
        ):
            if own != theirs:
                raise ModelError(
                    f"models '{first.name}' and '{other.name}' differ in their {what} ({own} and {theirs}): an "
                    "ensemble needs models that were trained alike; apply them one by one"
                )
    assert first.preprocessing is not None
    return first, first.preprocessing


def views_of(card: ModelCard, preprocessing: Preprocessing, flips: Sequence[str]) -> tuple[Mirror, ...]:
    """Return the views of a scan that are averaged; raises SettingsError as `mirrors` does."""
    background = ["background"] if card.activation == "softmax" else []
    names = [*background, *(entry.name for entry in card.structures)]
    return mirrors(flips, preprocessing.axis_codes, names, card.left_words, card.right_words)


def numbering_remarks(card: ModelCard) -> list[str]:
    """Say whose numbers the label values are, where the structures have several published numberings."""
    numberings = list(dict.fromkeys(key for entry in card.structures for key in entry.numberings))
    own = [key for key in numberings if all(entry.numberings.get(key) == entry.value for entry in card.structures)]
    others = [key for key in numberings if key not in own]
    if not numberings or not others:
        return []
    whose = f"those of the {own[0]}" if own else "the model's own"
    return [f"The label values are {whose}, not those of {' or '.join(others)}: both stand beside each structure."]


def _structure_list(card: ModelCard) -> list[tuple[str, int]]:
    return [(entry.name, entry.value) for entry in card.structures]


def _require_segmenting(card: ModelCard) -> None:
    # A card may name other tasks than this version knows.
    if str(card.task) != "segmentation":
        raise ModelError(f"model '{card.name}' was trained for {card.task}, not for segmentation: choose another")
    if card.preprocessing is None:
        raise ModelError(f"model '{card.name}': its card names no preprocessing, so no scan can be prepared for it")
    network, count = card.network, len(card.structures)
    expected = count + 1 if card.activation == "softmax" else count
    if not count or card.activation == "none" or (network.out_channels, network.dims) != (expected, 3):
        raise ModelError(
            f"model '{card.name}': segmenting needs 3D, a softmax over background and structures or a sigmoid for each;"
            f" its card names {network.dims}D, {count} structures, {network.out_channels} channels out and "
            f"'{card.activation}'"
        )
    if card.channels and len(card.channels) != network.in_channels:
        raise ModelError(
            f"model '{card.name}': its card names {len(card.channels)} channels ({', '.join(card.channels)}), and a "
            f"network that takes {network.in_channels}"
        )
    for what in ("name", "value"):
        if len({getattr(entry, what) for entry in card.structures}) < count:
            raise ModelError(f"model '{card.name}': two structures of its card have the same {what}")
