"""Where a fine-tuning begins: the machine it runs on, and the model or models whose weights it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genesis_core.errors import RunError, SettingsError
from genesis_core.training.finetune_plan import Machine
from genesis_core.training.finetune_settings import FinetuneSettings

if TYPE_CHECKING:
    from genesis_core.model.card import LabelEntry, ModelCard
    from genesis_core.model.folder import Model
    from genesis_core.networks.settings import NetworkSettings


@dataclass(frozen=True, eq=False)
class Start:
    """Where a fine-tuning begins. machine: what it runs on. device: for torch. source: the model to start from.

    models: of a run that goes on from another one, the model folder of each fold; cards: theirs. structures: what the
    run before segments, in the order of its channels; empty for a first run.
    """

    machine: Machine
    device: str
    source: Model | None
    models: tuple[Path, ...] = ()
    cards: tuple[ModelCard, ...] = ()
    structures: tuple[LabelEntry, ...] = ()

    @property
    def seen(self) -> set[str]:
        """Fingerprints of the scans that what it starts from was pre-trained on."""
        cards = self.cards or (() if self.source is None else (self.source.card,))
        return {print_ for card in cards for print_ in card.data.get("seen", ())}

    def card_of(self, number: int) -> ModelCard | None:
        """Return the card of what fold `number` starts from; None: from scratch."""
        if self.cards:
            return self.cards[number]
        return None if self.source is None else self.source.card


def starting_point(settings: FinetuneSettings) -> Start:
    """Load the source and look at the machine. Raises ModelError or SettingsError if one of them does not fit.

    Of a run that continues another one: RunError if that one has no models, or they do not segment the same.
    """
    import psutil

    from genesis_core.inference.predictor import choose_device
    from genesis_core.model.folder import load_model
    from genesis_core.training.hardware import resolve_precision

    device = choose_device(settings.device)
    memory = int(psutil.virtual_memory().available)
    if device.type == "cuda":
        import torch

        memory = int(torch.cuda.mem_get_info(device)[0])
    precision = resolve_precision(settings.training.precision, str(device))
    machine = Machine(device.type, memory, 4 if precision == "float32" else 2)
    models, cards = _models_before(settings)
    structures = cards[0].structures if cards else ()
    if settings.rounds is not None and settings.rounds.start == "previous":
        return Start(machine, str(device), None, models, cards, structures)
    source = None if settings.source is None else load_model(settings.source)
    if source is not None and source.card.network.dims != 3:
        raise SettingsError(f"{settings.source}: a 2D network cannot start a 3D one")
    if source is not None and settings.rounds is None and not settings.plan:
        _refuse_another_network(settings, source.card)
    return Start(machine, str(device), source, structures=structures)


def network_from(source: ModelCard) -> NetworkSettings:
    """Return the settings of the network that starts from a source: its own, but for what is the target's."""
    # A last layer of the source's own kind is for its own classes; scans of the target have any size.
    update = {"pad": True, "head": "convolution"}
    return source.network.model_copy(update={key: v for key, v in update.items() if hasattr(source.network, key)})


def _refuse_another_network(settings: FinetuneSettings, source: ModelCard) -> None:
    """Raise SettingsError if a setting of the network was given that the source's weights do not fit."""
    network = network_from(source)
    # The channels are those of the cases, and weights may go on under another norm.
    given = settings.network.model_fields_set - {"in_channels", "out_channels", "norm"}
    # The kind first: with another one, the rest has another meaning.
    for name in sorted(given, key=lambda one: (one != "kind", one)):
        wanted, own = getattr(settings.network, name), getattr(network, name, "no such setting")
        if wanted != own:
            raise SettingsError(
                f"network.{name} = {wanted}: what starts from {settings.source} is a network like the source's "
                f"({network.kind}; {name}: {own}). Leave network.{name} out, or choose another source"
            )


def _models_before(settings: FinetuneSettings) -> tuple[tuple[Path, ...], tuple[ModelCard, ...]]:
    """Return the models of the run that is continued, one per fold, and their cards, which must agree."""
    from genesis_core.model.card import read_card
    from genesis_core.training.round_chain import finetuning_of
    from genesis_core.training.rounds import models_of
    from genesis_core.training.run_folder import RunFolder

    if settings.rounds is None:
        return (), ()
    run = RunFolder.open(settings.rounds.previous)
    stored = finetuning_of(run)
    models = models_of(run, stored)
    cards = tuple(read_card(model / "model.yaml") for model in models)
    network = settings.network.model_dump()
    wanted = tuple(settings.data.regions) or tuple(settings.data.structures)
    for model, card in zip(models, cards, strict=True):
        names = tuple(entry.name for entry in card.structures)
        if card.task != "segmentation" or names != wanted or card.network.model_dump() != network:
            raise RunError(
                f"{model}: segments {', '.join(names) or 'nothing'} by a network of its own, but its run says "
                f"{', '.join(wanted)}; the folder was mixed up, so it cannot be continued"
            )
    return models, cards
