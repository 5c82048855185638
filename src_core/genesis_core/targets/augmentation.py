"""Varying sub-volumes: `draw` decides by hashing, as a small object; applying it is pure.

Angles and factors are physical: a turn is a rigid motion in millimetres whatever the spacing, right-handed about the
axes of the array as the patient's: 90 degrees about z carries what lies toward growing x to growing y, about y what
lies toward z to x, about x what lies toward y to z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genesis_core.corruptions.draw import Draw
from genesis_core.randomness import stream, uniform
from genesis_core.targets.augmentation_settings import AugmentationSettings, Range
from genesis_core.targets.intensity_changes import IntensityChange, change_intensities
from genesis_core.volumes.sides import find_sides

Spacing = tuple[float, float, float]
_AXES = ("z", "y", "x")


@dataclass(frozen=True)
class AugmentationDraw:
    """Everything that was decided for one sub-volume.

    angles: degrees about z, y, x, applied in this order. scale: factor of size. flipped: axes along which it is
    mirrored, last of all. intensities: one change per channel. recipe: what corrupts the input, if anything does.
    """

    angles: tuple[float, float, float]
    scale: float
    flipped: tuple[str, ...]
    intensities: tuple[IntensityChange, ...]
    recipe: Draw | None

    def matrix(self, spacing: Spacing) -> NDArray[np.float64] | None:
        """Return the map of offsets, sub-volume to scan, in voxels (z, y, x); None if nothing moves.

        spacing: of the scan, (x, y, z) in mm.
        """
        if not self.flipped and not any(self.angles) and self.scale == 1:
            return None
        signs = np.array([-1.0 if axis in self.flipped else 1.0 for axis in _AXES])
        mirror = np.diag(signs)
        if not any(self.angles) and self.scale == 1:
            return mirror
        z, y, x = (_about(axis, angle) for axis, angle in zip(_AXES, self.angles, strict=True))
        # Content moves by mirror @ x @ y @ z * scale; a voxel is looked up where it came from, so by the inverse.
        back = (mirror @ x @ y @ z).T / self.scale
        lengths = np.array(spacing[::-1])
        inverse: NDArray[np.float64] = back * lengths / lengths[:, None]
        return inverse

    def describe(self) -> str:
        """Say where things went, in a few words; empty if nothing moved."""
        said = []
        if any(self.angles):
            said.append("turned " + ",".join(f"{angle:.0f}" for angle in self.angles) + " degrees (z,y,x)")
        if self.scale != 1:
            said.append(f"scaled {self.scale:.2f}")
        if self.flipped:
            said.append(f"flipped {''.join(self.flipped)}")
        return ", ".join(said)


class Augmentation:
    """Draws and applies what `settings` allow for these structures. notes: what a user should know, in sentences.

    structures: names, as numbered in `layers`. axis_codes: of the arrays, for instance "LPS": the axis that leads to L
    or R is the one along which sides change.
    """

    def __init__(self, settings: AugmentationSettings, structures: Sequence[str], axis_codes: str) -> None:
        self._settings = settings
        self._across = next(axis for axis, code in zip("xyz", axis_codes, strict=True) if code in "LR")
        partners, alone = find_sides(structures, settings.left_words, settings.right_words)
        self._flips = tuple(axis for axis in settings.flips if not (alone and axis == self._across))
        self._partners = np.array([partners.get(number, number) for number in range(len(structures))], np.int64)
        # Indexed by number + 1: -1 (unknown) and 0 (nothing) stay.
        self._swapped = np.concatenate([[-1, 0], self._partners + 1]).astype(np.int16)
        self._swaps = bool(partners)
        self.notes = self._notes(structures, partners, alone)

    def draw(self, key: int, shape: tuple[int, int, int], spacing: Spacing, channels: int = 1) -> AugmentationDraw:
        """Decide everything for one sub-volume: a pure function of the arguments and the settings.

        key: of a stream of its own. shape: (z, y, x). spacing: (x, y, z) in mm.
        """
        settings = self._settings
        if not settings.enabled:
            return AugmentationDraw((0.0, 0.0, 0.0), 1.0, (), (IntensityChange(),) * channels, None)
        turn, size, mirror = stream(key, "rotation"), stream(key, "scaling"), stream(key, "flips")
        angles = [0.0, 0.0, 0.0]
        if uniform(turn, 0) < settings.rotation_probability:
            limits = _limits(settings, spacing)
            angles = [(2 * uniform(turn, 1 + axis) - 1) * limit for axis, limit in enumerate(limits)]
        scale = 1.0
        if uniform(size, 0) < settings.scaling_probability:
            # On a logarithmic scale, so that enlarging and shrinking are as likely.
            low, high = np.log(settings.scaling.low), np.log(settings.scaling.high)
            scale = float(np.exp(low + uniform(size, 1) * (high - low)))
        flipped = tuple(
            axis
            for counter, axis in enumerate(_AXES)
            if axis in self._flips and uniform(mirror, counter) < settings.flip_probability
        )
        changes = tuple(
            _draw_change(settings, stream(key, "intensity", channel), spacing) for channel in range(channels)
        )
        recipe = None
        corrupt = stream(key, "recipe")
        if settings.recipe is not None and uniform(corrupt, 0) < settings.recipe_probability:
            recipe = settings.recipe.draw(shape, stream(corrupt, "draw"))
        return AugmentationDraw((angles[0], angles[1], angles[2]), scale, flipped, changes, recipe)

    def swap_sides(
        self, layers: NDArray[np.int16], annotated: Sequence[bool], draw: AugmentationDraw
    ) -> tuple[NDArray[np.int16], tuple[bool, ...]]:
        """Return layers, and marks of annotation, with left and right exchanged if the draw mirrors side to side."""
        if not self._swaps or self._across not in draw.flipped:
            return layers, tuple(annotated)
        return np.take(self._swapped, layers + np.int16(1)), tuple(annotated[number] for number in self._partners)

    def _notes(self, structures: Sequence[str], partners: Mapping[int, int], alone: Sequence[str]) -> tuple[str, ...]:
        settings, notes = self._settings, []
        if not settings.enabled:
            return ("Augmentation is off.",)
        if alone and self._across in settings.flips:
            notes.append(
                f"{', '.join(alone)} names a side without the other one being learnt, so scans are not mirrored from "
                f"side to side (axis {self._across})."
            )
        elif partners and self._across in self._flips:
            pairs = ", ".join(
                f"{structures[one]}/{structures[two]}" for one, two in sorted(partners.items()) if one < two
            )
            notes.append(f"Where scans are mirrored from side to side, left and right change names: {pairs}.")
        if settings.recipe is not None and settings.recipe_probability > 0:
            notes.append(
                f"The recipe '{settings.recipe.name}' corrupts the input (not the labels) of "
                f"{settings.recipe_probability:.0%} of the sub-volumes: augmentation.recipe_probability."
            )
        return tuple(notes)


def augment_images(images: NDArray[np.float32], draw: AugmentationDraw) -> NDArray[np.float32]:
    """Return images (channel, z, y, x) in [0, 1] with the draw's intensities and recipe applied; pure."""
    changed = change_intensities(images, draw.intensities)
    if draw.recipe is None:
        return changed
    from genesis_core.corruptions.application import apply_batch

    corrupted: NDArray[np.float32] = apply_batch(changed[None], [draw.recipe], threads=1)[0]
    return corrupted


