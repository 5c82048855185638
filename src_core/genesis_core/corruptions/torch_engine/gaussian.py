"""Gaussian noise in torch: the compiled engine's table of quantiles, looked up by the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis_core.corruptions.torch_engine.hashing import outputs
from genesis_core.corruptions.torch_engine.version import DeviceVersion, Portion, Tables, noise_keys

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@cache
def _quantiles(device: torch.device) -> Tensor:
    import torch

    from genesis_core.corruptions.kernels.gaussian import normal_quantiles

    return torch.from_numpy(normal_quantiles().copy()).to(device)


class GaussianNoiseOnDevice(DeviceVersion):
    """`GaussianNoise` on the device."""

    def tables(self, portion: Portion) -> Tables:
        sigmas = np.array([decided.sigma for decided in portion.decided], np.float32)
        return Tables({"keys": noise_keys(portion), "sigmas": sigmas})

    def apply(self, x: Tensor, portion: Portion, arrays: Mapping[str, Tensor], facts: Any) -> Tensor:
        import torch

        bits = outputs(arrays["keys"], -(-portion.voxels // 4)).view(torch.int16)[..., : portion.voxels]
        noise = _quantiles(x.device)[bits.to(torch.int64).bitwise_and_(0xFFFF)]
        return noise.mul_(arrays["sigmas"][:, None, None]).add_(x).clamp_(0.0, 1.0)
