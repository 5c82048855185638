"""The model card: everything that is needed to apply a model, and where it comes from. It is the file `model.yaml`.

The card is data, checked against this declaration when it is written and when it is read; no code is in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, PydanticUserError, StringConstraints
from pydantic_core import PydanticSerializationError, to_jsonable_python

from genesis_core.errors import ModelError
from genesis_core.networks.registry import AnyNetworkSettings
from genesis_core.settings import Settings, Size3, Words, dump_yaml, read_yaml, setting, validate
from genesis_core.volumes.preprocessing import Preprocessing
from genesis_core.volumes.sides import LEFT_WORDS, RIGHT_WORDS

SCHEMA = 1
# A card is a page of text; anything larger is not one.
MAX_BYTES = 1 << 20

Activation = Literal["sigmoid", "softmax", "none"]


def _plain(value: Any) -> Any:
    """Turn tuples, paths and the like into what YAML holds, so that a card reads back as it was written."""
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, PydanticUserError, RecursionError) as problem:
        raise ValueError(f"holds something that is not text, number, list or mapping ({problem})") from None


PlainMapping = Annotated[dict[str, Any], BeforeValidator(_plain)]


class LabelEntry(Settings):
    """One structure a model segments, in the order of its output channels."""

    name: str = setting(..., "What people call the structure.", min_length=1, max_length=200)
    value: int = setting(..., "Its number in the label maps that are written.", ge=1, le=65535)
    colour: tuple[int, int, int] | None = setting(None, "Red, green, blue, each 0 to 255; empty: chosen by position.")
    numberings: dict[str, int] = setting({}, "Its numbers in published numberings, by the name of each.")


class ModelCard(Settings):
    """What a model is, how to apply it, and where it comes from.

    Shapes are (z, y, x), spacing and axis codes (x, y, z). The network returns logits; `activation` makes them values.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = setting(SCHEMA, "Version of this layout.", alias="schema")
    name: str = setting(..., "What people call this model.", min_length=1, max_length=200)
    task: Literal["restoration", "segmentation", "pretraining"] = setting(
        ..., "What the network was trained to do; pretraining: a source to start from, without a last layer of use."
    )
    learnt: Literal["encoder", "encoder+decoder"] = setting(
        "encoder+decoder", "What of the network was trained; the rest was started at random and is no source."
    )
    network: AnyNetworkSettings = setting(..., "The network and its settings, the behaviour of its norm included.")
    activation: Activation = setting(..., "What turns the network's logits into values.")
    preprocessing: Preprocessing | None = setting(None, "How a scan is prepared for this network; empty: not known.")
    patch_size: Size3 = setting(..., "Size of the sub-volumes it was trained on, z, y, x.", unit="voxels")
    channels: tuple[str, ...] = setting((), "Names of the input channels, where there are several or they matter.")
    structures: tuple[LabelEntry, ...] = setting(
        (), "What it segments: one output channel each; with softmax the background comes first, as channel 0."
    )
    left_words: Words = setting(LEFT_WORDS, "Words in a structure's name that say left, as its training read them.")
    right_words: Words = setting(RIGHT_WORDS, "Words that say right, partner by partner.")
    loss: str | None = setting(None, "What training minimised.")
    recipe: PlainMapping | None = setting(None, "The recipe of corruptions it learnt to undo, as in the recipe's file.")
    data: PlainMapping = setting({}, "What it was trained on, in figures and words; no names of patients.")
    metrics: dict[str, float] = setting({}, "What it reached, by name.")
    source: str | None = setting(None, "The model or file it was made from.")
    source_licence: str | None = setting(None, "The licence of that source.")
    licence: str | None = setting(None, "The licence of this model.")
    versions: dict[str, str] = setting({}, "Versions of the software that wrote it.")
    weights_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = setting(
        "", "SHA-256 of weights.safetensors; filled in when the model is saved."
    )
    notes: tuple[str, ...] = setting((), "What else one must know, in sentences.")

    @property
    def origin(self) -> str:
        """What the model is called, and what it was made from in turn."""
        return self.name if self.source is None else f"{self.name}, from {self.source}"

    @property
    def licences(self) -> str | None:
        """Every licence that the weights come under: terms of what a model was made from hold for it as well."""
        return "; ".join(dict.fromkeys(text for text in (self.licence, self.source_licence) if text)) or None

    def to_yaml(self) -> str:
        """Return the card as the text of `model.yaml`."""
        return dump_yaml(self.model_dump(mode="json", by_alias=True))


def read_card(path: Path) -> ModelCard:
    """Read and check `model.yaml`.

    Raises ModelError, naming the key and what is allowed, for a file that is missing, unreadable, not a card, of a
    newer layout, larger than a card can be, or built to fill the memory when it is expanded.
    """
    values = read_yaml(path, error=ModelError, max_bytes=MAX_BYTES)
    version = values.get("schema")
    if isinstance(version, int) and version > SCHEMA:
        raise ModelError(
            f"{path}: written by a newer version (schema {version}, this one reads {SCHEMA}); update napari-genesis"
        )
    if "schema" not in values:
        raise ModelError(f"{path}: not a model card (the key 'schema' is missing)")
    card = validate(ModelCard, values, where=str(path), error=ModelError)
    if not card.weights_sha256:
        raise ModelError(f"{path}: 'weights_sha256' is missing, so its weights cannot be checked; save the model again")
    return card
