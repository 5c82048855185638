"""Gaussian noise, of which a network learns to rid a scan: the de-noising baseline.

Source: Vincent et al. 2010; the standard deviation's range is that of Zhou et al. 2021 (Models Genesis), appendix A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from genesis_core.corruptions.corruption import Corruption, Decided, Planes, Shape3
from genesis_core.settings import setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genesis_core.corruptions.torch_engine.version import DeviceVersion


class NoiseLevel(Decided):
    """How strong the noise of one draw is."""

    sigma: float = Field(ge=0.0, le=1.0, description="Standard deviation.")


class GaussianNoise(Corruption):
    """Add noise of one strength to every voxel, each channel its own, and clip to [0, 1].

    The strength is uniform in 0..max_sigma. Where intensities lie at an end of the range, as air does, clipping takes
    half of the noise away.
    """

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    label: ClassVar[str] = "Gaussian noise"
    teaches: ClassVar[str] = "Fine texture: to tell structure from noise."
    splits: ClassVar[Literal["never", "first", "always"]] = "always"
    decided: ClassVar[type[Decided]] = NoiseLevel
    max_sigma: float = setting(
        0.1, "Largest standard deviation of the noise.", unit="of the intensity range", gt=0.0, le=1.0
    )

    def draw(self, shape: Shape3, key: int) -> NoiseLevel:
        from genesis_core.randomness import stream, uniform

        return NoiseLevel(sigma=self.max_sigma * uniform(stream(key, "sigma"), 0))

    def apply(
        self, source: NDArray[np.float32], out: NDArray[np.float32], decided: Any, key: int, planes: Planes
    ) -> None:
        import numpy as np

        from genesis_core.corruptions.boxes import noise_key
        from genesis_core.corruptions.kernels.gaussian import add_noise, normal_quantiles

        steps = normal_quantiles() * np.float32(decided.sigma)
        first, behind = (plane * source.shape[2] * source.shape[3] for plane in planes)
        for channel in range(len(out)):
            own = noise_key(key, channel)
            add_noise(source[channel].reshape(-1), out[channel].reshape(-1), first, behind, steps, own)

    def on_device(self) -> DeviceVersion:
        from genesis_core.corruptions.torch_engine.gaussian import GaussianNoiseOnDevice

        return GaussianNoiseOnDevice()

    def describe(self, decided: Any, shape: Shape3) -> str:
        return f"{self.label}: standard deviation {decided.sigma:.3f} of the intensity range"