def _about(axis: str, degrees: float) -> NDArray[np.float64]:
    """Return the right-handed turn about an axis, for vectors (z, y, x) in mm."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    # The turn about an axis carries the first of the two others to the second: z: x to y, y: z to x, x: y to z.
    first, second = {"z": (2, 1), "y": (0, 2), "x": (1, 0)}[axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cosine
    turn[second, first], turn[first, second] = sine, -sine
    return turn


def _limits(settings: AugmentationSettings, spacing: Spacing) -> tuple[float, ...]:
    lengths = spacing[::-1]
    coarsest = max(lengths)
    thick = [length == coarsest and coarsest >= settings.thick_slices * min(lengths) for length in lengths]
    if not any(thick):
        return settings.rotation
    return tuple(limit if alone else 0.0 for limit, alone in zip(settings.rotation, thick, strict=True))


def _draw_change(settings: AugmentationSettings, key: int, spacing: Spacing) -> IntensityChange:
    def chance(counter: int, probability: float) -> bool:
        return uniform(key, 2 * counter) < probability

    def between(counter: int, span: Range) -> float:
        return span.low + uniform(key, 2 * counter + 1) * (span.high - span.low)

    sigma = uniform(key, 1) * settings.blur if chance(0, settings.blur_probability) else 0.0
    return IntensityChange(
        blur=tuple(sigma / length for length in spacing[::-1]) if sigma else None,
        noise=uniform(key, 3) * settings.noise if chance(1, settings.noise_probability) else 0.0,
        noise_key=stream(key, "noise"),
        brightness=between(2, settings.brightness) if chance(2, settings.brightness_probability) else 1.0,
        contrast=between(3, settings.contrast) if chance(3, settings.contrast_probability) else 1.0,
        gamma=between(4, settings.gamma) if chance(4, settings.gamma_probability) else 1.0,
    )
