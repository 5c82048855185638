"""Which structures of a model are kept, and whether the published organ rules fit it, as far as its card tells. No Qt.

Structures can be left out only of a model that answers yes or no for each (genesis_core.inference.selected_structures).
"""

from __future__ import annotations

from collections.abc import Sequence

from genesis_core.cli.segment_settings import SegmentSettings
from genesis_core.inference.postprocessing import ALL
from genesis_core.model.card import ModelCard
from genesis_core.model.published_classes import TEMPLATE


def structure_names(card: ModelCard) -> tuple[str, ...]:
    """Return the structures of a card, in its order."""
    return tuple(one.name for one in card.structures)


def can_leave_out(card: ModelCard) -> bool:
    """Whether some structures of a model can be left out."""
    return card.activation == "sigmoid" and len(card.structures) > 1


def has_organ_rules(card: ModelCard) -> bool:
    """Whether the structures are those the published organ rules were made for: of SuPreM's template."""
    return any(TEMPLATE in one.numberings for one in card.structures)


def kept_structures(card: ModelCard, remembered: Sequence[str] | None) -> tuple[str, ...]:
    """Return which structures are kept, in the order of the card: those remembered for the model.

    All where nothing is remembered, none can be left out, or the model was trained anew with other structures.
    """
    known = structure_names(card)
    if remembered is None or not can_leave_out(card) or (remembered and not set(remembered) & set(known)):
        return known
    return tuple(name for name in known if name in remembered)


def for_model(settings: SegmentSettings, card: ModelCard, kept: Sequence[str]) -> SegmentSettings:
    """Return settings as they hold for a model: nothing of structures it has not, or that are not kept."""
    words = {ALL, *kept}
    cleaning = ("largest_component", "fill_holes")
    return settings.model_copy(
        update={
            **{name: tuple(word for word in getattr(settings, name) if word in words) for name in cleaning},
            "structures": () if len(kept) == len(card.structures) else tuple(kept),
            "organ_rules": settings.organ_rules if has_organ_rules(card) else "none",
        }
    )
