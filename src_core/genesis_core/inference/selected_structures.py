"""Some of the structures a model segments: the others are never written, kept or counted.

Only for models that answer yes or no for each structure: where structures exclude each other, every one of them takes
part in the decision about each voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from genesis_core.errors import SettingsError

if TYPE_CHECKING:
    from genesis_core.model.folder import Model


def select_structures(model: Model, names: Sequence[str]) -> Model:
    """Return the model as one that segments only the structures of these names, in the order of its card.

    Its network shares all weights with the model's and still computes all outputs. No names: the model itself.
    Raises SettingsError for a name that is no structure's, and for a model with a softmax.
    """
    if not names:
        return model
    card = model.card
    known = [entry.name for entry in card.structures]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"structures: no structure is called '{unknown[0]}': choose from {', '.join(known)}")
    if card.activation != "sigmoid":
        raise SettingsError(
            f"structures: those of model '{card.name}' exclude each other (softmax), so none can be left out while "
            "it decides: leave this setting empty"
        )
    chosen = [place for place, name in enumerate(known) if name in names]
    network = card.network.model_copy(update={"out_channels": len(chosen)})
    structures = tuple(card.structures[place] for place in chosen)
    return replace(
        model,
        network=_selected(model.network, chosen),
        card=card.model_copy(update={"network": network, "structures": structures}),
    )


def _selected(network: Any, channels: list[int]) -> Any:
    from torch import Tensor, nn

    class SelectedOutputs(nn.Module):
        """A network of which only some output channels are wanted."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.divisor = getattr(network, "divisor", 1)
            self.channels_last = getattr(network, "channels_last", None)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.network(x)
            return logits[:, channels]

    return SelectedOutputs().eval()
