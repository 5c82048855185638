"""CT or MR, judged by the voxels. A tag is a hint that must fit them: tags lie, and formats other than DICOM have none.

CT is in Hounsfield units: air is -1000, fat about -100, water 0. MR has no unit, and hardly a value below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genesis_core.volumes.volume import Modality, Volume

# Enough voxels for shares of a tenth of a percent; more would only cost time.
_SAMPLE = 500_000
# Air in Hounsfield units, with noise and detector offset.
_AIR = (-1100.0, -900.0)
# Below this lies neither fat nor any soft tissue: lung, air or padding.
_NO_TISSUE = -200.0


@dataclass(frozen=True)
class ModalityGuess:
    """What a scan seems to be. certainty: 0 (a toss) to 1; under 0.6 a person should say.

    reason: a sentence with the values seen. label_map: it rather numbers structures than measures intensities.
    """

    modality: Modality
    certainty: float
    reason: str
    label_map: bool = False


def guess_modality(volume: Volume) -> ModalityGuess:
    """Judge whether a scan is CT or MR by its values.

    `volume.modality` counts as a hint, and is doubted if they contradict it.
    """
    guess, hint = (
        _by_values(_sample(volume.array), float(volume.array.min()), float(volume.array.max())),
        volume.modality,
    )
    if hint is None:
        return guess
    if hint == guess.modality:
        return ModalityGuess(
            hint,
            max(guess.certainty, 0.95 if guess.certainty >= 0.6 else 0.7),
            f"said to be {hint.upper()}; {guess.reason}",
        )
    if guess.certainty >= 0.6:
        return ModalityGuess(
            guess.modality, min(guess.certainty, 0.8), f"said to be {hint.upper()}, which is doubted: {guess.reason}"
        )
    return ModalityGuess(hint, 0.5, f"said to be {hint.upper()}, but {guess.reason}")


def _sample(array: NDArray[Any]) -> NDArray[np.float64]:
    # A step that shares no factor with usual axis lengths does not fall on the same columns again and again.
    step = max(1, array.size // _SAMPLE) | 1
    values = array.reshape(-1)[::step].astype(np.float64)
    return values[np.isfinite(values)]


def _by_values(values: NDArray[np.float64], low: float, high: float) -> ModalityGuess:
    """Judge by a sample of the finite values, and the smallest and largest of all."""
    if values.size == 0:
        return ModalityGuess("mr", 0.0, "it holds no finite value")
    span = f"values {low:g} to {high:g}"
    air = float(np.mean((values >= _AIR[0]) & (values <= _AIR[1])))
    lower = float(np.mean(values < _NO_TISSUE))
    negative = float(np.mean(values < 0))
    # Nothing is thinner than air, so many values below it are no Hounsfield units (MR phase, for instance); one value
    # that comes again and again is padding.
    deep = float(np.mean((values < 2 * _AIR[0]) & (values != low)))
    if deep >= 0.02:
        return ModalityGuess("mr", 0.5, f"{span}, {deep:.0%} of them far below air in CT: a unit unknown here")
    if air >= 0.01 and high > _NO_TISSUE:
        return ModalityGuess("ct", 0.99, f"{span}, {air:.0%} of them air (about -1000 HU)")
    if lower >= 0.003 and negative >= 0.05 and high > 0:
        return ModalityGuess("ct", 0.9, f"{span}, {negative:.0%} of them below 0 as fat, lung and air are in HU")
    whole = bool(np.all(values == np.round(values)))
    if negative >= 0.02 and low < -30 and high > 30 and whole:
        return ModalityGuess(
            "ct", 0.6, f"{span}, whole numbers, {negative:.0%} of them below 0 as fat is in HU, but no air"
        )
    kinds = len(np.unique(values))
    if whole and 2 <= kinds <= 60 and float(np.mean(values == values.min())) > 0.3:
        return ModalityGuess(
            "mr", 0.3, f"{span}, only {kinds} different ones: rather a label map than a scan", label_map=True
        )
    if high - low <= 2 or negative >= 0.02:
        return ModalityGuess("mr", 0.5, f"{span} look already normalised, or have a unit unknown here")
    return ModalityGuess("mr", 0.9 if low >= 0 else 0.8, f"{span}, none below {_NO_TISSUE:g} as air and lung are in CT")
