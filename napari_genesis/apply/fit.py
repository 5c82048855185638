"""Whether a layer looks like what a model was trained on, told before the work rather than after it. No Qt."""

from __future__ import annotations

from genesis_core.errors import GenesisError
from genesis_core.model.card import ModelCard
from napari_genesis.apply.layer_work import Input
from napari_genesis.layers import origin_of, patient_affine, volume_from_state

# As the core: less certain guesses are not worth a word.
_CERTAIN = 0.9


def refusal(given: Input) -> str:
    """Return why a layer cannot be used at all (no millimetres, colours, axes), or nothing; reads no voxel."""
    name = f"layer '{given.state.get('name', '')}'"
    shape = getattr(given.data, "shape", ())
    if given.state.get("rgb"):
        return f"{name} holds colours, not one intensity per voxel; split it into its channels."
    if len(shape) not in (3, 4):
        return f"{name} has {len(shape)} axes; a scan has three (z, y, x)."
    try:
        patient_affine(given.state, shape, name)
    except GenesisError as problem:
        return f"{problem}."
    return ""


def worth(card: ModelCard) -> str:
    """Return a sentence if a restoring model did no better in its own validation than an answer without a network."""
    loss, mean = card.metrics.get("loss"), card.metrics.get("return_mean")
    if card.task != "restoration" or loss is None or mean is None or loss < mean:
        return ""
    return (
        f"This model restored its own validation scans no better than each sub-volume's mean would ({loss:.4f} against "
        f"{mean:.4f}): what it makes of a scan means little."
    )


def misfit(given: Input, card: ModelCard) -> str:
    """Return a sentence if a layer seems to be of another modality than the model's; reads all voxels."""
    from genesis_core.volumes.modality import guess_modality

    if card.preprocessing is None:
        return ""
    try:
        guess = guess_modality(volume_from_state(given.data, given.state, frame=given.frame))
    except GenesisError:
        # What is wrong with it is told by `refusal`, or by the core.
        return ""
    wanted = card.preprocessing.modality
    if guess.modality == wanted or guess.certainty < _CERTAIN:
        return ""
    said = origin_of(given.state)
    by = " by its values" if said is not None and said.modality == wanted else ""
    return (
        f"The layer looks like {guess.modality.upper()}{by} ({guess.reason}), and the model was trained on "
        f"{wanted.upper()}: the result would mean little."
    )
