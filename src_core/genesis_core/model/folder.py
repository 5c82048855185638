"""The model folder: `weights.safetensors` and `model.yaml`, all that is needed to apply a model.

The card is written last and holds the weights' SHA-256, so a folder is either whole or known not to be. While a model
is replaced, the weights before it stay beside the new ones until the new card is there: a kill at any moment leaves
either the old model or the new one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import nn

from genesis_core.atomic import replacing, write_text
from genesis_core.errors import ModelError, NetworkError
from genesis_core.model.card import ModelCard, read_card
from genesis_core.model.ensemble import listed_models
from genesis_core.model.weights import differences, pack, read_bytes, refuse_not_finite, sha256, unpack
from genesis_core.networks.registry import create_network
from genesis_core.networks.settings import NetworkSettings

CARD = "model.yaml"
WEIGHTS = "weights.safetensors"
_PREVIOUS = "weights.previous.safetensors"
# A run that trains may replace its model between the reading of the card and that of the weights.
ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Model:
    """A network ready to be applied, and its card.

    network: in evaluation mode; takes (batch, channel, z, y, x), returns logits. path: the model folder.
    """

    network: nn.Module
    card: ModelCard
    path: Path


def save_model(folder: str | os.PathLike[str], network: nn.Module, card: ModelCard) -> None:
    """Write the model folder, replacing a model that is there; `card.weights_sha256` is filled in.

    network: the one the card describes, on any device, in any memory format; stored as float32.
    Raises ModelError if it is not the network of the card, or its weights are not finite; nothing is written then.
    """
    folder = Path(folder)
    # Packed first: whatever is wrong with the network is known before a file is touched.
    data = pack(network)
    expected = _empty_network(card.network, folder).state_dict()
    problems = differences(expected, unpack(data, folder / WEIGHTS))
    if problems:
        raise ModelError(f"{folder}: the network is not the one its card describes: {'; '.join(problems)}")
    card = card.model_copy(update={"weights_sha256": sha256(data)})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / WEIGHTS) as temporary:
            temporary.write_bytes(data)
            _set_aside(folder)
        write_text(folder / CARD, card.to_yaml())
        (folder / _PREVIOUS).unlink(missing_ok=True)
    except OSError as problem:
        raise ModelError(f"{folder}: the model cannot be written ({problem.strerror or problem})") from problem


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Model:
    """Load a model folder, or the model of a run folder.

    path: a folder that holds `model.yaml`, or one that holds `model/`. device: where the network is put.
    A run in folds has a model for each: `load_ensemble` loads them all.
    Raises ModelError, saying what to do, if the folder or a file is missing or damaged, if there are several models, if
    the weights are not those the card was written for (SHA-256), do not fit its network, or are not finite. No code
    from the folder is run.
    """
    folder = find_model(Path(path))
    card, network, data = _read_whole(folder)
    tensors = unpack(data, folder / WEIGHTS)
    problems = differences(network.state_dict(), tensors)
    if problems:
        raise ModelError(f"{folder}: the weights do not fit the network in the card: {'; '.join(problems)}")
    refuse_not_finite(tensors, folder / WEIGHTS)
    network.load_state_dict(tensors, assign=True)
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise ModelError(f"{folder}: the model cannot be put on device '{device}' ({reason})") from None
    return Model(network.eval(), card, folder)


def find_model(path: Path) -> Path:
    """Return the model folder that `path` is or, being a run folder, holds. Raises ModelError if there is none."""
    try:
        for folder in (path, path / "model"):
            if (folder / CARD).is_file():
                return folder
    except OSError as problem:
        raise ModelError(f"{path}: cannot be read ({problem.strerror or problem})") from None
    if path.is_file():
        raise ModelError(
            f"{path}: a file, not a model folder; if it is a published checkpoint, convert it once with "
            f"`napari-genesis import-weights {path.name} --out FOLDER`"
        )
    if not path.exists():
        raise ModelError(f"{path}: no such folder")
    folds = listed_models(path)
    if folds:
        first = path / PurePosixPath(folds[0])
        raise ModelError(
            f"{path}: holds {len(folds)} models, one for each fold ({', '.join(folds)}), and one is needed here: give "
            f"one of them ({first}). In Python, genesis_core.load_ensemble gives all, which `segment` takes together"
        )
    if (path / "run.yaml").is_file():
        raise ModelError(
            f"{path}: this run has not written a model yet; let it go on until its first validation, or, if it trains "
            "in folds, until all of them are done"
        )
    raise ModelError(f"{path}: neither a model folder ({CARD} is missing) nor a run folder with a model in it")


def _read_whole(folder: Path) -> tuple[ModelCard, nn.Module, bytes]:
    """Return card, empty network and weights that belong together; read again while a run replaces them meanwhile."""
    attempt = 0
    while True:
        attempt += 1
        card = read_card(folder / CARD)
        network = _empty_network(card.network, folder)
        try:
            return card, network, _read_weights(folder, card, network)
        except ModelError:
            replaced = read_card(folder / CARD) != card or (folder / _PREVIOUS).is_file()
            if attempt == ATTEMPTS or not replaced:
                raise


def _read_weights(folder: Path, card: ModelCard, network: nn.Module) -> bytes:
    """Return the weights the card was written for: the current file, or the one before it after a kill in between."""
    if (folder / _PREVIOUS).is_file():
        data = read_bytes(folder / _PREVIOUS, network)
        if sha256(data) == card.weights_sha256:
            return data
    data = read_bytes(folder / WEIGHTS, network)
    if sha256(data) == card.weights_sha256:
        return data
    raise ModelError(
        f"{folder / WEIGHTS}: not the file its card was written for (SHA-256 differs): damaged, cut short, or from "
        f"another model; copy the whole folder again"
    )


def _set_aside(folder: Path) -> None:
    """Keep the weights the present card was written for, until the next card is there."""
    weights, previous = folder / WEIGHTS, folder / _PREVIOUS
    if not (folder / CARD).is_file() or not weights.is_file():
        return
    # Two weights files mean that an earlier save was cut short; the set-aside one is then often the card's.
    if not previous.is_file() or sha256(weights.read_bytes()) == _stated_sha256(folder):
        os.replace(weights, previous)


def _stated_sha256(folder: Path) -> str:
    try:
        return read_card(folder / CARD).weights_sha256
    except ModelError:
        # A card nobody can read protects no weights.
        return ""


def _empty_network(settings: NetworkSettings, where: Path) -> nn.Module:
    """Build the network without memory for its weights, so that loading draws no random numbers."""
    try:
        with torch.device("meta"):
            return create_network(settings)
    except NetworkError as problem:
        raise ModelError(f"{where}: {problem}") from None
