"""Changes of intensities within [0, 1]: blur, noise, brightness, contrast, gamma, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IntensityChange:
    """What is done to one channel; the defaults change nothing.

    blur: standard deviations (z, y, x) in voxels. noise: standard deviation of what is added, drawn from noise_key.
    brightness: factor. contrast: factor of the distance from the mean. gamma: power.
    """

    blur: tuple[float, ...] | None = None
    noise: float = 0.0
    noise_key: int = 0
    brightness: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        """Take lists, as JSON gives them."""
        if self.blur is not None:
            object.__setattr__(self, "blur", tuple(self.blur))

    @property
    def changes_nothing(self) -> bool:
        """Whether every voxel stays as it is."""
        return self.blur is None and not self.noise and self.brightness == self.contrast == self.gamma == 1


def change_intensities(images: NDArray[np.float32], changes: Sequence[IntensityChange]) -> NDArray[np.float32]:
    """Return images (channel, z, y, x) in [0, 1], each channel changed; the input is returned where nothing is."""
    if all(change.changes_nothing for change in changes):
        return images
    return np.stack([_change(image, change) for image, change in zip(images, changes, strict=True)])


def _change(image: NDArray[np.float32], change: IntensityChange) -> NDArray[np.float32]:
    out = image.copy()
    if change.blur is not None:
        from scipy.ndimage import gaussian_filter

        # Three standard deviations hold 99.7 % of the weight.
        out = gaussian_filter(out, change.blur, mode="nearest", truncate=3.0)
    if change.noise:
        from genesis_core.targets.noise_kernel import add_noise

        add_noise(out.reshape(-1), np.float32(change.noise), np.uint64(change.noise_key))
    if change.brightness != 1 or change.contrast != 1:
        # mean + contrast * (brightness * x - mean), the mean being that of the brightened image.
        mean = float(out.mean(dtype=np.float64)) * change.brightness
        out *= np.float32(change.brightness * change.contrast)
        out += np.float32(mean * (1 - change.contrast))
    np.clip(out, 0, 1, out=out)
    if change.gamma != 1:
        np.power(out, np.float32(change.gamma), out=out)
    return out
