"""How a scan fits what a model was trained on: the patch it is cut into, the batches, and what a user should be told.

A card's `data` may say what the training scans were like, and a scan far outside is remarked on:
`spacing_range`: [[x, y, z], [x, y, z]], the least and the largest spacing in mm, as scanned; and
`percentiles`: one list per input channel with the ranges [least, largest] of the scans' 0.5th, 50th and 99.5th
percentiles in HU. Intensities without a unit (MR) are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis_core.errors import SettingsError

if TYPE_CHECKING:
    from genesis_core.model.card import ModelCard
    from genesis_core.networks.settings import NetworkSettings
    from genesis_core.volumes.preprocessing import Preprocessing
    from genesis_core.volumes.volume import Geometry, Volume

# Modality guesses below this certainty are not worth a note.
_CERTAIN = 0.9
# A spacing this many times beyond those of the training scans is far outside.
_FAR_SPACING = 1.5
# So is a percentile this share of the training scans' whole range beyond its own.
_FAR_INTENSITY = 0.25
# A patch is rounded up to what a network can halve; only a scan that fills less than this share of it is worth a word.
_MUCH = 0.75
PERCENTILES = (0.5, 50.0, 99.5)


def usable_patch(card: ModelCard, network: Any) -> tuple[int, int, int]:
    """Return the card's patch (z, y, x) in voxels, each axis rounded up to what the network can halve."""
    divisor = int(getattr(network, "divisor", 1))
    z, y, x = (math.ceil(size / divisor) * divisor for size in card.patch_size)
    return z, y, x


def refuse_mixed_batches(network: NetworkSettings, batch_size: int) -> None:
    """Raise SettingsError if windows that share a batch would change each other."""
    if batch_size > 1 and getattr(network, "norm", None) == "batch_statistics":
        raise SettingsError(
            f"batch_size = {batch_size}: this network normalises over the batch, windows would change each other; use 1"
        )


def remarks(
    volumes: Sequence[Volume],
    card: ModelCard,
    preprocessing: Preprocessing,
    grid: Geometry,
    patch: tuple[int, int, int],
) -> list[str]:
    """Return sentences on how the scan (one volume per channel) differs from what the model expects.

    grid: the scan's, once it is prepared. patch: (z, y, x), as it is used.
    """
    found = [note for volume in volumes for note in _modality(volume, preprocessing)]
    found += _spacing(volumes[0], card)
    if preprocessing.modality == "ct":
        found += _intensities(volumes, card)
    if patch != tuple(card.patch_size):
        found.append(f"The patch {tuple(card.patch_size)} was rounded up to {patch}, which the network can halve.")
    short = [axis for axis, length, size in zip("zyx", grid.shape, patch, strict=True) if length < _MUCH * size]
    if short:
        found.append(
            f"The scan is shorter than the patch along {', '.join(short)} ({grid.shape} against {patch}, z, y, x): "
            "padded with the lowest value, and cropped again."
        )
    return list(dict.fromkeys(found))


def is_in_hu(volume: Volume, preprocessing: Preprocessing) -> bool:
    """Whether differences to a scan are in HU: the model is of CT, and the scan is not certainly something else."""
    return preprocessing.modality == "ct" and not _modality(volume, preprocessing)


def _modality(volume: Volume, preprocessing: Preprocessing) -> list[str]:
    from genesis_core.volumes.modality import guess_modality

    guess = guess_modality(volume)
    if guess.label_map:
        return [f"Is this a scan? It has {guess.reason}. Give the scan itself: the result means nothing otherwise."]
    if guess.modality == preprocessing.modality or guess.certainty < _CERTAIN:
        return []
    return [
        f"The scan looks like {guess.modality.upper()} ({guess.reason}), but the model was trained on "
        f"{preprocessing.modality.upper()}: the result means little."
    ]


def _spacing(volume: Volume, card: ModelCard) -> list[str]:
    if "spacing_range" not in card.data:
        return []
    ranges = _numbers(card.data["spacing_range"], (2, 3))
    if ranges is None:
        return [_not_understood(card, "spacing_range")]
    # Compared by place in the patient: the card's x, y, z are left-right, front-back, head-foot as in LPS.
    least, most = ranges
    far = [
        f"{own:g} mm along {axis} (training: {low:g} to {high:g})"
        for axis, own, low, high in zip("xyz", _spacing_in_lps(volume), least, most, strict=True)
        if own * _FAR_SPACING < low or own > high * _FAR_SPACING
    ]
    return [f"The spacing is far from that of the training scans: {', '.join(far)}."] if far else []


def _spacing_in_lps(volume: Volume) -> list[float]:
    places = ["LR", "PA", "SI"]
    return [
        next(mm for code, mm in zip(volume.axis_codes, volume.spacing, strict=True) if code in pair) for pair in places
    ]


def _intensities(volumes: Sequence[Volume], card: ModelCard) -> list[str]:
    if "percentiles" not in card.data:
        return []
    ranges = _numbers(card.data["percentiles"], (len(volumes), len(PERCENTILES), 2))
    if ranges is None:
        return [_not_understood(card, "percentiles")]
    from genesis_core.volumes.voxel_statistics import percentiles

    found = []
    for number, (volume, trained) in enumerate(zip(volumes, ranges, strict=True)):
        tolerance = _FAR_INTENSITY * float(trained[:, 1].max() - trained[:, 0].min())
        far = [
            f"percentile {percentile:g} is {own:.0f} HU (training: {low:.0f} to {high:.0f})"
            for percentile, own, (low, high) in zip(
                PERCENTILES, percentiles(volume.array, PERCENTILES), trained, strict=True
            )
            if own < low - tolerance or own > high + tolerance
        ]
        which = f"of channel {number} " if len(volumes) > 1 else ""
        if far:
            found.append(f"The intensities {which}are far from those of the training scans: {', '.join(far)}.")
    return found


def _numbers(values: Any, shape: tuple[int, ...]) -> Any:
    """Return a card's lists as an array of this shape, or None if they are something else."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return None
    return array if array.shape == shape and np.isfinite(array).all() else None


def _not_understood(card: ModelCard, key: str) -> str:
    return f"The card of model '{card.name}' states data.{key} in an unknown form: the scan was not compared with it."
